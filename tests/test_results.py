"""What an evaluation leaves on disk: numbers that agree, pages that show them, figures."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from cirdemo.evaluate import Report, figures, reliability
from cirdemo.evaluate.summary import summarise
from cirdemo.export import blocks_markdown, report_json
from cirdemo.results import write

KINDS = ("colour", "count")
FIGURES = ("recall", "gap", "kinds", "phrasing", "judge", "thresholds", "errors")
COMMAND = "python -m cirdemo evaluate fables --methods text,setr"


def rows(hits, **more):
    """Queries that are found at rank 1 or not at all, by turns of two kinds and phrasings."""
    return [
        {
            "query_id": f"q{n}",
            "kind": KINDS[n % 2],
            "phrasing": ("seen", "unseen")[n // 2 % 2],
            "rank": 1 if hit else 60,
            "coarse_rank": 1 if hit else 60,
            "top": [],
            **{f"R@{k}": float(hit) for k in (1, 5, 10, 50)},
            **more,
        }
        for n, hit in enumerate(hits)
    ]


@pytest.fixture(scope="module")
def made():
    judged = {"judged": [[0.95, True], [0.05, False], [0.35, False]]}
    of = {
        "text": rows([1, 0, 0, 0] * 5),
        "setr": rows([1, 1, 1, 0] * 5, **judged),
        "cot": rows([1, 1, 0, 0] * 5, statements=[["caption", "a", True], ["change", "b", False]]),
    }
    about = {"dataset": "fables", "split": "test", "protocol": "reference-excluded"}
    found = [summarise(n, r, [of["text"]], seconds=2.0, **about) for n, r in of.items()]
    report = Report(evaluations=tuple(found), skipped={"dpo": "No checkpoint."}, seconds=5.0)
    return report_json(report, gallery=9), of


def test_every_file_is_there_and_tells_the_same(made, tmp_path):
    report, of = made
    files = {path.name: path for path in write(tmp_path / "out", report, of, COMMAND)}
    assert set(files) == {
        *(f"fables-test{end}" for end in (".json", "-rows.json", ".csv", ".md")),
        *(f"fables-test-{name}.png" for name in FIGURES),
    }
    assert json.loads(files["fables-test.json"].read_text()) == report
    assert json.loads(files["fables-test-rows.json"].read_text())["setr"][0]["query_id"] == "q0"
    with files["fables-test.csv"].open(newline="") as file:
        lines = list(csv.DictReader(file))

    def number(method, group, metric):
        (line,) = [
            x for x in lines if (x["method"], x["group"], x["metric"]) == (method, group, metric)
        ]
        return line

    line = number("setr", "all", "R@1")
    low, high = report["methods"]["setr"]["interval"]["R@1"]
    assert [float(line[k]) for k in ("value", "low", "high")] == [0.75, low, high]
    assert number("text", "colour", "R@1")["queries"] == "10"
    assert float(number("setr", "phrasing unseen", "R@1")["value"]) == 0.5
    assert float(number("cot", "all", "sentence_truth")["value"]) == 0.5
    page = files["fables-test.md"].read_text()
    assert COMMAND in page and "| setr | 75.0 [" in page
    assert "| setr | 100.0 | 50.0 | -50.0 [" in page  # by phrasing
    assert "- `cot`: 50.0 [50.0, 50.0]" in page and "- `dpo`: No checkpoint." in page
    assert "| all | 20 | 5 | 0 | 0 | 0 | 5 |" in page  # a target was judged, and is not first
    for path in files.values():
        if path.suffix == ".png":
            assert f"]({path.name})" in page
            picture = Image.open(path)
            assert min(picture.size) > 400
            corner, pixels = picture.convert("RGB").getpixel((2, 2)), np.asarray(picture)
            assert min(corner) > 240  # opaque and light: dark ink is readable on any page
            assert pixels.std() > 10


def test_bars_are_as_long_as_the_numbers(made):
    report, of = made
    axes = figures.recall(report).axes[0]
    widths = [round(bar.get_width(), 6) for bar in axes.patches]
    assert widths == [25, 75, 50] * 4  # every cut has the same hits here
    assert [t.get_text() for t in axes.get_yticklabels()] == ["text", "setr", "cot"]
    gaps = [round(bar.get_width(), 6) for bar in figures.gap(report).axes[0].patches]
    assert gaps == [0, 50, 25]
    table = figures.kinds(report).axes[0].images[0].get_array()
    assert table.tolist() == [[50, 0], [100, 50], [50, 50]]
    axes = figures.reliability(report, of["setr"][0]["judged"]).axes[0]
    said, true = axes.lines[1].get_xdata(), axes.lines[1].get_ydata()
    assert said == pytest.approx([0.05, 0.35, 0.95]) and true == pytest.approx([0, 0, 1])


def test_what_was_not_measured_is_not_drawn(made, tmp_path):
    report, _ = made
    short = {**report, "methods": {"caption": {"caption_match": 1.0, "interval": {}}}, "errors": {}}
    assert figures.draw(short, {"caption": []}, tmp_path, "x") == []


def test_blocks_have_a_heading_each_and_only_where_they_were_measured(made):
    report, _ = made
    text = blocks_markdown(report)
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads == [
        "### R@1 by phrasing, in percent",
        "### True statements of the rationale, in percent",
        "### Misses of SETR at rank 1, and the stage to blame",
        "### Left out",
    ]
    mean = {"mean": 0.9, "interval": [0.85, 0.95], "queries": 100}
    more = {
        "impossible": {
            "queries": 100,
            "refused": 0.93,
            "interval": [0.88, 0.97],
            "by_kind": {"absent": 0.95, "contradiction": 0.91},
        },
        "explanations": {
            "pointing": {"edited": {"target": {"intersection": mean}, "contrast": {"union": mean}}},
            "curves": {"queries": 4, "deletion": {"map": {"mean": 0.25}}},
        },
    }
    text = blocks_markdown({**report, **more})
    assert "93.0 [88.0, 97.0] of 100" in text and "absent 95.0, contradiction 91.0" in text
    assert "| edited | target | 90.0 [85.0, 95.0] |" in text
    assert "Area under the deletion curve: map 0.250." in text
    assert blocks_markdown({"methods": {}}) == ""


def test_intervals_of_rates_stay_rates():
    low, high = reliability.wilson(np.array([0.0, 0.5, 1.0]), np.array([10, 10, 10]))
    assert low[0] == pytest.approx(0.0) and high[2] == pytest.approx(1.0)
    # 5 of 10: (0.237, 0.763) in Wilson's table
    assert (low[1], high[1]) == (pytest.approx(0.2366, abs=1e-3), pytest.approx(0.7634, abs=1e-3))
