"""Lists against targets, as the benchmarks' own code scores them; each protocol has a name.

Hits are counted as integers and divided once, in float64. What a file does not hold is not
scored: a missing query is an error, never a silently smaller mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cirdemo import metrics
from cirdemo.registry import unknown
from cirdemo.submission.files import SUBSET, Submission, ranked
from cirdemo.types import BadInput, ImageId, Triplet

if TYPE_CHECKING:
    from cirdemo.data.benchmark import Benchmark

PROTOCOLS: dict[str, dict[str, str]] = {  # dataset -> name -> what it means; the first is usual
    "cirr": {
        "hard-target": "found is target_hard alone, as CLIP4Cir, SEARLE and papers on val report",
        "soft-label": "the highest soft label among the first k, as the dataset's authors score",
    },
    "circo": {
        "circo": "every ground truth, AP over min(|ground truths|, k), reference not left out; "
        "Recall of target_img_id alone, as CIRCO's evaluation.py",
    },
    "fashioniq": {
        "split-gallery": "all pictures of the split file, reference not left out; plain mean of "
        "the categories",
        "union-gallery": "only the references and targets of the val queries (VAL split); numbers "
        "are higher",
    },
}
CUTS = {"cirr": (1, 5, 10, 50), "circo": (5, 10, 25, 50), "fashioniq": (10, 50)}
SUBSET_CUTS = (1, 2, 3)
SEMANTIC_CUT = 10
Lists = Mapping[str, Sequence[ImageId]]


def score(
    submissions: Sequence[Submission], benchmarks: Sequence[Benchmark], protocol: str = ""
) -> dict[str, Any]:
    """Score the files of one run.

    Args:
        submissions: CIRR takes one file or both (recall and recall_subset); the others one.
        benchmarks: The annotations of their split; of FashionIQ one a category.
        protocol: A name of `PROTOCOLS`; every one of the dataset unless given.

    Returns:
        {"dataset", "split", "protocol", "queries", "metrics", "protocols": {name: metrics}}; rates
        in [0, 1]. "protocol" and "metrics" are the asked one's, or the usual one's.

    Raises:
        UnknownName: The dataset has no such protocol.
        BadInput: Queries are missing or unknown, lists are broken, or the split has no targets.
    """
    dataset, split = submissions[0].dataset, benchmarks[0].split
    known = PROTOCOLS[dataset]
    if protocol and protocol not in known:
        raise unknown(f"protocol of {dataset}", protocol, known)
    triplets = [t for b in benchmarks for t in b.triplets(split)]
    if not any(t.target_ids for t in triplets):
        raise BadInput(
            f"Split {split} of {dataset} has no public targets: only its test server can score it. "
            'Use "preflight" to check the file.'
        )
    made: dict[str, dict[str, float]] = {}
    for name in [protocol] if protocol else known:
        made[name] = {}
        for submission in _one_each(submissions):
            lists = complete(submission, triplets)
            if dataset == "cirr":
                made[name] |= cirr(triplets, lists, submission.metric, name)
            elif dataset == "circo":
                made[name] |= circo(triplets, lists)
            else:
                made[name] |= fashioniq(benchmarks, lists, union=name == "union-gallery")
    first = protocol or next(iter(known))
    return {
        "dataset": dataset,
        "split": split,
        "protocol": first,
        "queries": len(triplets),
        "metrics": made[first],
        "protocols": made,
    }


def _one_each(submissions: Sequence[Submission]) -> Sequence[Submission]:
    """The files, if they can be of one run.

    Raises:
        BadInput: They are of several datasets or splits, or two have the same metric.
    """
    first = submissions[0]
    for other in submissions[1:]:
        if (other.dataset, other.split) != (first.dataset, first.split):
            raise BadInput(f"{first.name} and {other.name} are not of one dataset and split.")
    if len({s.metric for s in submissions}) < len(submissions):
        raise BadInput("Score one run at a time: at most a recall and a recall_subset file.")
    return submissions


def complete(submission: Submission, triplets: Sequence[Triplet]) -> dict[str, tuple[ImageId, ...]]:
    """The lists of a file that answers exactly these queries.

    Raises:
        BadInput: A query is missing or unknown, or a list is broken.
    """
    lists = ranked(submission)
    wanted = [t.query_id for t in triplets]
    missing = [q for q in wanted if q not in lists]
    extra = sorted(set(lists) - set(wanted))
    for ids, what in ((missing, "lacks"), (extra, "has unknown")):
        if ids:
            raise BadInput(
                f"{submission.name} {what} {len(ids)} of the {len(wanted)} queries, first "
                f"{ids[0]}. A mean over other queries is another number; "
                'run "python -m cirdemo preflight" for the list.'
            )
    return lists


def cirr(triplets: Sequence[Triplet], lists: Lists, metric: str, protocol: str) -> dict[str, float]:
    """R@1/5/10/50 of a recall file, R_subset@1/2/3 of a subset file.

    The reference is left out of a list that still has it, before the list is cut.

    Source: SEARLE src/validate.py, cirr_compute_val_metrics ("hard-target"); CIRPLANT
        model/OSCAR/OSCAR_CIRPLANT.py, eval_test_scoring_step_CIRR ("soft-label").
    """
    soft, subset = protocol == "soft-label", metric == SUBSET
    cuts = SUBSET_CUTS if subset else CUTS["cirr"]
    found = dict.fromkeys(cuts, 0.0)
    for t in triplets:
        ids = [i for i in lists[t.query_id] if i != t.reference_id]
        if subset:
            ids = [i for i in ids if i in t.subset_ids]
        for k in cuts:
            found[k] += (
                metrics.soft_recall_at_k(ids, dict(t.soft_targets), k)
                if soft
                else (metrics.recall_at_k(ids, t.target_ids, k))
            )
    name = "R_subset" if subset else "R"
    return {f"{name}@{k}": total / len(triplets) for k, total in found.items()}


def circo(triplets: Sequence[Triplet], lists: Lists) -> dict[str, float]:
    """mAP@5/10/25/50, Recall@5/10/25/50, and mAP@10 of each semantic aspect.

    Source: miccunifi/CIRCO src/evaluation.py.
    """
    made: dict[str, float] = {}
    for k in CUTS["circo"]:
        made[f"mAP@{k}"] = _mean(
            [metrics.average_precision_at_k(lists[t.query_id], t.target_ids, k) for t in triplets]
        )
    for k in CUTS["circo"]:
        made[f"Recall@{k}"] = _mean(
            [metrics.recall_at_k(lists[t.query_id], t.target_ids[:1], k) for t in triplets]
        )
    for aspect in sorted({a for t in triplets for a in t.aspects}):
        some = [t for t in triplets if aspect in t.aspects]
        made[f"mAP@{SEMANTIC_CUT} {aspect}"] = _mean(
            [
                metrics.average_precision_at_k(lists[t.query_id], t.target_ids, SEMANTIC_CUT)
                for t in some
            ]
        )
    return made


def fashioniq(
    benchmarks: Sequence[Benchmark], lists: Lists, *, union: bool = False
) -> dict[str, float]:
    """R@10/50 of each category and their plain mean over categories.

    Source: SEARLE src/validate.py, fiq_compute_val_metrics.
    """
    made: dict[str, float] = {}
    for benchmark in benchmarks:
        triplets = benchmark.triplets(benchmark.split)
        gallery = {i for t in triplets for i in (t.reference_id, *t.target_ids)} if union else None
        category = benchmark.name.partition("-")[2]
        for k in CUTS["fashioniq"]:
            made[f"R@{k} {category}"] = _mean(
                [
                    metrics.recall_at_k(
                        [i for i in lists[t.query_id] if gallery is None or i in gallery],
                        t.target_ids,
                        k,
                    )
                    for t in triplets
                ]
            )
    means = {
        f"R@{k}": _mean([v for name, v in made.items() if name.startswith(f"R@{k} ")])
        for k in CUTS["fashioniq"]
    }
    return means | made


def _mean(values: Sequence[float]) -> float:
    """Summed in the order of the file and divided once."""
    return sum(values) / len(values)
