"""Writing the files of a test server: any method, whole after a stop, accepted by the check."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from fakes import ColourGallery, ScriptedJudge, fake_engine
from PIL import Image

from cirdemo.cli import main
from cirdemo.data.find import find
from cirdemo.evaluate import lists
from cirdemo.evaluate.duel import Setting
from cirdemo.parts import Part
from cirdemo.submission.write import Journal, write
from cirdemo.types import BadInput
from tests.fixtures_benchmarks import SHARED
from tests.fixtures_benchmarks import write as write_json
from tests.fixtures_submissions import NAMES, circo_root, cirr_root

published = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the published annotations are not beside the project"
)
DEV = [name.replace("test1", "dev") for name in NAMES]


@pytest.fixture
def root(tmp_path):
    cirr_root(tmp_path / "cirr", "val", "dev")
    cirr_root(tmp_path / "cirr")
    circo_root(tmp_path / "circo")
    for split, names in (("val", DEV), ("test1", NAMES)):
        captions = {name: f"It is number {n - 2}." for n, name in enumerate(names) if n != 5}
        write_json(tmp_path / f"cirr/mllm_captions/{split}.json", captions)
    return tmp_path


class Shades(ColourGallery):
    """80 greys and colours under CIRR's names; nearly equal ones tie."""

    name = "shades"

    def __init__(self, encoder):
        self.ids = tuple(sorted(DEV))
        self.space = encoder.space
        self.vectors = encoder.encode_images([self.image(i) for i in self.ids])
        self.seen = []

    def image(self, image_id):
        n = int(image_id.split("-")[1])
        rng = np.random.default_rng(n)
        return Image.new("RGB", (8, 8), tuple(int(v) for v in rng.integers(1, 255, 3)))


def shaded(judge=None):
    engine = fake_engine(judge=judge)
    encoder = engine.parts.encoder.get()
    engine.parts.galleries["shades"] = Part(lambda: Shades(encoder))
    return engine


def submit(capsys, root, *words, engine=fake_engine):
    status = main(
        ["submit", *words, "--root", str(root), "--json"], make_engine=lambda settings: engine()
    )
    return status, json.loads(capsys.readouterr().out)


def scored(capsys, root, files):
    assert main(["score", *files, "--root", str(root), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["protocols"]


def test_the_oracle_finds_everything(root, tmp_path, capsys):
    out = str(tmp_path / "out")
    status, answer = submit(
        capsys, root, "cirr", "--method", "oracle", "--split", "val", "--out", out
    )
    assert status == 0 and answer["accepted"] and len(answer["out"]) == 2
    assert set(scored(capsys, root, answer["out"])["hard-target"].values()) == {1.0}
    status, answer = submit(
        capsys, root, "circo", "--method", "oracle", "--split", "val", "--out", out
    )
    found = scored(capsys, root, answer["out"])["circo"]
    assert status == 0 and found["mAP@5"] == found["Recall@5"] == 1.0
    assert not [p for p in (tmp_path / "out").iterdir() if "partial" in p.name]
    status, answer = submit(capsys, root, "cirr", "--method", "oracle", "--out", out)
    assert status == 2 and "no public targets" in answer["error"]["message"]


def test_captions_alone_answer_every_query(root, tmp_path, capsys):
    words = ("cirr", "--gallery", "captions", "--out", str(tmp_path / "out"))
    status, answer = submit(capsys, root, *words, "--method", "text")
    assert status == 0 and answer["split"] == "test1" and answer["queries"] == 40
    assert [f["faults"] for f in answer["files"]] == [[], []]
    status, answer = submit(capsys, root, *words, "--method", "ngram")
    assert status == 2 and "--weight" in answer["error"]["message"]
    status, answer = submit(capsys, root, *words, "--method", "ngram", "--weight", "0.1")
    assert status == 0 and answer["accepted"]
    status, answer = submit(capsys, root, *words, "--method", "sum", "--split", "val")
    found = scored(capsys, root, answer["out"])
    assert found["hard-target"]["R@5"] > 0.9  # picture 5, a target, has no captions
    assert found["hard-target"]["R_subset@3"] > 0.9


def test_any_setting_on_pictures(root, tmp_path, capsys):
    group_last = {DEV[n]: 0.9 for n in range(3, 80, 6)}
    judge = ScriptedJudge(group_last)
    (benchmark,) = find("cirr", "val", root)
    setting = Setting.parse("intersection,judge=10")
    answers = list(lists.on_pictures(shaded(judge), "shades", benchmark, setting))
    assert [a.query_id for a in answers] == [t.query_id for t in benchmark.triplets("val")]
    for answer, triplet in zip(answers, benchmark.triplets("val"), strict=True):
        assert len(set(answer.top)) == 50 and triplet.reference_id not in answer.top
        assert set(answer.group) == set(triplet.subset_ids) - {triplet.reference_id}
        if triplet.reference_id not in group_last:  # one of six neighbours is judged right
            assert answer.group[0] in group_last  # also where it is not among the first ten
    # the group's order cannot be read off the list
    assert any([i for i in a.top if i in a.group][:1] != list(a.group[:1]) for a in answers)
    status, answer = submit(
        capsys, root, "cirr", "--split", "val", "--method", "rrf:text+image", "--gallery",
        "shades", "--out", str(tmp_path / "out"), engine=shaded,
    )  # fmt: skip
    assert status == 0 and answer["method"] == "rrf:text+image" and answer["accepted"]


def test_circo_has_two_texts(root, tmp_path, capsys):
    (benchmark,) = find("circo", "val", root)
    worded = benchmark.worded(lambda t: f"{t.shared_concept} that {t.modification}")
    assert worded.triplets("val")[0].modification == "a dog that is larger"
    assert benchmark.triplets("val")[0].modification == "is larger"
    captions = {str(2000 + n): "a cat" for n in range(220)} | {"3000": "a dog"}
    write_json(tmp_path / "circo.json", captions)
    firsts = {}
    for more in ((), ("--shared-concept",)):
        status, answer = submit(
            capsys, root, "circo", "--split", "val", "--gallery", "captions", "--method", "text",
            "--captions", str(tmp_path / "circo.json"), "--out", str(tmp_path / "out"), *more,
        )  # fmt: skip
        assert status == 0 and answer["accepted"]
        firsts[answer["out"][0]] = json.loads(Path(answer["out"][0]).read_text())["7"][0]
    assert len(firsts) == 2  # a file each
    short, long = firsts.values()
    assert long == 3000 != short
    status, answer = submit(
        capsys, root, "cirr", "--method", "oracle", "--split", "val", "--shared-concept", "--out",
        str(tmp_path / "out"),
    )  # fmt: skip
    assert status == 2 and "Only CIRCO" in answer["error"]["message"]


def test_a_gallery_that_lacks_pictures_is_refused(root, tmp_path, capsys):
    status, answer = submit(
        capsys, root, "cirr", "--split", "val", "--method", "text", "--gallery", "fables",
        "--out", str(tmp_path / "out"),
    )  # fmt: skip
    told = answer["error"]["message"]
    assert status == 2 and "lacks 80 pictures" in told and "--dataset cirr --split val" in told


def test_a_stopped_run_goes_on(root, tmp_path, capsys):
    (benchmark,) = find("cirr", "val", root)
    triplets = benchmark.triplets("val")
    path = tmp_path / "out/cirr-val-oracle.partial.jsonl"
    about = {"dataset": "cirr", "split": "val", "method": "oracle"}
    journal = Journal(path, about, triplets)
    assert list(journal.add(itertools.islice(lists.oracle(benchmark), 7))) == [*range(1, 8)]
    path.write_bytes(path.read_bytes() + b'{"query": "12007", "to')  # killed while writing
    status, answer = submit(
        capsys, root, "cirr", "--method", "oracle", "--split", "val", "--out",
        str(tmp_path / "out"),
    )  # fmt: skip
    assert status == 0 and answer["kept_from_before"] == 7 and not path.exists()
    stopped = [json.loads(Path(f).read_text()) for f in answer["out"]]
    whole = [json.loads(p.read_text()) for p in write(tmp_path / "b", "x", "cirr", [
        {"query": a.query_id, "top": a.top, "group": a.group} for a in lists.oracle(benchmark)
    ])]  # fmt: skip
    assert stopped == whole
    other = Journal(path, {**about, "method": "text"}, triplets)
    assert not path.exists() and next(other.add(lists.oracle(benchmark))) == 1
    with pytest.raises(BadInput, match="of another run"):
        Journal(path, about, triplets)


@published
def test_the_oracle_of_cirr(tmp_path, capsys):
    words = ("cirr", "--method", "oracle", "--split", "val", "--out", str(tmp_path))
    status, answer = submit(capsys, SHARED, *words)
    assert status == 0 and answer["accepted"]
    found = scored(capsys, SHARED, answer["out"])
    assert found["hard-target"]["R@1"] == 1.0
    assert 100 * found["soft-label"]["R@1"] == pytest.approx(99.012, abs=5e-4)
