"""What is measured of the judge alone: its calibration and its answers to impossible edits."""

import json
import math

import pytest

from cirdemo.evaluate.calibrate import calibrate
from cirdemo.rerank import Calibration
from cirdemo.types import BadInput, Evaluation


class Judge:
    """Says Yes with a fixed temperature too much."""

    prior = None
    calibration = Calibration(temperature=2.0)


class Engine:
    def __init__(self, judge):
        self.parts = type("Parts", (), {"judge": type("P", (), {"get": lambda _: judge})()})()


@pytest.fixture
def measured(monkeypatch):
    """Judged rows as `evaluate` gives them: margins 4 (right 3 times of 4) and -4, halved."""
    p = 1 / (1 + math.exp(-2.0))
    rows = ({"judged": [[p, True]] * 3 + [[p, False]] + [[1 - p, False]] * 3 + [[1 - p, True]]},)
    about = {"dataset": "d", "split": "val", "protocol": "x", "means": {}, "interval": {}}

    def evaluate(engine, name, split, methods, limit, captions):
        assert (split, methods, captions) == ("val", ["setr"], False)
        return [Evaluation(method="setr", rows=rows, **about)]

    monkeypatch.setattr("cirdemo.evaluate.calibrate.evaluate", evaluate)


@pytest.mark.usefixtures("measured")
def test_the_temperature_is_of_the_raw_margins(tmp_path):
    found = calibrate(Engine(Judge()), ["a", "b"], tmp_path)
    assert found["temperature"] == pytest.approx(4 / math.log(3), rel=1e-3)  # 75 % of margins of 4
    assert (found["candidates"], found["targets"]) == (16, 8)
    assert found["ece"] < 1e-3 < found["ece_before"]
    assert Calibration.load(tmp_path).temperature == found["temperature"]
    assert json.loads((tmp_path / "calibration.json").read_text())["split"] == "val"


@pytest.mark.usefixtures("measured")
def test_a_told_prior_is_not_fitted_in(tmp_path):
    judge = Judge()
    judge.prior = 0.1
    with pytest.raises(BadInput, match="CIRDEMO_JUDGE_PRIOR"):
        calibrate(Engine(judge), ["a"], tmp_path)
    assert not list(tmp_path.iterdir())
