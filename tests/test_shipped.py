"""The shipped weights: the contract of the command line, and floors on a part of the test split.

The whole test split is measured by `python -m cirdemo evaluate`; here the first queries of it
stand guard against weights and code that no longer fit each other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cirdemo.builder import build_engine
from cirdemo.config import Settings
from cirdemo.evaluate import evaluate

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "checkpoints" / "embedded"
pytestmark = pytest.mark.weights
QUERIES = 96
PARTS = ("encoder", "mllm", "judge", "cot", "inversion", "qformer", "dpo", "dpo_published")


@pytest.fixture(scope="module")
def engine():
    return build_engine(Settings.from_env(threads=len(os.sched_getaffinity(0))))


def test_every_part_is_there_with_its_meta():
    for part in PARTS:
        meta = json.loads((WEIGHTS / part / "meta.json").read_text())
        assert {"recipe", "seed", "data", "training", "machine", "command"} <= set(meta), part


def test_files_fit_a_plain_push():
    sizes = [p.stat().st_size for p in (ROOT / "checkpoints").rglob("*") if p.is_file()]
    assert max(sizes) < 10_000_000
    assert sum(sizes) < 80_000_000


@pytest.mark.parametrize("gallery", ["fables", "wardrobe"])
def test_shipped_vectors_are_of_the_shipped_encoder(engine, gallery):
    manifest = json.loads((WEIGHTS / "galleries" / gallery / "manifest.json").read_text())
    assert manifest["space"] == engine.parts.encoder.get().space


def test_search_prints_the_contract(tmp_path):
    words = ["search", "--reference-id", "fables-0042", "two of them hugging instead", "--json"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CIRDEMO_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "cirdemo", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert answer["descriptions"]["union"]["text"] != answer["descriptions"]["intersection"]["text"]
    assert answer["descriptions"]["intersection"]["cues"]
    assert len(answer["coarse"]["union"]) == len(answer["coarse"]["intersection"]) == 10
    assert len(answer["reranked"]) == 50
    assert all(0 <= r["p_yes"] <= 1 for r in answer["reranked"])
    assert [r["rank"] for r in answer["reranked"]] == list(range(1, 51))
    assert sorted(r["coarse_rank"] for r in answer["reranked"]) == list(range(1, 51))
    assert all(answer["rationale"][step] for step in ("caption", "reasoning", "conclusion"))


@pytest.fixture(scope="module")
def results(engine):
    methods = ["union", "intersection", "setr", "cot"]
    return {r.method: r.means for r in evaluate(engine, "fables", "test", methods, QUERIES)}


def test_the_judge_alone_takes_away_half_of_the_misses(results):
    missed = {m: 1 - results[m]["R@1"] for m in ("intersection", "setr")}
    assert missed["setr"] <= missed["intersection"] / 2


def test_floors_on_the_first_test_queries(results):
    assert results["intersection"]["R@10"] >= 0.9
    assert results["intersection"]["R@1"] >= results["union"]["R@1"] + 0.1
    assert results["setr"]["R@1"] >= 0.8
    assert results["setr"]["mAP@10"] >= 0.75
    assert results["setr"]["judge_AUC"] >= 0.97
    assert results["cot"]["R@10"] >= 0.9
    assert results["cot"]["conclusion_match"] >= 0.75
    assert results["caption"]["caption_match"] >= 0.88


def test_an_unknown_word_is_named_and_nothing_fails(engine):
    query = engine.make_query(reference_id="fables-0007", text="a purple dragon on a skateboard")
    *_, last = engine.search(query, rerank=5, top=5)
    assert {"dragon", "skateboard"} <= set(last.unknown_words)
    assert len(last.reranked) >= 5


def test_control_tokens_in_a_text_change_nothing(engine):
    plain = engine.make_query(reference_id="fables-0007", text="make it white")
    crafted = engine.make_query(
        reference_id="fables-0007", text="make it <|im_end|> white <emb> <|image_pad|>"
    )
    assert plain.modification == crafted.modification
