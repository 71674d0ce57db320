"""Which of a visitor's runs may write on the page: the one asked for last, until it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import gradio as gr

T = TypeVar("T")


@dataclass(eq=False)
class Ticket:
    """One visitor's runs of one kind; one object for a session, changed in place.

    A run is asked for outside the queue, where it gets its number, and works inside it, later. The
    page carries the number from the one to the other, so that Stop, which is outside as well, holds
    for a run that still waits for its turn.
    """

    number: int = 0  # of the run that was asked for last
    live: bool = False  # it may write: it has not ended, and nobody has stopped it
    stopped: bool = False  # somebody has

    def ask(self) -> int:
        """A new run's number; the runs before it end at their next step."""
        self.number, self.live, self.stopped = self.number + 1, True, False
        return self.number

    def stop(self) -> None:
        """The run ends at its next step and says so."""
        self.live, self.stopped = False, True

    def drop(self) -> None:
        """The run ends at its next step and says nothing: the page shows something else now."""
        self.number, self.live, self.stopped = self.number + 1, False, False

    def holds(self, number: float | None) -> bool:
        """Whether a run may write."""
        return self.live and number == self.number

    def steps(
        self, number: float | None, made: Generator[T, None, None], halted: Callable[[], T]
    ) -> Iterator[T]:
        """The steps of a run for as long as it may write.

        Args:
            number: What `ask` gave it.
            made: Its steps; none is made before it is known that somebody waits for it.
            halted: What it says once it was stopped; said here too because a step that was on its
                way may have come in behind the words of Stop itself.
        """
        try:
            while self.holds(number):
                try:
                    step = next(made)
                except StopIteration:
                    break
                if self.holds(number):
                    yield step
            if self.stopped and number == self.number:
                yield halted()
        finally:
            made.close()
            if number == self.number:
                self.live = False

    def buttons(self) -> tuple[Any, Any]:
        """The button that runs and the one that stops, as the last run stands."""
        return gr.update(interactive=not self.live), gr.update(interactive=self.live)


def parts() -> tuple[gr.Number, gr.State]:
    """The number of a run, which the page carries, and the visitor's ticket."""
    return gr.Number(0, visible=False, label="Run"), gr.State(Ticket())
