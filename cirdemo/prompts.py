"""Every prompt of every profile, and the parsers of the answers.

The layout of a turn is fixed by how re-ranking is made cheap: the reference picture and all words
come first, the candidate picture and the answer cue last, so that everything before the candidate
is computed once for all candidates.

Sources of ideas: short, edit-only descriptions without negated words (LM-CIR's prompt rules) for
intersection; keep-all-content descriptions (OSrCIR) for union; Yes/No on the first answer token
(LamRA, Qwen3-VL-Reranker) for the judge; Caption -> Reasoning -> Conclusion -> embedding (CIR-CoT).
Wording is ours; SETR and CIR-CoT do not publish theirs.
"""

from __future__ import annotations

import hashlib
import re

from cirdemo.types import BadInput, Mode, Rationale

CAPTION = "Describe the picture in one sentence."
MODIFICATION = "Modification: {text}."
REFERENCE = "Reference: {caption}."
DESCRIBE: dict[Mode, str] = {
    "union": "Describe the target in one sentence: everything the reference shows, "
    "with the modification done.",
    "enhanced": "Describe the target in one sentence: what the modification is about, "
    "and the place or the look that the reference shows.",
    "intersection": "Describe the target in one short sentence: only what the modification is "
    "about, nothing else of the reference.",
}
# Qwen3-VL-Reranker was trained on this frame; the instruction is ours
RERANKER = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".'
)
RERANKER_TURN = ("<Instruct>: {instruct}<Query>:", "{text}\n<Document>:")  # pictures behind each
INSTRUCT = (
    "Find the image that shows what the query image would after the change that is asked for."
)
NEXT = "Describe the next picture in one sentence."
JUDGE = "Wanted: {wanted}. Does the next picture show the target? Answer Yes or No."
REASON = "Think first, then conclude. Write caption, reasoning and conclusion."
DIRECT = "Conclude at once. Write only the embedding."
EMBED = "<emb>"
RATIONALE = "caption: {caption} reasoning: {reasoning} conclusion: {conclusion}"

STEPS = ("caption", "reasoning", "conclusion")
_LABELS = tuple(re.compile(rf"\b{step}\s*:", re.IGNORECASE) for step in STEPS)
_HALF_LABEL = re.compile(r"\s*\b(?:caption|reasoning|conclusion)\s*$", re.IGNORECASE)
_RATIONALE = re.compile(
    r"caption\s*:\s*(?P<caption>.*?)\s*reasoning\s*:\s*(?P<reasoning>.*?)"
    r"\s*conclusion\s*:\s*(?P<conclusion>.*)",
    re.IGNORECASE | re.DOTALL,
)


def describe_prompt(modification: str, mode: Mode, caption: str) -> str:
    """What the writer is asked after the reference picture, its own caption of it in words.

    With the caption there, to describe the target is to edit a sentence; small models, which see
    two animals and mix up which of them the text means, edit much better than they picture it.
    """
    return f"{in_words(modification, caption)} {DESCRIBE[mode]}"


def in_words(modification: str, caption: str) -> str:
    """The query in words."""
    return f"{REFERENCE.format(caption=caption)} {MODIFICATION.format(text=modification)}"


def judge_prompt(modification: str, wanted: str, caption: str = "") -> str:
    """What the judge is asked between the reference picture and the candidate picture.

    With the writer's caption of the reference, where there is one: that a text speaks of an animal
    that the reference does not show is then read off two sentences.
    """
    told = in_words(modification, caption) if caption else MODIFICATION.format(text=modification)
    return f"{told} {JUDGE.format(wanted=wanted)}"


def reason_prompt(modification: str) -> str:
    """What the reasoner is asked after the reference picture."""
    return f"{MODIFICATION.format(text=modification)} {REASON}"


def direct_prompt(modification: str) -> str:
    """What the reasoner is asked when it is to leave the rationale out."""
    return f"{MODIFICATION.format(text=modification)} {DIRECT}"


def rationale_text(told: Rationale) -> tuple[str, str]:
    """A whole rationale as it is written: its caption, and the rest."""
    steps = {step: getattr(told, step) for step in STEPS}
    text = RATIONALE.format(**steps)
    caption = text[: text.index(" reasoning:")]
    return caption, text[len(caption) + 1 :]


def parse_rationale(text: str) -> Rationale:
    """The three steps of a written rationale; a step that was not written is empty."""
    match = _RATIONALE.search(text.replace(EMBED, " "))
    steps = match.groupdict() if match else {"caption": text, "reasoning": "", "conclusion": ""}
    return Rationale(**{k: " ".join(v.split()) for k, v in steps.items()})


def begin_rationale(given: Rationale) -> tuple[str, bool]:
    """A rationale's beginning from steps that are given, and whether anything is left to write.

    It ends with the label of the first step that is not given.

    Raises:
        BadInput: A step is given behind one that is not.
    """
    told = [getattr(given, step) for step in STEPS]
    count = next((i for i, text in enumerate(told) if not text), len(told))
    if any(told[count:]):
        missing, there = STEPS[count], next(s for s in STEPS[count:] if getattr(given, s))
        raise BadInput(
            f"The {there} is written by hand, but not the {missing} before it. Write the "
            f"{missing} too, or clear the {there}."
        )
    begin = " ".join(f"{s}: {t}" for s, t in zip(STEPS[:count], told, strict=False))
    if count == len(STEPS):
        return begin, False
    return (f"{begin} {STEPS[count]}:" if count else ""), True


def continue_rationale(given: Rationale, text: str) -> Rationale:
    """The steps of a rationale whose beginning is given, as far as the rest is written."""
    count = sum(bool(getattr(given, step)) for step in STEPS)
    steps = {step: getattr(given, step) for step in STEPS}
    rest = _HALF_LABEL.sub("", text.replace(EMBED, " "))
    if count == 0:
        rest = _LABELS[0].sub("", rest, count=1)
    for number in range(count, len(STEPS)):
        cut = _LABELS[number + 1].split(rest, maxsplit=1) if number + 1 < len(STEPS) else [rest]
        steps[STEPS[number]] = " ".join(cut[0].split())
        if len(cut) < 2:
            break
        rest = cut[1]
    return Rationale(**steps)


def prompt_hash() -> str:
    """Identity of the prompts as they are put together, stored with caches and exports."""
    text, caption, wanted = "{text}", "{caption}", "{wanted}"
    parts = (
        CAPTION,
        NEXT,
        *(describe_prompt(text, mode, caption) for mode in DESCRIBE),
        judge_prompt(text, wanted, caption),
        judge_prompt(text, wanted),
        reason_prompt(text),
        direct_prompt(text),
        RATIONALE,
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
