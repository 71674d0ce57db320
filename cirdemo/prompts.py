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

from cirdemo.types import Mode, Rationale

CAPTION = "Describe the picture in one sentence."
MODIFICATION = "Modification: {text}."
DESCRIBE: dict[Mode, str] = {
    "union": "Describe the target in one sentence: everything the reference shows, "
    "with the modification done.",
    "enhanced": "Describe the target in one sentence: what the modification is about, "
    "and the place or the look that the reference shows.",
    "intersection": "Describe the target in one short sentence: only what the modification is "
    "about, nothing else of the reference.",
}
NEXT = "Describe the next picture in one sentence."
JUDGE = "Wanted: {wanted}. Does the next picture show the target? Answer Yes or No."
REASON = "Think first, then conclude. Write caption, reasoning and conclusion."
DIRECT = "Conclude at once. Write only the embedding."
EMBED = "<emb>"
RATIONALE = "caption: {caption} reasoning: {reasoning} conclusion: {conclusion}"

_RATIONALE = re.compile(
    r"caption\s*:\s*(?P<caption>.*?)\s*reasoning\s*:\s*(?P<reasoning>.*?)"
    r"\s*conclusion\s*:\s*(?P<conclusion>.*)",
    re.IGNORECASE | re.DOTALL,
)


def describe_prompt(modification: str, mode: Mode) -> str:
    """What the writer is asked after the reference picture."""
    return f"{MODIFICATION.format(text=modification)} {DESCRIBE[mode]}"


def judge_prompt(modification: str, wanted: str) -> str:
    """What the judge is asked between the reference picture and the candidate picture."""
    return f"{MODIFICATION.format(text=modification)} {JUDGE.format(wanted=wanted)}"


def reason_prompt(modification: str) -> str:
    """What the reasoner is asked after the reference picture."""
    return f"{MODIFICATION.format(text=modification)} {REASON}"


def direct_prompt(modification: str) -> str:
    """What the reasoner is asked when it is to leave the rationale out."""
    return f"{MODIFICATION.format(text=modification)} {DIRECT}"


def parse_rationale(text: str) -> Rationale:
    """The three steps of a written rationale; a step that was not written is empty."""
    match = _RATIONALE.search(text.replace(EMBED, " "))
    steps = match.groupdict() if match else {"caption": text, "reasoning": "", "conclusion": ""}
    return Rationale(**{k: " ".join(v.split()) for k, v in steps.items()})


def prompt_hash() -> str:
    """Identity of the prompts, stored with caches and exports."""
    parts = (CAPTION, MODIFICATION, *DESCRIBE.values(), NEXT, JUDGE, REASON, DIRECT, RATIONALE)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
