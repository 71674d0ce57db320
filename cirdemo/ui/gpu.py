"""A graphics card that is lent by the call, as on a ZeroGPU Space; elsewhere nothing happens."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

SECONDS = 60  # asked for by a call; the longest search takes a tenth of it on two CPU cores
STREAMS = ("search", "judge")  # methods of an engine that yield
CALLS = ("explain",)


def lend(engine: Any) -> Any:
    """The engine, its model work wrapped in `spaces.GPU` where that package is installed."""
    if importlib.util.find_spec("spaces") is None:
        return engine
    gpu = importlib.import_module("spaces").GPU
    for name in STREAMS:
        setattr(engine, name, _stream(getattr(engine, name), gpu))
    for name in CALLS:
        setattr(engine, name, _call(getattr(engine, name), gpu))
    return engine


def _stream(method: Callable[..., Iterator[Any]], gpu: Any) -> Callable[..., Iterator[Any]]:
    @functools.wraps(method)
    def run(*args: Any, **named: Any) -> Iterator[Any]:
        yield from method(*args, **named)

    lent: Callable[..., Iterator[Any]] = gpu(duration=SECONDS)(run)
    return lent


def _call(method: Callable[..., Any], gpu: Any) -> Callable[..., Any]:
    @functools.wraps(method)
    def run(*args: Any, **named: Any) -> Any:
        return method(*args, **named)

    lent: Callable[..., Any] = gpu(duration=SECONDS)(run)
    return lent
