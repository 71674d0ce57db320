"""What two runs' files say about each other, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cirdemo.evaluate.aspects import BY_RULE
from cirdemo.evaluate.tables import percent

Report = Mapping[str, Any]  # of `movement.analyse`, with "a", "b", "dataset", "split"
MOVERS = 10  # queries named in the page; the JSON has all
MEANINGS = {
    "annotation doubtful": "the first picture of B carries a positive soft label",
    "coarse miss": "no target is in A's list: no order of it could help",
    "re-rank inversion": "A had a target first",
    "below a non-target": "a target is in A's list, and another picture stands above it",
}


def page(report: Report) -> str:
    """The whole page."""
    parts = [
        f"# {report['a']} -> {report['b']}",
        f"{report['queries']} queries of {report['dataset']}, split {report['split']}. A is "
        f"{report['a']}, B is {report['b']}. Rates in percent, differences are B minus A, in "
        "brackets the 95 % paired bootstrap interval over queries.",
        _lists(report["lists"], report["queries"]),
    ]
    if "rows" in report:
        parts += [_metrics(report), _flips(report), _bands(report), _blame(report)]
        parts += [_aspects(report), _movers(report)]
    else:
        parts.append("The split has no public targets, so only the lists can be compared.")
    if facts := [f["text"] for f in report.get("facts", ()) if f["affects"]]:
        parts.append("## The annotations\n\n" + "\n".join(f"- {text}" for text in facts))
    return "\n\n".join(parts) + "\n"


def table(heads: Sequence[str], rows: Iterator[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def _lists(told: Mapping[str, Any], queries: int) -> str:
    def number(key: str) -> str:
        value = told[key]
        return "-" if value is None or value != value else f"{value:.2f}"

    return (
        "## Lists\n\n"
        f"- Both lists hold the same pictures in {told['same_pictures']} of {queries} queries.\n"
        f"- The first picture stays in {percent(told['same_first'])} %; it comes from beyond rank "
        f"10 of A in {percent(told['first_from_beyond_10'])} %, and is not in A's list in "
        f"{told['first_not_in_a']} queries.\n"
        f"- Rank in A of B's first picture: mean {number('mean_rank_of_new_first')}, median "
        f"{number('median_rank_of_new_first')}. Kendall's tau of the shared pictures: "
        f"{number('mean_kendall_tau')}."
    )


def _metrics(report: Report) -> str:
    rows = (
        [name, percent(m["a"]), percent(m["b"]), percent(m["difference"], m["interval"], "+")]
        for name, m in report["metrics"].items()
    )
    pool = "\n".join(f"- {name}: {percent(v)}" for name, v in report["pool"].items())
    return (
        f"## Targets\n\n{table(['metric', 'A', 'B', 'B - A'], rows)}\n\n{report['verdict']}\n\n"
        f"B's best target stands higher in {report['b_wins']} queries, lower in "
        f"{report['a_wins']}, at the same rank in {report['ties']}.\n\n## Pool\n\n{pool}"
    )


def _flips(report: Report) -> str:
    rows = (
        [cut, len(f["rescued"]), len(f["lost"]), f"{len(f['rescued']) - len(f['lost']):+d}"]
        for cut, f in report["flips"].items()
    )
    return f"## Rescued and lost\n\n{table(['within', 'rescued', 'lost', 'net'], rows)}"


def _bands(report: Report) -> str:
    names = list(report["bands"])
    rows = ([f"A {x}", *(report["bands"][x][y] for y in names)] for x in names)
    heads = ["rank of the target", *(f"B {y}" for y in names)]
    return f"## Rank flow\n\n{table(heads, rows)}"


def _blame(report: Report) -> str:
    rows = ([name, count, MEANINGS[name]] for name, count in report["blame"].items())
    return f"## Misses of B at rank 1\n\n{table(['blame', 'queries', 'meaning'], rows)}"


def _aspects(report: Report) -> str:
    found = report["aspects"]
    names = [m for m in ("R@1", "R@10", "mAP@10") if any(m in v for v in found.values())]
    rows = (
        [
            aspect.replace("_", " "),
            v["queries"],
            *(
                f"{percent(v[m]['a'])} / {percent(v[m]['b'])} / "
                f"{percent(v[m]['difference'], v[m]['interval'], '+')}"
                if m in v
                else "-"
                for m in names
            ),
        ]
        for aspect, v in found.items()
    )
    heads = ["aspect", "queries", *(f"{m}: A / B / B - A" for m in names)]
    rule = ", which may be wrong about a text" if report["aspects_from"] == BY_RULE else ""
    return f"## Aspects\n\n{table(heads, rows)}\n\nAspects {report['aspects_from']}{rule}."


def _movers(report: Report) -> str:
    """The queries whose target has moved furthest, by the ratio of its ranks."""
    parts = []
    for name, rows in zip(("risen", "fallen"), movers(report["rows"]), strict=True):
        told = (
            [r["query_id"], r["modification"].replace("|", "/"), r["a"]["rank"] or "-",
             r["b"]["rank"] or "-"] for r in rows
        )  # fmt: skip
        heads = ["query", "modification text", "rank in A", "rank in B"]
        parts.append(f"## Furthest {name}\n\n{table(heads, told)}")
    return "\n\n".join(parts)


def movers(
    rows: Sequence[Mapping[str, Any]], count: int = MOVERS
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """The queries whose best target rose and fell furthest, as a ratio of ranks."""
    absent = 1000  # stands for a rank beyond the lists' ends

    def ratio(row: Mapping[str, Any]) -> float:
        return float((row["a"]["rank"] or absent) / (row["b"]["rank"] or absent))

    ordered = sorted(rows, key=lambda r: (-ratio(r), r["query_id"]))
    return (
        [r for r in ordered[:count] if ratio(r) > 1],
        [r for r in reversed(ordered[-count:]) if ratio(r) < 1],
    )
