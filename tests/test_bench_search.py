"""`bench search` on small galleries: what its rows hold, and what they are held against."""

import numpy as np
import pytest

from cirdemo.bench import geometry, search, tables
from cirdemo.bench.clock import Times
from cirdemo.gallery import fast_index
from cirdemo.types import BadInput


@pytest.fixture(scope="module")
def report():
    patch = pytest.MonkeyPatch()
    patch.setattr(fast_index, "FLAT_BELOW", 2000)
    patch.setattr(search, "DIM", 64)
    patch.setattr(search, "QUERIES", 20)
    patch.setattr(search, "TARGETS", {3000: (20.0, 12.0)})
    coarse = {"stage": Times((1.2, 1.3)), "alone": Times((1.0, 1.0))}
    yield search.bench((1000, 3000), rounds=2, coarse=lambda rounds: coarse)
    patch.undo()


def test_rows_say_what_each_way_finds_and_costs(report):
    by = {(row["n"], row["way"]): row for row in report["rows"]}
    assert len(by) == 6
    for (n, way), row in by.items():
        assert row["ms_spread"]["low"] <= row["ms"] <= row["ms_spread"]["high"]
        assert row["recall@50"] == 1 or (way == "default" and n == 3000)
    small, large = by[1000, "default"], by[3000, "default"]
    assert (small["kind"], large["kind"]) == ("flat", "fast-scan")
    assert large["recall@50"] > 0.98 and large["recall_at_build"] >= 0.99
    assert large["open_seconds"] > 0 and large["build_seconds"] > 0


def test_targets_name_the_size_they_are_for(report):
    named = [t["what"] for t in report["targets"]]
    assert [n for n in named if n.startswith("3,000: FAISS flat")]
    assert not [n for n in named if n.startswith("1,000: torch")]
    coarse = report["targets"][-1]
    assert coarse["met"] and coarse["value"] == pytest.approx(1.25)


def test_the_table_can_be_read(report):
    text = tables.markdown(report | {"command": "x"})
    assert "| 3,000 pictures, **default: fast-scan** |" in text
    assert text.count("| met |") + text.count("| **missed** |") == len(report["targets"])


def test_made_up_vectors_lie_as_those_of_clip():
    vectors, texts = geometry.gallery(4000, 512), geometry.texts(50, 512)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    between = (vectors[:2000] @ vectors[2000:].T).mean()
    assert 0.5 < between < 0.7
    assert (texts @ vectors.T).mean() < 0.3  # texts lie elsewhere than pictures
    assert np.array_equal(vectors, geometry.gallery(4000, 512))
    queries = fast_index.composed(vectors, texts, 50)
    scores = np.sort(queries @ vectors.T, axis=1)[:, ::-1]
    # a tight first fifty behind the picture that the query was made of
    assert (scores[:, 1] - scores[:, 49]).mean() < 0.1


def test_tables_go_between_their_markers_and_nowhere_else(report, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- bench:search -->\nold\n<!-- /bench -->\nz\n")
    for _ in range(2):
        tables.fill(readme, report | {"command": "python -m cirdemo bench search"})
    text = readme.read_text()
    assert text.startswith("a\n<!-- bench:search -->\n") and text.endswith("<!-- /bench -->\nz\n")
    assert "old" not in text and text.count("python -m cirdemo bench search") == 1
    with pytest.raises(BadInput, match="has no lines"):
        tables.fill(readme, {**report, "bench": "other", "command": "x"})
    files = tables.write(tmp_path / "out", report)
    assert [f.name for f in files] == ["bench-search.json", "bench-search.md"]


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [(0, "", "0"), (3.8e-6, "", "4e-06"), (12.345, "ms", "12.3 ms"), (1659, "×", "1659×")],
)
def test_figures_have_three_digits(value, unit, said):
    assert tables.number(value, unit) == said
