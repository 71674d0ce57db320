"""Turns of the embedded language model as token segments, just as its chat template lays them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from cirdemo import prompts
from cirdemo.models.qwen import GRID, IMAGE_TOKENS, MERGE, language_states
from cirdemo.train.packing import IGNORED, Packed, Segment, pack
from cirdemo.types import Mode

SIDE = GRID // MERGE  # picture tokens a side
PADDED = 32  # every length that occurs is compiled for most of a minute: one or two a recipe


class Turns:
    """Segments of the prompts; every one ends where the chat template's text would."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        vocab = tokenizer.get_vocab()
        self.image, self.pad = vocab["<|image_pad|>"], vocab["<|pad|>"]
        self.end = vocab["<|im_end|>"]
        self.emb = vocab[prompts.EMBED]
        # both spellings of each verdict, as the judge merges them when it answers
        self.verdicts = [vocab[w] for w in ("Yes", "yes", "No", "no")]
        picture = [vocab["<|vision_start|>"], *[self.image] * IMAGE_TOKENS, vocab["<|vision_end|>"]]
        self.picture = picture
        self.head = [vocab["<|im_start|>"], *self.words("user")]
        self.answer = [self.end, vocab["<|im_start|>"], *self.words("assistant")]

    @functools.lru_cache(maxsize=200_000)  # noqa: B019 - lives as long as the training run
    def words(self, text: str) -> list[int]:
        """Token ids of a text."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def reference(self, picture: int) -> Segment:
        """The reference picture: the root of every tree."""
        return Segment([*self.head, *self.picture], None, [picture])

    def say(self, prompt: str, answer: str, parent: int, begun: str = "") -> Segment:
        """A prompt with the answer to be predicted, behind a beginning that is only read."""
        asked = [*self.words(prompt), *self.answer, *self.words(begun)]
        return Segment([*asked, *self.words(answer), self.end], parent, [], len(asked))

    def text(self, text: str, parent: int) -> Segment:
        """Words that are only read."""
        return Segment(list(self.words(text)), parent)

    def describe(self, mode: Mode, answer: str, parent: int) -> Segment:
        """A union or intersection description."""
        return self.say(prompts.DESCRIBE[mode], answer, parent)

    def next_picture(self, picture: int, answer: str, parent: int) -> Segment:
        """A second picture to be described: practice in reading pairs."""
        asked = [*self.words(prompts.NEXT), *self.picture, *self.answer]
        ids = [*asked, *self.words(answer), self.end]
        return Segment(ids, parent, [picture], len(asked))

    def candidate(self, picture: int, parent: int, why: str | None) -> tuple[Segment, int]:
        """A candidate picture, the answer cue, the verdict and what differs (None: nothing does).

        Returns the segment and how many tokens stand behind the cue, where the verdict is read.
        What differs is there to be learnt from: it says which comparison a verdict hangs on.
        """
        cue = [*self.picture, *self.answer]
        tail = [self.verdicts[0 if why is None else 2], *self.words(why or ""), self.end]
        return Segment([*cue, *tail], parent, [picture], len(cue) + 1), len(tail)

    def pack(self, trees: Sequence[Sequence[Segment]]) -> Packed:
        """Trees as a batch."""
        return pack(trees, image=self.image, side=SIDE, pad=self.pad, multiple=PADDED)


def states(
    language: nn.Module, packed: Packed, features: Tensor, forward=language_states
) -> Tensor:
    """Hidden states (N * T, D) of a packed batch; features are (pictures, tokens, D)."""
    embeds = language.embed_tokens(packed.ids)  # (N, T, D)
    n, t, d = embeds.shape
    flat = embeds.reshape(n * t, d)
    flat = flat.index_copy(0, packed.slots, features.reshape(-1, d).to(flat.dtype))
    hidden = forward(language, flat.view(n, t, d), packed.positions, packed.mask)
    return hidden.reshape(n * t, d)


def answer_loss(hidden: Tensor, output: nn.Module, packed: Packed) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the tokens to be predicted, and the share predicted correctly."""
    labels = packed.labels.view(-1)
    there = labels != IGNORED
    logits = output(hidden[there]).float()  # (answers, vocabulary)
    wanted = labels[there]
    loss = nn.functional.cross_entropy(logits, wanted)
    return loss, (logits.argmax(1) == wanted).float().mean().detach()
