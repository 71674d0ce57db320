"""Words of a modification text that no description took up: a wish that is half understood.

Only words are told that the gallery's captions use, so that the models know a thing they stand for
and its absence says something. What is there already, or is wished away or replaced, need not be in
a description of the target; such words are never told. Words that nobody has seen in training are
told apart from them, and so is a long text of which little was taken up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cirdemo.words import MEANINGLESS, NUMBERS, STARTS, akin, quoted

# what follows one of these is not in the target, up to the next of `_TURNS`
_AGAINST = re.compile(
    r"\b(?:not?|without|nor|never|neither|none|isn't|don't|instead of|rather than|than|unlike"
    r"|remove|removing|drop|lose|delete|replace|swap|leave out|leave off|leave|take off"
    r"|take away|take out|take|rid of|change|turn|minus|except)\b"
)
_TURNS = re.compile(r"[,;:.]|\b(?:but|and|with|into|to|for|then|just|only|in place of)\b")
LONG = 12  # words that stand for something; the models were trained on texts with fewer
_NAMED = re.compile(r"(?<!\bin )(?<!\bon )(?<!\bby )(?<!\bat )\bthe [a-z]+")  # is there already
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


def vocabulary(captions: Iterable[str]) -> frozenset[str]:
    """The words of some captions that stand for something one can see."""
    words = {word for caption in captions for word in _words(caption)}
    return frozenset(words - STARTS - MEANINGLESS - NUMBERS)


def unheard(
    text: str, descriptions: Sequence[str], caption: str, known: frozenset[str]
) -> tuple[str, ...]:
    """Words of the text that are in none of the descriptions, once each and in order.

    Args:
        text: The modification text.
        descriptions: What was made of it and the reference image.
        caption: What the reference image shows; "" where nobody has said.
        known: See `vocabulary`.
    """
    there = [*_words(caption), *(word for d in descriptions for word in _words(d))]
    wished = _wished(text.lower())
    told = [w for w in _words(wished) if _base(w, known) and not _any_akin(w, there)]
    return tuple(dict.fromkeys(told))


def never_seen(words: Sequence[str], descriptions: Sequence[str]) -> str:
    """That words are new to the models, and which of them left no trace; "" for none.

    Args:
        words: Of the modification text, never seen in training.
        descriptions: What was made of the text; none where nothing was written.
    """
    used = {word for d in descriptions for word in _words(d)}
    lost = [w for w in words if descriptions and used.isdisjoint(_words(w))]
    guessed = [w for w in words if w not in lost]
    said = []
    if lost:
        them = "this word" if len(lost) == 1 else "these words"
        said.append(
            f"Left out: {quoted(lost)}. The models have never seen {them}; no description "
            "takes them up, so they are searched without."
        )
    if guessed:
        said.append(
            f"The models have never seen {quoted(guessed)}: what they make of it is a guess."
        )
    return " ".join(said)


def passed_over(text: str, descriptions: Sequence[str]) -> str:
    """That little of a long text was taken up; "" where it is short or more was."""
    asked = set(_words(text)) - STARTS - MEANINGLESS
    there = [word for d in descriptions for word in _words(d)]
    taken = [w for w in asked if _any_akin(w, there)]
    if len(asked) <= LONG or not there or len(taken) > len(asked) / 2:
        return ""
    return (
        f"Most of your text was passed over: of its {len(asked)} different words the descriptions "
        f"use {len(taken) or 'none'}. The models were trained on short texts; ask for one or two "
        "changes at a time."
    )


def half_understood(words: Sequence[str]) -> str:
    """That words of the text are in no description, and what to do about it; "" for none."""
    if not words:
        return ""
    named = quoted(words)
    it = "it" if len(words) == 1 else "them"
    return (
        f"Only a part of your text was understood: no description speaks of {named}, so nothing "
        f"is searched with {it}. Ask for less at once, or write {it} into a description and run "
        "from there."
    )


def _wished(text: str) -> str:
    """The text without what it turns against."""
    kept, at = [], 0
    while found := _AGAINST.search(text, at):
        kept.append(text[at : found.start()])
        turn = _TURNS.search(text, found.end())
        at = turn.end() if turn else len(text)
    return _NAMED.sub(" ", " , ".join([*kept, text[at:]]))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _base(word: str, known: frozenset[str]) -> bool:
    """Whether a word, or a plain other form of it, is among the known ones."""
    forms = {word, f"{word}s", f"{word}es", f"{word}ing", f"{word}{word[-1]}ing"}
    forms |= {f"{word[:-1]}ing"} if word.endswith("e") else set()
    forms |= {word.removesuffix("s"), word.removesuffix("es")}
    return not forms.isdisjoint(known)


def _any_akin(word: str, others: Sequence[str]) -> bool:
    stem = word.removesuffix("e")  # "ride" and "riding"
    return any(akin(word, other) or other.startswith(stem) for other in others)
