"""A language model on a server: OpenAI-compatible chat, or `transformers serve`'s decisions.

Chat answers are read with `logprobs` (vLLM, SGLang); `/v1/systemone` answers a yes/no question with
a probability (`transformers serve`, whose chat leaves logprobs out). What fails for good is told
for the one picture that it was about.
"""

from __future__ import annotations

import base64
import io
import math
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from cirdemo import prompts
from cirdemo.models.server import Refused, Server, Unanswered
from cirdemo.profiles import ModelSettings
from cirdemo.types import CirError

Part = Image.Image | str  # one piece of a user's turn
LIKELIEST = 20  # tokens told with their probabilities: the most that vLLM gives unasked
CERTAIN = 1e-6  # probabilities nearer to 0 or 1 are told as this: a float's 0 has no logit
# what `transformers serve` leaves of the turn's frame where a tokenizer joins tokens with spaces
_FRAME = re.compile(r"<\|im_start\|>\s*assistant|<\|[\w-]+\|>")
QUESTION = "Does the last picture show what is wanted?"


class RemoteModel:
    """A vision-language model behind an address; writes, and gives the margin of Yes over No.

    Needs: `remote` in the settings.
    Differs: from `VisionLanguageModel` in that there are no hidden states, no adapters of ours and
        no shared prefix but the server's own.
    """

    adapters: Mapping[str, Path] = {}

    def __init__(self, settings: ModelSettings) -> None:
        """A model of a server; asks it for the model's name if none was given.

        Raises:
            CirError: The server does not answer, or offers several models.
        """
        self.server = Server(settings)
        self.api = settings.remote_api
        self.parallel = settings.remote_parallel
        self.pixels = settings.pixels
        self.model = settings.remote_model or self._only()
        self.identity = f"{Path(self.model).name} at {self.server.name}@{prompts.prompt_hash()}"
        self.lock = threading.RLock()

    def _only(self) -> str:
        try:
            found = self.server.ask("models").get("data", [])
        except Unanswered as fault:
            raise CirError(
                f"The server {self.server.name} does not say which models it has: {fault}. "
                "Start it, check remote, name the model in remote_model, or use --profile embedded."
            ) from fault
        names = [str(one.get("id")) for one in found if isinstance(one, dict)]
        if len(names) == 1:
            return names[0]
        listed = ", ".join(names[:8]) or "none"
        raise CirError(
            f"The server {self.server.name} lists {len(names)} models ({listed}); name one with "
            "--with remote_model=NAME or CIRDEMO_REMOTE_MODEL."
        )

    # --- writing ---------------------------------------------------------------------------

    def generate(
        self,
        turns: Sequence[Sequence[Part]],
        *,
        adapter: str | None = None,
        max_new_tokens: int = 48,
    ) -> list[str]:
        """The answers to user turns, greedily decoded, several at a time.

        Raises:
            CirError: One of them has none.
        """

        def write(turn: Sequence[Part]) -> str:
            try:
                answer = self._chat(turn, max_tokens=max_new_tokens)
                return " ".join(_FRAME.sub(" ", str(answer["message"]["content"])).split())
            except Unanswered as fault:
                raise CirError(
                    f"The server {self.server.name} wrote nothing: {fault}. Try again, or use "
                    "another profile."
                ) from fault
            except (KeyError, TypeError) as fault:
                raise CirError(f"The server {self.server.name} gave an answer without text.") from (
                    fault
                )

        with ThreadPoolExecutor(self.parallel) as pool:
            return list(pool.map(write, turns))

    def caption(self, images: Sequence[Image.Image]) -> list[str]:
        """One sentence a picture."""
        return self.generate([[image, prompts.CAPTION] for image in images])

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """None: such models spell any word."""
        return ()

    # --- judging ---------------------------------------------------------------------------

    def margins(
        self, before: Sequence[Part], candidates: Sequence[Image.Image]
    ) -> Iterator[float | Unanswered]:
        """logit(Yes) - logit(No) of each candidate behind a turn's beginning, or why there is none.

        In the order of the candidates, each as soon as it and those before it are there. Where
        nobody answers the first ones, the others are not waited for.

        Raises:
            Refused: The server cannot answer any such request.
        """
        pool = ThreadPoolExecutor(self.parallel)
        try:
            waiting = [pool.submit(self._margin, [*before, image]) for image in candidates]
            silent = 0
            for number, one in enumerate(waiting):
                if silent == number == self.parallel:
                    for _ in waiting[number:]:
                        yield Unanswered(f"not asked, as nobody answered the first {number}")
                    return
                try:
                    yield one.result()
                except Unanswered as fault:
                    silent += fault.silent
                    yield fault
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def ask(
        self,
        reference: Image.Image,
        asked: Sequence[str],
        candidate: Image.Image,
        *,
        adapter: str | None = None,
    ) -> list[float]:
        """logit(Yes) - logit(No) of several questions about one pair of pictures.

        Raises:
            CirError: One of them has no answer.
        """
        with ThreadPoolExecutor(self.parallel) as pool:
            return list(pool.map(lambda text: self._margin([reference, text, candidate]), asked))

    def _margin(self, turn: Sequence[Part]) -> float:
        return self._decision(turn) if self.api == "systemone" else self._logprobs(turn)

    def _logprobs(self, turn: Sequence[Part]) -> float:
        """The first token's log-probabilities, every spelling of Yes against every one of No."""
        answer = self._chat(turn, max_tokens=1, logprobs=True, top_logprobs=LIKELIEST)
        try:
            told = answer["logprobs"]["content"][0]["top_logprobs"]
            found = [(str(t["token"]), float(t["logprob"])) for t in told]
        except (KeyError, TypeError, IndexError, ValueError):
            found = []
        if not found:
            raise Refused(
                f"{self.server.name} gives no logprobs, so there is no P(Yes). vLLM and SGLang "
                "give them; for transformers serve set remote_api=systemone."
            )
        spelt = {w: [p for t, p in found if t.strip().lower() == w] for w in ("yes", "no")}
        if not spelt["yes"] and not spelt["no"]:
            raise Unanswered(f"it began with {found[0][0]!r}, and Yes and No were far from it")
        least = [min(p for _, p in found)]  # what is not among them is no likelier
        yes, no = (_sum(spelt[w] or least) for w in ("yes", "no"))
        if not math.isfinite(yes - no):
            raise Unanswered("its log-probabilities are no numbers")
        return yes - no

    def _decision(self, turn: Sequence[Part]) -> float:
        """The probability of `true` for one yes/no question about the pictures in a text."""
        pictures = [part for part in turn if not isinstance(part, str)]
        names = iter([f"[picture {n}]" for n in range(1, len(pictures) + 1)])
        state = "\n".join(part if isinstance(part, str) else next(names) for part in turn)
        body = {
            "model": self.model,
            "state": state,
            "questions": {"target": {"type": "noul", "instructions": QUESTION}},
            "assets": {
                f"[picture {n}]": {"data_base64": base64.b64encode(self._jpeg(p)).decode()}
                for n, p in enumerate(pictures, start=1)
            },
        }
        try:
            p = float(self.server.ask("systemone", body)["answers"]["target"]["noul"])
        except (KeyError, TypeError, ValueError) as fault:
            raise Unanswered("its answer holds no probability") from fault
        if not 0 <= p <= 1:  # NaN too
            raise Unanswered(f"its probability is {p}")
        p = min(max(p, CERTAIN), 1 - CERTAIN)
        return math.log(p / (1 - p))

    def _chat(self, turn: Sequence[Part], **options: Any) -> dict[str, Any]:
        content = [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": "image_url", "image_url": {"url": self._address(part)}}
            for part in turn
        ]
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            **options,
        }
        if "qwen3" in self.model.lower():  # its newer templates think aloud unless they are told
            body["chat_template_kwargs"] = {"enable_thinking": False}
        try:
            choice: dict[str, Any] = self.server.ask("chat/completions", body)["choices"][0]
            return choice
        except (KeyError, TypeError, IndexError) as fault:
            raise Unanswered("an answer without choices") from fault

    def _address(self, image: Image.Image) -> str:
        return "data:image/jpeg;base64," + base64.b64encode(self._jpeg(image)).decode()

    def _jpeg(self, image: Image.Image) -> bytes:
        """A picture as it is sent, with no more pixels than the setting says."""
        scale = math.sqrt(min(1.0, self.pixels / (image.width * image.height)))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        buffer = io.BytesIO()
        picture = image if scale == 1.0 else image.resize(size, Image.Resampling.LANCZOS)
        picture.convert("RGB").save(buffer, "JPEG", quality=95)
        return buffer.getvalue()


def _sum(logs: Sequence[float]) -> float:
    """The logarithm of a sum of probabilities."""
    top = max(logs)
    return top + math.log(sum(math.exp(x - top) for x in logs))
