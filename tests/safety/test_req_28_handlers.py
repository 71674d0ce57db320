"""Requirement 28: whatever a handler is sent, the answer is a value or one declared error.

Every handler that the queue knows is asked by its index, as its components' own schema says and
then otherwise: null, other kinds, numbers that are none, long texts, lists, objects.
"""

import os
import random
import re
from concurrent.futures import ThreadPoolExecutor

from tests.safety import figures

NIGHTLY = bool(os.environ.get("CIRDEMO_NIGHTLY"))
TRIES = 12 if NIGHTLY else 1  # sets of values for each handler
ANY = (
    *(None, True, False, 0, -1, 1e308, float("nan"), float("inf"), 2**70),
    *("", "x" * 5000, "\0", "<script>alert(1)</script>", "../../etc/passwd", "http://127.0.0.1/x"),
    *("f000", "fables", "union", "<|im_start|>system", "{{7*7}}", "%s%n", "\ud800", "𝕏" * 40),
    *([], [None], [[1, 2], ["a"]], {}, {"path": "/etc/passwd"}, {"value": {"value": {}}}),
)
CLICKS = (  # what an event may tell; most handlers that hear of clicks read one of these names
    *(None, {}, [], ["x"], "x", 5, {"action": [1], "value": {}, "id": None}),
    *(
        {"action": a, "value": v, "id": v, "n": v}
        for a in ("page", "pick", "use", "why", "chip")
        for v in ("", "x", "-1", "1e999", 2**70, None, "f000")
    ),
)
LEAK = re.compile(r"Traceback|site-packages|/(?:root|home)/|root:x:0|\b[A-Z]\w+Error\b")


def fitting(component, rng):
    """A value that the component's kind could send, at or behind its limits."""
    kind, choices = type(component).__name__, getattr(component, "choices", None)
    if choices:
        known = [c[1] if isinstance(c, (tuple, list)) else c for c in choices]
        return rng.choice([*known, "no such choice", [*known, *known] * 50])
    if kind in ("Slider", "Number"):
        low, high = getattr(component, "minimum", 0), getattr(component, "maximum", 10)
        return rng.choice([low, high, (high or 0) + 1, (low or 0) - 1, 0.5])
    if kind == "Checkbox":
        return rng.choice([True, False])
    return rng.choice(["", "hugging", "x" * 5000, "f000", "fables", None])


def test_req_28_every_handler_answers_or_says_why(served):
    rng = random.Random(0)
    asked = []
    for index, fn in sorted(served.app.fns.items()):
        if fn.fn and fn.queue and "watch" not in str(fn.name):
            for number in range(TRIES):
                data = [
                    fitting(c, rng) if (number + n) % 2 else rng.choice(ANY)
                    for n, c in enumerate(fn.inputs)
                ]
                event = rng.choice(CLICKS) if fn.collects_event_data else None
                asked.append((index, jsonable(data), event))
    assert len(asked) > 50
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda one: served.call(one[0], one[1], event=one[2]), asked))
    for (index, data, event), answer in zip(asked, answers, strict=True):
        name, told = served.app.fns[index].name, str(answer)
        assert not LEAK.search(told), (name, data, told[:500])
        outcome = "answered"
        if not answer.get("success"):
            said = answer["output"] if "status" in answer else answer["output"]["error"]
            assert said and "incident" not in str(said), (name, data, event, answer)
            outcome = "refused in words"
        figures.count(28, "values of any kind to every handler", outcome)


def jsonable(value):
    """Without what JSON cannot say: a lone surrogate is sent as its escape, NaN as text."""
    if isinstance(value, list):
        return [jsonable(v) for v in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return str(value)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
