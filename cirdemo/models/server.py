"""A server that is asked over HTTP: with time limits, tries and pauses, and a rest when it is dead.

A request that fails is tried again with growing pauses; whatever the server does, a question ends.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from cirdemo.profiles import ModelSettings
from cirdemo.types import CirError

log = logging.getLogger(__name__)
PAUSE = 0.5  # seconds before the second try, doubled for each later one
LONG = 2_000_000  # bytes of an answer; one with 20 log-probabilities has a few thousand
LONGEST = 30.0  # seconds of a pause, whatever a server asks for
CONNECT = 3.0  # seconds to be connected
DEAD = 5  # questions in a row that nobody answered, after which none is asked
REST = 30.0  # seconds that none is asked then; the next one decides whether it goes on so
AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504))  # statuses that may pass


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
