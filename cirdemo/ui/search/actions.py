"""What a click on the Search page changes: from a view and the click, a new view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from cirdemo.describe import with_phrase, without_phrase
from cirdemo.prompts import STEPS
from cirdemo.types import BadInput, Cue, Description, SearchResult
from cirdemo.ui.view import MODES, View

Told = Mapping[str, str]  # what the clicked element says of itself: action, mode, value, text


def changed(view: View, result: SearchResult | None, told: Told) -> View:
    """The view after a click.

    Raises:
        BadInput: The click does not fit what is shown; the text says what to do.
    """
    if result is None:
        raise BadInput("Search first; then change what the search found.")
    told = {name: str(value) for name, value in told.items()}
    action = told.get("action", "")
    if action not in _ACTIONS:
        raise BadInput("This page is older than the app behind it; load it again.")
    return _ACTIONS[action](view, result, told)


def phrase_of(cue: Cue) -> str:
    """The phrase of a cue as its description has it: of a change, the new one."""
    return cue.text.rpartition(" → ")[2]


def _chip(view: View, result: SearchResult, told: Told) -> View:
    """Keep a cue, or drop it."""
    description, phrase = _of(result, told), told.get("value", "")
    if phrase in view.without:
        return _again(replace(view, without=_less(view.without, phrase)), result, phrase)
    kept = phrase in _phrases(description)
    make = without_phrase if kept else with_phrase
    return _written(view, description.mode, make(description, phrase))


def _negate(view: View, result: SearchResult, told: Told) -> View:
    """Turn against a cue, in every description; or take that back."""
    phrase = told.get("value", "")
    if phrase in view.without:
        return _again(replace(view, without=_less(view.without, phrase)), result, phrase)
    view = replace(view, without=(*view.without, phrase))
    for mode, description in result.descriptions.items():
        if phrase in _phrases(description):
            view = _written(view, mode, without_phrase(description, phrase))
    return view


def _again(view: View, result: SearchResult, phrase: str) -> View:
    """With a cue that is no longer negated put back where the reference's caption has it."""
    for mode, description in result.descriptions.items():
        if getattr(view, mode) and phrase not in _phrases(description):
            view = replace(view, **{mode: with_phrase(description, phrase)})  # type: ignore[arg-type]
    return view


def _write(view: View, result: SearchResult, told: Told) -> View:
    """A description typed by hand; an empty one is given back to the model."""
    return replace(view, **{_mode(told): " ".join(told.get("text", "").split())})  # type: ignore[arg-type]


def _restore(view: View, result: SearchResult, told: Told) -> View:
    """The intersection with what it dropped, whole cues and words of a changed one."""
    found = _of(result, {"mode": "intersection"})
    union = _of(result, {"mode": "union"})
    fuller = {c.text.partition(" → ")[0]: phrase_of(c) for c in union.cues if " → " in c.text}
    for cue in found.cues:
        if " → " in cue.text and (now := fuller.get(cue.text.partition(" → ")[0])):
            text = " ".join(now if p == phrase_of(cue) else p for p in _phrases(found))
            found = replace(found, text=text)
    for cue in found.cues:
        if cue.status == "dropped" and cue.text in _phrases(union):
            found = replace(found, text=with_phrase(found, cue.text))
    return replace(view, intersection=found.text)


def _dial(view: View, result: SearchResult, told: Told) -> View:
    return replace(view, rerank_on=_mode(told))


def _toggle(name: str, *other: str) -> Callable[[View, SearchResult, Told], View]:
    def toggle(view: View, result: SearchResult, told: Told) -> View:
        return view.toggled(name, told.get("value", ""), other)

    return toggle


def _switch(name: str) -> Callable[[View, SearchResult, Told], View]:
    def switch(view: View, result: SearchResult, told: Told) -> View:
        return replace(view, **{name: not getattr(view, name)})  # type: ignore[arg-type]

    return switch


def _think(view: View, result: SearchResult, told: Told) -> View:
    """A step of the rationale written by hand; the steps before it stay, those behind it go."""
    step, text = told.get("value", ""), " ".join(told.get("text", "").split())
    if step not in STEPS or result.rationale is None:
        raise BadInput("There is no rationale to go on from; search with the reasoning on.")
    if not text:
        raise BadInput(f"Write the {step} first, or undo to see the model's own.")
    at = STEPS.index(step)
    steps = {name: getattr(result.rationale, name) for name in STEPS[:at]}
    steps |= {step: text} | dict.fromkeys(STEPS[at + 1 :], "")
    return replace(view, **steps)


def _unthink(view: View, result: SearchResult, told: Told) -> View:
    return replace(view, **dict.fromkeys(STEPS, ""))  # type: ignore[arg-type]


def _written(view: View, mode: str, text: str) -> View:
    if not text:
        raise BadInput("The last cue of a description cannot go; write another text instead.")
    return replace(view, **{mode: text})  # type: ignore[arg-type]


def _less(cues: tuple[str, ...], cue: str) -> tuple[str, ...]:
    return tuple(c for c in cues if c != cue)


def _mode(told: Told) -> str:
    mode = told.get("mode", "")
    if mode not in MODES:
        raise BadInput(f"There is no description {mode!r}; it can be {', '.join(MODES)}.")
    return mode


def _of(result: SearchResult, told: Told) -> Description:
    mode = _mode(told)
    if mode not in result.descriptions:
        raise BadInput(f"There is no {mode} description to change; search again.")
    return result.descriptions[mode]  # type: ignore[index]


def _phrases(description: Description) -> list[str]:
    from cirdemo.words import phrases

    return phrases(description.text)


_ACTIONS: dict[str, Callable[[View, SearchResult, Told], View]] = {
    "chip": _chip,
    "negate": _negate,
    "write": _write,
    "restore": _restore,
    "dial": _dial,
    "column": _toggle("columns"),
    "more": _toggle("more", "less"),
    "less": _toggle("less", "more"),
    "tuned": _switch("tuned"),
    "fuse": _switch("fuse"),
    "think": _think,
    "unthink": _unthink,
}
