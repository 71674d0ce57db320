"""Benchmarks on captions alone: BM25 by its formula, ties, weights of the other half, real rows."""

import json
import math

import numpy as np
import pytest

from cirdemo.cli import main
from cirdemo.data.captioned import find_captions, read_captions
from cirdemo.data.facts import facts
from cirdemo.data.find import find
from cirdemo.evaluate.caption_search import Captioned, Search, halves
from cirdemo.evaluate.captioned import measure
from cirdemo.evaluate.summary import ties
from cirdemo.retrieve.lexical import Bm25, lacking, takes_away
from cirdemo.types import BadInput, MissingCheckpoint, Triplet, UnknownName
from tests.fixtures_benchmarks import SHARED, write
from tests.fixtures_submissions import NAMES, QUERIES, cirr_root

published = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the published annotations are not beside the project"
)
DOCS = ["a red dog, a red dog", "a cat", "the dog and the cat"]


def query(n, reference, target, text="", group=()):
    return Triplet(
        query_id=f"q{n}",
        reference_id=reference,
        modification=text,
        target_ids=(target,),
        subset_ids=group,
    )


def of(texts, triplets):
    ids = tuple(sorted(texts))
    return Captioned(
        dataset="cirr",
        split="val",
        ids=ids,
        texts=tuple(texts[i] for i in ids),
        triplets=tuple(triplets),
        without=(),
        lost=(),
    )


# --- BM25 ---------------------------------------------------------------------------------


def test_bm25_by_its_formula():
    words = [d.replace(",", "").split() for d in DOCS]
    mean = sum(map(len, words)) / len(words)

    def score(terms, doc):
        total = 0.0
        for term in terms:
            df = sum(term in w for w in words)
            idf = math.log(1 + (len(words) - df + 0.5) / (df + 0.5))
            tf = doc.count(term)
            total += idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * len(doc) / mean))
        return total

    index = Bm25(DOCS)
    for text in ("red dog", "Dog! dog", "unknown", "a cat, the cat"):
        terms = text.lower().replace(",", "").replace("!", "").split()
        wanted = [score(terms, doc) for doc in words]
        assert index.scores(index.queries([text]))[0] == pytest.approx(wanted)
    both = index.queries(["red"]) + 0.5 * index.queries(["cat"])
    apart = index.scores(index.queries(["red", "cat"]))
    assert index.scores(both)[0] == pytest.approx(apart[0] + 0.5 * apart[1])


def test_character_ngrams_match_forms_of_a_word():
    words, grams = Bm25(DOCS), Bm25(DOCS, analyzer="ngram")
    assert words.scores(words.queries(["dogs"])).max() == 0.0
    found = grams.scores(grams.queries(["dogs"]))[0]
    assert found[1] == 0.0 and min(found[0], found[2]) > 0.0


@pytest.mark.parametrize(
    ("text", "wanted", "away"),
    [
        ("remove the dog and add a cat", "and add a cat", "the dog"),
        ("no people, brighter", ", brighter", "people"),
        ("a dog without a hat", "a dog", "a hat"),
        ("show a cat instead of the two dogs", "show a cat", "the two dogs"),
        ("make it larger", "make it larger", ""),
        ("nothing is known", "nothing is known", ""),
    ],
)
def test_what_a_text_takes_away(text, wanted, away):
    assert takes_away(text) == (wanted, away)


def test_a_caption_loses_what_is_taken_away():
    assert lacking("A dog and the cat, in a hat.", "the dog") == "a and the cat in a hat"
    assert lacking("A dog.", "") == "a dog"


# --- ranks --------------------------------------------------------------------------------


def test_ties_get_their_mean_rank():
    texts = {"a": "dog", "b": "cat", "c": "cat", "d": "cat", "e": "bird", "r": "cat"}
    group = ("r", "b", "c", "d", "a", "e")
    data = of(texts, [query(0, "r", "c", "cat", group), query(1, "r", "a", "dog", group)])
    rows, weights = Search(data).rows("text")
    assert weights == ()
    # b, c and d tie at ranks 1 to 3, and the reference, which ties too, is left out
    assert (rows[0]["best"], rows[0]["worst"], rows[0]["rank"]) == (1, 3, 2)
    assert rows[0]["R@1"] == 0.0 and rows[0]["R@5"] == 1.0
    assert rows[0]["R_subset@1"] == 0.0 and rows[0]["R_subset@2"] == 1.0
    assert rows[0]["top"][:3] == ["b", "c", "d"] and "r" not in rows[0]["top"]
    assert (rows[1]["best"], rows[1]["worst"], rows[1]["rank"]) == (1, 1, 1)
    kept, _ = Search(data, leave_out=False).rows("text")
    assert (kept[0]["best"], kept[0]["worst"]) == (1, 4)
    assert ties(rows) == {
        "queries": 1, "R@1 lowest": 0.5, "R@1 highest": 1.0, **{
            f"R@{k} {end}": 1.0 for k in (5, 10, 50) for end in ("lowest", "highest")},
    }  # fmt: skip


def test_the_first_pictures_are_those_of_a_whole_sort():
    ids = [f"p{n:02d}" for n in range(40)]
    search = Search(of(dict.fromkeys(ids, "cat"), [query(0, "p00", "p01", "cat")]))
    rng = np.random.default_rng(0)
    for top in (1, 7, 40, 60):
        scores = rng.integers(0, 6, 40).astype(float)  # many ties
        scores[rng.integers(40)] = -np.inf
        left = sorted((-s, i) for s, i in zip(scores, ids, strict=True) if np.isfinite(s))
        assert search._first(scores, top) == [i for _, i in left[:top]]


def test_a_weight_is_chosen_on_the_other_half():
    # half 0 finds its targets by the text alone, half 1 needs the captions as heavy as they go
    texts = {"r0": "sun", "t0": "dog", "x0": "sun dog", "x1": "cat hill", "x2": "cat"}
    texts |= {"r1": "moon moon moon", "t1": "moon moon moon hill"}
    first, second = ("r0", "t0", "x0"), ("r1", "t1", "x1")
    of_0 = query(0, "r0", "t0", "dog", first)
    of_1 = query(1, "r1", "t1", "cat", second)
    data = of(texts, [of_0, of_1])
    assert halves(data.triplets).tolist() == [0, 1]
    mine, others = Search(data).rows("sum")[1]
    swapped = Search(of(texts, [of_1, of_0])).rows("sum")[1]
    assert swapped == (others, mine)
    assert mine >= 0.2 and others == 0.0  # each half has what suits the other


def test_queries_of_one_group_stay_in_one_half():
    groups = [("a", "b"), ("c", "d"), ("b", "a"), ("e", "f"), ("c", "d")]
    found = halves([query(n, "r", "a", "", g) for n, g in enumerate(groups)])
    assert found.tolist() == [0, 1, 0, 0, 1]


# --- files and the command -----------------------------------------------------------------


def test_captions_are_read_in_both_forms(tmp_path):
    listed = [{"candidate": "a", "captions": ["One.", "Two."]}, {"candidate": "b", "captions": []}]
    write(tmp_path / "list.json", listed)
    write(tmp_path / "object.json", {"a": ["One.", "Two."], "b": "Three."})
    assert read_captions(tmp_path / "list.json") == {"a": "One. Two."}
    assert read_captions(tmp_path / "object.json") == {"a": "One. Two.", "b": "Three."}
    for wrong, what in (
        ([*listed, listed[0]], "twice"),
        ([{"name": "a"}], "no file of captions"),
        ({"a": 3}, "are no texts"),
    ):
        write(tmp_path / "wrong.json", wrong)
        with pytest.raises(BadInput, match=what):
            read_captions(tmp_path / "wrong.json")
    with pytest.raises(MissingCheckpoint, match=r"no mllm_captions/val\.json.*--captions"):
        find_captions("cirr", "val", tmp_path)


@pytest.fixture
def root(tmp_path):
    """40 queries "make it number N" over 80 pictures; two pictures have no captions."""
    made = cirr_root(tmp_path / "cirr", "val", "dev")
    names = [name.replace("test1", "dev") for name in NAMES]
    captions = [
        {"candidate": name, "captions": [f"It is number {n - 2}.", f"A picture of {n}."]}
        for n, name in enumerate(names)
        if n not in (5, 79)
    ]
    write(made / "mllm_captions/val.json", captions)
    return tmp_path


def test_evaluate_on_captions(root, tmp_path, capsys):
    words = ["evaluate", "cirr", "--split", "val", "--gallery", "captions", "--root", str(root)]
    assert main([*words, "--out", str(tmp_path / "out"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    # reference 5 and target 5, of query 3, have no captions
    assert answer["queries"] == QUERIES - 2 and answer["gallery"] == 78
    assert answer["captions"]["queries_left_out"] == ["12003", "12005"]
    assert answer["captions"]["without"] == ["dev-5-0-img0", "dev-79-0-img0"]
    assert list(answer["methods"]) == ["text", "caption", "rrf", "sum", "edit", "ngram"]
    text = answer["methods"]["text"]
    assert text["R@1"] > 0.9 and text["composition_gap"] == 0.0  # "number N" is the target's own
    assert set(text["soft"]) == {"R@1", "R@5", "R@10", "R@50"} and text["ties"]["queries"] >= 0
    assert "dense" in answer["skipped"]
    assert answer["facts"][0]["count"] == QUERIES
    assert (tmp_path / "out/cirr-val-queries.json.gz").is_file()
    assert main([*words, "--methods", "text,sum"]) == 0
    out = capsys.readouterr().out
    assert "| sum |" in out and "weight of the captions: half 1" in out and "2 without" in out
    from cirdemo.evaluate.opened import load  # the Benchmark tab opens what was written

    assert load(tmp_path / "out/cirr-val.json").cases.methods == tuple(answer["methods"])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("cirr", "--split", "val", "--gallery", "pictures"), "takes 'captions'"),
        (("cirr", "--split", "val", "--gallery", "captions", "--methods", "txt"), "'text'"),
        (("cirr", "--split", "test", "--gallery", "captions"), "test1"),
        (("cirr", "--split", "val", "--gallery", "captions", "--limit", "0"), "at least 1"),
        (("circo", "--split", "val", "--gallery", "captions"), "annotations/val.json"),
    ],
)
def test_what_cannot_be_measured_is_said(root, capsys, words, text):
    assert main(["evaluate", *words, "--root", str(root), "--json"]) == 2
    assert text in json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_text_encoder_beside_bm25(root):
    class Encoder:
        space, dim, preprocessing = "letters", 26, ""

        def encode_texts(self, texts):
            counts = np.array([[t.count(c) for c in "0123456789"] for t in texts]) + 1e-3
            return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    (benchmark,) = find("cirr", "val", root)
    data = Captioned.of(benchmark, read_captions(find_captions("cirr", "val", root)))
    report, beside = measure(data, ["dense"], encoder=Encoder)
    assert [e.method for e in report.evaluations] == ["dense"]
    assert report.models == {"dense": "letters"} and len(beside["dense"]["weights"]) == 2
    with pytest.raises(BadInput, match="text encoder"):
        measure(data, ["dense"])
    with pytest.raises(UnknownName, match="protocol"):
        measure(data, ["text"], protocol="official")
    with pytest.raises(BadInput, match="other pictures"):
        Captioned.of(benchmark, {"x": "y"})


# --- the published files ------------------------------------------------------------------


@published
def test_cirr_val_by_bm25():
    (benchmark,) = find("cirr", "val", SHARED)
    data = Captioned.of(benchmark, read_captions(find_captions("cirr", "val", SHARED)))
    assert (len(data.triplets), len(data.ids)) == (4175, 2295)
    report, _ = measure(data, ["text", "caption", "ngram"])
    names = [*(f"R@{k}" for k in (1, 5, 10, 50)), *(f"R_subset@{k}" for k in (1, 2, 3))]
    found = {
        e.method: [round(100 * e.means[name], 2) for name in names] for e in report.evaluations
    }
    assert found["text"] == [11.43, 26.44, 34.61, 53.70, 49.29, 68.41, 81.92]
    assert found["caption"] == [4.98, 17.68, 26.68, 46.04, 20.46, 41.01, 60.69]
    low, _high = report.evaluations[2].interval["composition_gap"]
    assert low > 0.05  # composing beats the better half by more than chance


@published
def test_facts_of_the_published_files():
    def counts(kind, split="val"):
        return {f.name: f.count for f in facts(find(kind, split, SHARED)[0])}

    cirr = counts("cirr")
    assert cirr["groups of six"] == 4181 and cirr["more than one soft label"] == 645
    assert cirr["target without a soft label"] == 37 and cirr["another right picture"] == 96
    assert cirr["duplicate keys"] == 6 and cirr["not ASCII"] == 2
    assert any("99.012 %" in f.text for f in facts(find("cirr", "val", SHARED)[0]))
    assert counts("circo")["ground truths"] == 916
    assert counts("circo")["reference among the ground truths"] == 0
    assert counts("fashioniq")["two galleries"] == 2628
    assert "ground truths" not in counts("circo", "test")
