"""Metrics against numbers worked out by hand."""

import math

import numpy as np
import pytest

from cirdemo import metrics as m

RANKED = ["a", "b", "c", "d", "e"]


def test_recall_counts_any_target():
    assert m.recall_at_k(RANKED, ["c", "zzz"], 2) == 0.0
    assert m.recall_at_k(RANKED, ["c", "zzz"], 3) == 1.0
    assert m.recall_at_k(RANKED, [], 5) == 0.0
    assert m.recall_at_k(RANKED, ["a"], 0) == 0.0


def test_subset_recall_leaves_out_the_rest_and_the_reference():
    group = ["a", "c", "e"]
    assert m.recall_subset_at_k(RANKED, ["c"], group, 1) == 0.0
    assert m.recall_subset_at_k(RANKED, ["c"], group, 1, reference="a") == 1.0
    assert m.recall_subset_at_k(RANKED, ["e"], group, 2, reference="a") == 1.0


@pytest.mark.parametrize(
    ("targets", "k", "expected"),
    [
        (["a"], 10, 1.0),
        (["b"], 10, 1 / 2),
        (["a", "c"], 10, (1 / 1 + 2 / 3) / 2),
        (["b", "d", "x"], 5, (1 / 2 + 2 / 4) / 3),  # x is never found and still divides
        (["a", "b", "c", "d"], 2, 1.0),  # min(|GT|, K)
        (["e"], 4, 0.0),
    ],
)
def test_average_precision_is_circo_s(targets, k, expected):
    assert m.average_precision_at_k(RANKED, targets, k) == pytest.approx(expected)


def test_average_precision_rejects_a_picture_ranked_twice():
    with pytest.raises(ValueError, match="twice"):
        m.average_precision_at_k(["a", "b", "a"], ["a"], 5)


def test_average_precision_ignores_the_tail_beyond_k():
    assert m.average_precision_at_k(RANKED, ["a", "d"], 3) == m.average_precision_at_k(
        ["a", "b", "c", "e", "d"], ["a", "d"], 3
    )


def test_auc_by_hand():
    # positives 0.9, 0.4; negatives 0.5, 0.1: 3 of 4 pairs are in order
    assert m.auc([0.9, 0.4, 0.5, 0.1], [True, True, False, False]) == pytest.approx(0.75)
    assert m.auc([0.5, 0.5], [True, False]) == pytest.approx(0.5)  # a tie is half
    assert math.isnan(m.auc([0.5, 0.6], [True, True]))


def test_calibration_error_by_hand():
    # bin [0.9, 1]: said 0.95, true half of the time; bin [0, 0.1): said 0.05, never true
    p, y = [0.95, 0.95, 0.05, 0.05], [True, False, False, False]
    assert m.expected_calibration_error(p, y) == pytest.approx((2 * 0.45 + 2 * 0.05) / 4)
    assert m.expected_calibration_error([1.0, 0.0], [True, False]) == 0.0
    assert math.isnan(m.expected_calibration_error([], []))


def test_bootstrap_interval_is_seeded_and_holds_the_mean():
    values = [0.0, 1.0] * 50
    low, high = m.bootstrap_interval(values)
    assert (low, high) == m.bootstrap_interval(values)
    assert low < 0.5 < high
    assert high - low == pytest.approx(2 * 1.96 * 0.05, abs=0.03)  # sd of the mean is 0.05
    assert m.bootstrap_interval([1.0] * 10) == (1.0, 1.0)
    assert all(math.isnan(v) for v in m.bootstrap_interval([]))


def test_bootstrap_takes_any_statistic():
    low, high = m.bootstrap_interval(
        [3.0, 1.0, 2.0], lambda some: float(np.max(some)), resamples=200
    )
    assert 1.0 <= low <= high == 3.0


def test_soft_recall_takes_the_best_label_and_no_negative_one():
    labels = {"a": -1.0, "c": 0.5, "d": 1.0}
    assert [m.soft_recall_at_k(RANKED, labels, k) for k in (1, 2, 3, 4)] == [0.0, 0.0, 0.5, 1.0]
    assert m.soft_recall_at_k(RANKED, {}, 5) == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_properties_of_metrics(seed):
    """What holds of any ranking, whatever it is."""
    rng = np.random.default_rng(seed)
    ids = [f"p{n}" for n in rng.permutation(60)]
    targets = list(rng.choice(ids, size=rng.integers(1, 8), replace=False))
    labels = dict(zip(ids, rng.uniform(-1, 1, 60), strict=True))
    group = [*rng.choice(ids, 5, replace=False), targets[0]]
    reference = next(i for i in ids if i not in targets)
    recalls = [m.recall_at_k(ids, targets, k) for k in range(61)]
    assert recalls == sorted(recalls) and recalls[-1] == 1.0  # never falls with k
    soft = [m.soft_recall_at_k(ids, labels, k) for k in range(61)]
    assert soft == sorted(soft)
    in_group = [m.recall_subset_at_k(ids, targets[:1], group, k) for k in (1, 2, 3)]
    assert in_group == sorted(in_group)
    for k in (1, 5, 10, 60):
        ap = m.average_precision_at_k(ids, targets, k)
        assert 0.0 <= ap <= 1.0
        tail = [ids[int(n)] for n in k + rng.permutation(60 - k)]
        assert m.average_precision_at_k([*ids[:k], *tail], targets, k) == ap
        without = [i for i in ids if i != reference]  # leaving the reference out lowers no rank
        assert m.recall_at_k(without, targets, k) >= m.recall_at_k(ids, targets, k)
