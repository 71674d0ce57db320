"""What else a modification text could have said: pure functions from a text to its variants."""

from __future__ import annotations

import difflib
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cirdemo.data.drawn import rephrase
from cirdemo.data.drawn.wording import WORLDS
from cirdemo.words import MEANINGLESS, NUMBERS, STARTS

Kind = Literal["original", "drop", "swap", "negate", "paraphrase", "own"]
KINDS: tuple[Kind, ...] = ("drop", "swap", "negate", "paraphrase", "own")
MOST_WORDS = 14  # words that are left out one by one; a longer text leaves its first ones out
SWAPS_A_WORD = 2
MOST_SWAPS = 6
MOST_PARAPHRASES = 6
MOST_OWN = 20
SAME_PLACE = 3  # times that two words must stand in the same place to be taken for alternatives
COMMANDS = tuple(
    "make change turn give put add replace swap let show move paint bring have take leave remove "
    "get drop keep want".split()
)
_WORD = re.compile(r"[\w'-]+")
_NEGATED = (  # what says no, and what is left when it no longer does; the first that fits counts
    (re.compile(r"\bwithout\b"), "with"),
    (re.compile(r"\bno longer (\w+) but\b"), r"still \1 and not"),
    (re.compile(r"\bnot (\w+) but\b"), r"\1 and not"),
    (re.compile(r"\b(?:do|does|must|should|is|are) not "), ""),
    (re.compile(r"\bno (?:more|longer) "), ""),
    (re.compile(r"\b(?:no|not) "), ""),
)
_AFFIRMED = (
    (re.compile(r"\b(should|must) "), r"\1 not "),
    (re.compile(r"\b(is|are) "), r"\1 not "),
    (re.compile(r"\bi want\b"), "i do not want"),
    (re.compile(r"\bwith\b"), "without"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A text to try in place of the original."""

    kind: Kind
    text: str
    says: str = ""  # the edit in a few words: "without “red”", "red → blue"
    word: int | None = None  # index of the word that is left out

    @property
    def keeps_meaning(self) -> bool:
        """Whether the same pictures should be found."""
        return self.kind in ("original", "paraphrase")


def variants(
    text: str,
    *,
    kinds: Iterable[Kind] = KINDS,
    world: str = "",
    edit: str = "",
    captions: Sequence[str] = (),
    own: str = "",
) -> list[Variant]:
    """The original and everything to hold against it, each text once.

    Args:
        text: The modification text.
        kinds: Which kinds of variants to make.
        world: The drawn world that the text is about, "" for none.
        edit: The kind of the world's edit, "" where it is not known.
        captions: Of the gallery, for the words of a text about no drawn world.
        own: The reader's variants, one a line.
    """
    wanted = set(kinds)
    world = world if world in WORLDS else ""
    found = [Variant(kind="original", text=text, says="as written")]
    if "drop" in wanted:
        found += drops(text)
    if "swap" in wanted:
        found += swaps(text, rephrase.families(world) if world else places(text, captions))
    if "negate" in wanted:
        found += negations(text)
    if "paraphrase" in wanted:
        found += paraphrases(text, world, edit)
    if "own" in wanted:
        lines = [line.strip() for line in own.splitlines() if line.strip()]
        found += [Variant(kind="own", text=line, says="your own") for line in lines[:MOST_OWN]]
    once = {v.text.lower(): v for v in reversed(found)}  # the first of equal texts stays
    return [v for v in found if once[v.text.lower()] is v]


def drops(text: str) -> list[Variant]:
    """The text without each of its words in turn; none of a single word."""
    words = text.split()
    spoken = [n for n, word in enumerate(words) if _WORD.search(word)]
    if len(spoken) < 2:
        return []
    return [
        Variant(
            kind="drop",
            text=" ".join(words[:n] + words[n + 1 :]),
            says=f"without “{words[n]}”",
            word=n,
        )
        for n in spoken[:MOST_WORDS]
    ]


def swaps(text: str, families: Sequence[Sequence[str]]) -> list[Variant]:
    """Each word or phrase of a family in the text, with others of its family in its place.

    The longest match counts, so that "a red" becomes "an orange" and not "a orange"; which others
    are taken depends on the text alone.
    """
    found: list[Variant] = []
    for start, end, family in _spans(text, families):
        value = text[start:end]
        others = [o for o in dict.fromkeys(family) if o != value.lower()]
        rng = random.Random(f"{text}|{value}")
        for other in rng.sample(others, min(SWAPS_A_WORD, len(others))):
            changed = text[:start] + other + text[end:]
            found.append(Variant(kind="swap", text=changed, says=f"{value} → {other}"))
    return found[:MOST_SWAPS]


def _spans(text: str, families: Sequence[Sequence[str]]) -> list[tuple[int, int, Sequence[str]]]:
    """Where a value of a family stands, longest values first, none within another."""
    taken: list[tuple[int, int, Sequence[str]]] = []
    values = [(value, family) for family in families for value in family]
    for value, family in sorted(values, key=lambda pair: -len(pair[0])):
        for match in re.finditer(rf"(?<!another )\b{re.escape(value)}\b", text, re.IGNORECASE):
            if all(match.end() <= start or end <= match.start() for start, end, _ in taken):
                taken.append((match.start(), match.end(), family))
    return sorted(taken, key=lambda span: span[0])


def places(text: str, captions: Sequence[str]) -> list[tuple[str, ...]]:
    """For each word of the text, words that stand where it stands in captions.

    Two words that often have the same neighbours on both sides ("a red dress", "a blue dress")
    are values of one attribute more often than not.
    """
    around: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for caption in captions:
        words = ["", *_WORD.findall(caption.lower()), ""]
        for before, word, after in zip(words, words[1:], words[2:], strict=False):
            around[before, after][word] += 1
    found = []
    for word in dict.fromkeys(_WORD.findall(text.lower())):
        if word in STARTS | MEANINGLESS | NUMBERS:
            continue
        shared: Counter[str] = Counter()
        for counts in around.values():
            if word in counts:
                for other, times in counts.items():
                    shared[other] += min(times, counts[word])
        alike = [o for o, times in shared.most_common(6) if o != word and times >= SAME_PLACE]
        if alike:
            found.append((word, *alike))
    return found


def negations(text: str) -> list[Variant]:
    """The opposite wish: a no taken out where there is one, else put in."""
    for pattern, instead in _NEGATED:
        if pattern.search(text):
            changed = " ".join(pattern.sub(instead, text, count=1).split())
            return [Variant(kind="negate", text=changed, says="no longer negated")]
    found = []
    first = (_WORD.findall(text.lower()) or [""])[0]
    whole = f"do not {text}" if first in COMMANDS else f"not {text}"
    for pattern, instead in _AFFIRMED:
        if pattern.search(text):
            found.append(pattern.sub(instead, text, count=1))
            break
    texts = dict.fromkeys([*found, whole])
    return [Variant(kind="negate", text=t, says="negated") for t in texts]


def paraphrases(text: str, world: str = "", edit: str = "") -> list[Variant]:
    """The same wish in other words: the world's training phrasings, else small courtesies."""
    plain = " ".join(text.lower().rstrip(".!? ").split())
    told = rephrase.rephrase(world, plain, edit) if world else []
    told = [t for t in told if t != text]
    if told:
        step = max(1, len(told) // MOST_PARAPHRASES)  # spread over them: neighbours are alike
        says = "another phrasing"
        return [
            Variant(kind="paraphrase", text=t, says=says) for t in told[::step][:MOST_PARAPHRASES]
        ]
    first = (_WORD.findall(plain) or [""])[0]
    polite = plain.removesuffix(" please")
    rules = [f"{polite} please" if polite == plain else polite, f"this time {polite}"]
    if first in COMMANDS:
        rules += [f"could you {polite}", f"please {polite}"]
    else:
        rules += [f"the same but {polite}", f"now {polite}"]
    return [Variant(kind="paraphrase", text=t, says="with a courtesy") for t in rules]


def marked(original: str, text: str) -> list[tuple[str, Literal["same", "gone", "new"]]]:
    """A variant's words against the original's: what is gone, what is new, in reading order."""
    a, b = original.split(), text.split()
    out: list[tuple[str, Literal["same", "gone", "new"]]] = []
    matcher = difflib.SequenceMatcher(None, [w.lower() for w in a], [w.lower() for w in b], False)
    for tag, a0, a1, b0, b1 in matcher.get_opcodes():
        if tag == "equal":
            out.append((" ".join(b[b0:b1]), "same"))
            continue
        if a1 > a0:
            out.append((" ".join(a[a0:a1]), "gone"))
        if b1 > b0:
            out.append((" ".join(b[b0:b1]), "new"))
    return out
