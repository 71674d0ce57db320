"""The small word-level tokenizers of the embedded models, made from the worlds' own words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import NFKC, Lowercase, Sequence
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from cirdemo import prompts
from cirdemo.data.drawn import fables as f
from cirdemo.data.drawn import impossible, phrases, reasoning
from cirdemo.data.drawn import wardrobe as w

IMAGE_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
CHAT_TOKENS = ("<|im_start|>", "<|im_end|>", *IMAGE_TOKENS, "Yes", "No", prompts.EMBED)
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }} "
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for p in m['content'] %}"
    "{% if p['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ p['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant {% endif %}"
)


def _split(texts: Iterable[str]) -> set[str]:
    return {t for text in texts for t in re.findall(r"\w+|[^\w\s]+", text.lower())}


def world_words() -> list[str]:
    """Every word the worlds and their modification texts can say, sorted."""
    fables_words = [*f.SPECIES, *(f.plural(s) for s in f.SPECIES), *f.COATS, *f.ACCESSORIES]
    fables_words += [f.plural(a) for a in f.ACCESSORIES]
    for table in (f.SETTINGS, f.TIMES, f.WEATHERS, f.PROPS):
        fables_words += [*table, *table.values()]
    fables_words += [a for actions in f.ACTIONS_BY_COUNT.values() for a in actions]
    garment_words = [*w.CATEGORIES, *w.NECK_WORDS.values(), *w.DETAIL_WORDS.values()]
    garment_words += [*w.LENGTH_WORDS.values(), "longer", "shorter", *w.ATTRIBUTES, "sleeves"]
    for values in w.ATTRIBUTES.values():
        garment_words += values
    said = [
        t
        for k in (*phrases.FABLES.values(), *phrases.WARDROBE.values())
        for t in (*k.common, *k.test)
    ]
    said = [re.sub(r"\{\w+\}", " ", t) for t in said]
    verbs = ["stand", "sit", "jump", "sleep", "hug", "chase", "ride", "another", "one", "two"]
    verbs += ["three", "a", "an", "with", "and", "it", "them", "the", "of", "is", "are", "has"]
    verbs += [
        "more",
        "fewer",
        "away",
        "have",
        "as",
        "an",
        "there",
        "on",
        "in",
        "fur",
        "together",
        "their",
        "its",
        "who",
        "they",
        "this",
        "that",
    ]
    return sorted(_split([*fables_words, *garment_words, *said, *verbs]))


def prompt_words() -> list[str]:
    """Words of the prompts and of the rationales."""
    texts = [prompts.CAPTION, prompts.MODIFICATION, *prompts.DESCRIBE.values(), prompts.NEXT]
    texts += [prompts.JUDGE, prompts.REASON, prompts.DIRECT, prompts.RATIONALE]
    texts += [reasoning.PLAIN, impossible.NO_SUCH, impossible.NOT_BOTH]
    texts += ["user assistant system change leave out keep all the rest nothing count remove add"]
    return sorted(_split(re.sub(r"\{\w+\}", " ", t) for t in texts))


def _base(vocab: list[str], unknown: str) -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({t: i for i, t in enumerate(vocab)}, unk_token=unknown))
    tokenizer.normalizer = Sequence([NFKC(), Lowercase()])
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


def encoder_tokenizer(context: int) -> PreTrainedTokenizerFast:
    """open_clip's text side: [CLS] words [EOS]; [EOS] has the highest id, where the tower pools."""
    vocab = ["[PAD]", "[UNK]", "[CLS]", *world_words(), "[EOS]"]
    tokenizer = _base(vocab, "[UNK]")
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [EOS]", special_tokens=[("[CLS]", 2), ("[EOS]", len(vocab) - 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        bos_token="[CLS]",
        eos_token="[EOS]",
        model_max_length=context,
        padding_side="right",
        truncation_side="right",
    )


def chat_tokenizer() -> PreTrainedTokenizerFast:
    """The language model's side: words, `Yes` and `No` as single tokens, Qwen's chat tokens."""
    words = sorted({*world_words(), *prompt_words()})
    base = _base(["<|pad|>", "<|unk|>", *CHAT_TOKENS, *words], "<|unk|>")
    # not lower-cased, so that "Yes" and "No" stay tokens of their own
    base.add_tokens([AddedToken(t, normalized=False) for t in CHAT_TOKENS[6:]])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=base,
        pad_token="<|pad|>",
        unk_token="<|unk|>",
        eos_token="<|im_end|>",
        additional_special_tokens=list(CHAT_TOKENS[:6]),
        model_max_length=1024,
        padding_side="left",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def save(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
