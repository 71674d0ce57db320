"""A language model on a server: OpenAI-compatible chat, or `transformers serve`'s decisions.

Chat answers are read with `logprobs` (vLLM, SGLang); `/v1/systemone` answers a yes/no question with
a probability (`transformers serve`, whose chat leaves logprobs out). A request that fails is tried
again with growing pauses; what fails for good is told for the one picture that it was about.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import math
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from PIL import Image

from cirdemo import prompts
from cirdemo.profiles import ModelSettings
from cirdemo.types import CirError

log = logging.getLogger(__name__)
Part = Image.Image | str  # one piece of a user's turn
LIKELIEST = 20  # tokens told with their probabilities: the most that vLLM gives unasked
PAUSE = 0.5  # seconds before the second try, doubled for each later one
LONG = 2_000_000  # bytes of an answer; one with 20 log-probabilities has a few thousand
LONGEST = 30.0  # seconds of a pause, whatever a server asks for
CONNECT = 3.0  # seconds to be connected
DEAD = 5  # questions in a row that nobody answered, after which none is asked
REST = 30.0  # seconds that none is asked then; the next one decides whether it goes on so
AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504))  # statuses that may pass
CERTAIN = 1e-6  # probabilities nearer to 0 or 1 are told as this: a float's 0 has no logit
# what `transformers serve` leaves of the turn's frame where a tokenizer joins tokens with spaces
_FRAME = re.compile(r"<\|im_start\|>\s*assistant|<\|[\w-]+\|>")
QUESTION = "Does the last picture show what is wanted?"


class Unanswered(CirError):
    """One request that failed for good; others may go through. `silent`: nobody answered at all."""

    silent = False


class Refused(CirError):
    """A server that cannot answer any such request: asking on would only take time."""


class Server:
    """Requests with time limits, tries and pauses; safe under threads."""

    def __init__(self, settings: ModelSettings) -> None:
        """A server's address and how patiently it is asked; nothing is sent yet."""
        address = settings.remote.rstrip("/")
        self.address = address if address.endswith("/v1") else f"{address}/v1"
        self.name = urlsplit(address).netloc.rpartition("@")[2]
        self._public = bool(getattr(settings, "public", False))
        if self._public:  # strangers read the messages: neither its name nor its words go there
            self.name = "of the models"
        self._tries, self._timeout = settings.remote_tries, settings.remote_timeout
        self._unanswered, self._asked_from = 0, 0.0  # in a row; when it may be asked again
        self._lock = threading.Lock()
        key = {"Authorization": f"Bearer {settings.remote_key}"} if settings.remote_key else {}
        # no proxy of the environment, no redirect: pictures and key go to this address alone
        self._client = httpx.Client(headers=key, trust_env=False)

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object that a path answers with, in bounded time whatever the server does.

        Raises:
            Unanswered: Every try failed; the text says how. Or nobody answered lately.
            Refused: The server does not know the path, the model or the key.
        """
        if (rest := self._asked_from - time.monotonic()) > 0:
            fault = Unanswered(f"not asked for {rest:.0f} s more, as nobody answered {DEAD} times")
            fault.silent = True
            raise fault
        try:
            found = self._ask(path, body)
        except Unanswered as fault:
            self._note(fault.silent)
            raise
        self._note(silent=False)
        return found

    def _note(self, silent: bool) -> None:
        """Count the questions in a row that nobody answered, and rest when they are too many."""
        with self._lock:
            self._unanswered = self._unanswered + 1 if silent else 0
            if self._unanswered >= DEAD:
                self._asked_from = time.monotonic() + REST

    def _ask(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """One question, with as many tries as its time allows."""
        why, wait, tries, end = "", 0.0, 0, time.monotonic() + self._timeout
        while tries < self._tries and (not tries or self._wait(tries, wait, end)):
            tries += 1
            wait = 0.0
            try:
                answer = self._send(path, body, end)
            except httpx.TimeoutException:
                why = f"no answer within {self._timeout:g} s"
                continue
            except httpx.HTTPError as error:
                why = f"no connection ({error})" if str(error) else "no connection"
                continue
            if answer.status_code in AGAIN:
                why = f"status {answer.status_code}: {self._words(answer)}"
                with contextlib.suppress(ValueError):
                    wait = float(answer.headers.get("retry-after", 0))
                continue
            if answer.status_code in (401, 403, 404, 405):
                raise Refused(
                    f"{self.name} refuses {path} (status {answer.status_code}: "
                    f"{self._words(answer)}). Check remote, remote_model, remote_key and "
                    "remote_api."
                )
            if answer.is_error:
                raise Unanswered(f"status {answer.status_code}: {self._words(answer)}")
            try:
                found = answer.json()
            except (ValueError, RecursionError):
                found = None
            if isinstance(found, dict):
                return found
            why = "an answer that is no JSON object"
        told = "once" if tries == 1 else f"{tries} times"
        fault = Unanswered(f"{why}; tried {told}")
        fault.silent = why.startswith(("no answer", "no connection"))
        raise fault

    def _send(self, path: str, body: Mapping[str, Any] | None, end: float) -> httpx.Response:
        """One request; an answer that trickles or does not end is given up like a slow one."""
        left = max(end - time.monotonic(), 0.01)
        limits = httpx.Timeout(left, connect=min(CONNECT, left))
        method, data = "GET" if body is None else "POST", bytearray()
        there = f"{self.address}/{path}"
        with self._client.stream(method, there, json=body, timeout=limits) as answer:
            for piece in answer.iter_bytes():
                data += piece
                if len(data) > LONG:
                    raise httpx.ReadError(f"its answer is longer than {LONG / 1e6:.0f} MB")
                if time.monotonic() > end:
                    raise httpx.ReadTimeout("it does not come to an end")
            told = {k: v for k, v in answer.headers.items() if k == "retry-after"}
            return httpx.Response(answer.status_code, headers=told, content=bytes(data))

    def _words(self, answer: httpx.Response) -> str:
        """What a server says of its refusal, for who set it up; for strangers a log line."""
        said = _said(answer)
        if self._public:
            log.warning("the server answers %d: %s", answer.status_code, said)
            return "the log has its words"
        return said

    @staticmethod
    def _wait(number: int, asked: float, end: float) -> bool:
        """Pause before try `number`, a little apart from what others do, if the time allows it.

        Never less than the server asked for, up to `LONGEST`.
        """
        pause = min(max(PAUSE * 2 ** (number - 1), asked), LONGEST) * random.uniform(1, 1.4)
        if time.monotonic() + pause >= end:
            return False
        time.sleep(pause)
        return True


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


def _said(answer: httpx.Response) -> str:
    """What a server says of its refusal, in one short line."""
    try:
        found = answer.json()
        told = found.get("error", found.get("detail", found)) if isinstance(found, dict) else found
        text = told.get("message", told) if isinstance(told, dict) else told
        text = text if isinstance(text, str) else json.dumps(text)
    except (ValueError, RecursionError):
        text = answer.text
    return " ".join(text.split())[:160].rstrip(".") or "nothing said"
