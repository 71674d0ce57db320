"""Files for the test servers: planted faults are found, right files pass, scores are official."""

import copy
import json

import pytest

from cirdemo.cli import main
from cirdemo.data.find import find, places
from cirdemo.submission.files import read
from cirdemo.submission.preflight import check_files
from cirdemo.submission.score import score
from cirdemo.types import BadInput, MissingCheckpoint, UnknownName
from tests.fixtures_benchmarks import SHARED, write
from tests.fixtures_submissions import (
    NAMES,
    circo_file,
    circo_root,
    cirr_files,
    cirr_root,
    dumped,
)

published = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the published annotations are not beside the project"
)
Q = "12007"  # the query that the faults are planted in


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = tmp_path_factory.mktemp("annotations")
    cirr_root(made)
    cirr_root(made, "val", "dev")
    circo_root(made)
    return made


def call(capsys, *words):
    status = main([*map(str, words), "--json"])
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return status, json.loads(out)


def checked(root, value, name="file.json"):
    """A file's check, of a value or of raw bytes."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    (found,) = check_files({name: data}, lambda *a: find(*a, root))
    return found


# --- right files --------------------------------------------------------------------------


def test_right_files_pass(root, tmp_path, capsys):
    recall, subset = cirr_files()
    paths = [
        dumped(tmp_path / "recall.json", recall),
        dumped(tmp_path / "subset.json", subset),
        dumped(tmp_path / "circo.json", circo_file()),
    ]
    status, answer = call(capsys, "preflight", "--root", root, *paths)
    assert status == 0 and answer["accepted"]
    told = [(f["dataset"], f["split"], f["metric"], f["queries"]) for f in answer["files"]]
    assert told == [
        ("cirr", "test1", "recall", 40),
        ("cirr", "test1", "recall_subset", 40),
        ("circo", "val", "", 220),
    ]
    assert [f["faults"] for f in answer["files"]] == [[], [], []]
    assert not answer["files"][0]["not_checked"]
    assert "image_info_unlabeled2017" in answer["files"][2]["not_checked"][0]
    # ids of CIRCO may be texts, with zeros in front: its reader casts them
    text = {k: [f"{i:012d}" for i in v] for k, v in circo_file().items()}
    assert checked(root, text).accepted


def test_without_annotations_only_the_form_is_checked_and_that_is_said(tmp_path, capsys):
    recall, _ = cirr_files()
    recall[Q] = recall[Q][:49]
    path = dumped(tmp_path / "recall.json", recall)
    empty = tmp_path / "empty"
    empty.mkdir()
    status, answer = call(capsys, "preflight", "--root", empty, path)
    assert status == 1
    (file,) = answer["files"]
    assert [f["fault"] for f in file["faults"]] == ["too few"]
    assert "No captions/cap.rc2.test1.json" in file["not_checked"][0]
    assert main(["preflight", "--root", str(empty), str(path)]) == 1
    out = capsys.readouterr().out
    assert "recall.json: 1 faults" in out and "12007 (49)" in out and "not checked" in out


# --- planted faults -----------------------------------------------------------------------


def _cirr(metric, change):
    def plant():
        value = copy.deepcopy(cirr_files()[metric == "subset"])
        return change(value) or value

    return plant


def _circo(change):
    def plant():
        value = circo_file()
        return change(value) or value

    return plant


def _set(key, to):
    return lambda value: value.__setitem__(key, to(value.get(key)) if callable(to) else to)


def _drop(key):
    return lambda value: value.pop(key) and None


def _twice(value):
    text = json.dumps(value)
    return (text[:-1] + f', "{Q}": {json.dumps(value[Q])}}}').encode()


FAULTS = {  # what is planted -> (the fault that is named, the query it is found in, the file)
    "no JSON": ("not JSON", "", _cirr("recall", lambda v: json.dumps(v)[:-9].encode())),
    "a list": ("no object", "", _cirr("recall", lambda v: json.dumps([v]).encode())),
    "another encoding": ("not UTF-8", "", lambda: '{"version": "é"}'.encode("latin-1")),
    "nothing": ("empty", "", lambda: {"version": "rc2", "metric": "recall"}),
    "no benchmark's": ("format", "", lambda: {"a": ["b"] * 50}),
    "a key twice": ("repeated key", Q, _cirr("recall", _twice)),
    "no version": ("no version", "", _cirr("recall", _drop("version"))),
    "another version": ("version", "", _cirr("recall", _set("version", "rc1"))),
    "no metric": ("no metric", "", _cirr("subset", _drop("metric"))),
    "another metric": ("metric", "", _cirr("recall", _set("metric", "Recall"))),
    "over 5 MB": ("size", "", _cirr("recall", lambda v: json.dumps(v).encode() + b" " * 5_000_000)),
    "a query less": ("missing query", Q, _cirr("recall", _drop(Q))),
    "a query more": ("unknown query", "99", _cirr("recall", _set("99", NAMES[:50]))),
    "no list": ("no list", Q, _cirr("recall", _set(Q, "test1-1-0-img0"))),
    "49 names": ("too few", Q, _cirr("recall", _set(Q, lambda v: v[:49]))),
    "51 names": ("too many", Q, _cirr("recall", _set(Q, lambda v: [*v, NAMES[6]]))),
    "4 names of a group": ("too many", Q, _cirr("subset", _set(Q, NAMES[8:12]))),
    "a name twice": ("repeated picture", Q, _cirr("recall", _set(Q, lambda v: [*v[:49], v[0]]))),
    "a name unknown": (
        "unknown picture", Q,
        _cirr("recall", _set(Q, lambda v: [*v[:49], "test1-999-0-img0"])),
    ),
    "names with endings": (
        "unknown picture", Q, _cirr("recall", _set(Q, lambda v: [f"{i}.png" for i in v])),
    ),
    "the reference": ("reference", Q, _cirr("recall", _set(Q, lambda v: [NAMES[7], *v[:49]]))),
    "the reference in a group": ("reference", Q, _cirr("subset", _set(Q, NAMES[7:10]))),
    "outside the group": ("group", Q, _cirr("subset", _set(Q, [*NAMES[8:10], NAMES[30]]))),
    "numbers for names": ("no id", Q, _cirr("recall", _set(Q, list(range(50))))),
    "null for a name": ("no id", Q, _cirr("recall", _set(Q, lambda v: [*v[:49], None]))),
    "names of another split": (
        "unknown picture", Q,
        _cirr("recall", _set(Q, lambda v: [i.replace("test1", "dev") for i in v])),
    ),
    "CIRCO: a query less": ("missing query", "219", _circo(_drop("219"))),
    "CIRCO: counted from 1": ("unknown query", "220", lambda: {
        str(int(k) + 1): v for k, v in circo_file().items()}),
    "CIRCO: an id twice": ("repeated picture", "7", _circo(_set("7", lambda v: [*v[:49], v[0]]))),
    "CIRCO: twice, as number and text": (
        "repeated picture", "7", _circo(_set("7", lambda v: [*v[:49], f"{v[0]:012d}"])),
    ),
    "CIRCO: file names": ("no number", "7", _circo(_set("7", lambda v: [f"{i}.jpg" for i in v]))),
    "CIRCO: fractions": ("no id", "7", _circo(_set("7", lambda v: [i + 0.5 for i in v]))),
    "CIRCO: 51 ids": ("too many", "7", _circo(_set("7", lambda v: [*v, 9]))),
}  # fmt: skip


@pytest.mark.parametrize("planted", FAULTS)
def test_a_planted_fault_is_found(root, planted):
    kind, query, plant = FAULTS[planted]
    found = checked(root, plant())
    assert not found.accepted
    named = {f.kind: f for f in found.faults}
    assert kind in named, named
    if query:
        assert query in named[kind].queries
        assert named[kind].count == len(named[kind].queries)
        assert query in named[kind].message or named[kind].count > 5
    # one planted fault brings no crowd of others with it
    assert len(named) <= 2, named


def test_all_faults_of_a_file_are_told_at_once(root):
    recall, _ = cirr_files()
    recall |= {"version": "rc1", "12001": recall["12001"][:10]}
    recall["12002"][3] = recall["12002"][4]
    recall.pop("12003")
    kinds = {f.kind for f in checked(root, recall).faults}
    assert kinds == {"version", "too few", "repeated picture", "missing query"}


def test_two_files_are_held_against_each_other(root):
    recall, subset = cirr_files()
    both = {"a.json": json.dumps(recall).encode(), "b.json": json.dumps(recall).encode()}
    _, second = check_files(both, lambda *a: find(*a, root))
    assert [f.kind for f in second.faults] == ["same file"]  # one path for two exports
    subset.pop(Q)
    both["b.json"] = json.dumps(subset).encode()
    first, second = check_files(both, lambda *a: find(*a, root))
    assert first.accepted and [f.kind for f in second.faults] == ["missing query", "query sets"]
    val = json.dumps(cirr_files("dev")[1]).encode()
    _, second = check_files({"a.json": both["a.json"], "b.json": val}, lambda *a: find(*a, root))
    assert [f.kind for f in second.faults] == ["splits"]


def test_one_list_for_all_queries_is_warned_of(root):
    same = {str(n): list(range(1, 51)) for n in range(220)}
    found = checked(root, same)
    assert found.accepted and "220 of the 220 lists are the same" in found.warnings[0]


# --- scores -------------------------------------------------------------------------------


def test_scores_by_hand(root, tmp_path, capsys):
    recall, subset = cirr_files("dev")  # query n ranks n + 1 first; its target n + 2 is second
    paths = [dumped(tmp_path / "a.json", recall), dumped(tmp_path / "b.json", subset)]
    status, answer = call(capsys, "score", *paths, "--root", root)
    assert status == 0 and answer["protocol"] == "hard-target" and answer["queries"] == 40
    hard = {"R@1": 0, "R@5": 1, "R@10": 1, "R@50": 1}
    hard |= {"R_subset@1": 0, "R_subset@2": 1, "R_subset@3": 1}
    assert answer["metrics"] == answer["protocols"]["soft-label"] == hard
    path = dumped(tmp_path / "c.json", circo_file())
    status, answer = call(capsys, "score", "circo", path, "--root", root)
    # ranks 1 and 4: (1/1 + 2/4) / 2 for every k of 5 and more
    assert answer["metrics"]["mAP@5"] == answer["metrics"]["mAP@50"] == 0.75
    assert answer["metrics"]["Recall@5"] == 1.0 and answer["metrics"]["mAP@10 negation"] == 0.75
    assert main(["score", str(path), "--root", str(root)]) == 0
    assert "75.000000" in capsys.readouterr().out


def test_soft_labels_and_a_reference_that_was_left_in(root):
    (benchmark,) = find("cirr", "val", root)
    first = benchmark.triplets("val")[0]
    recall, _ = cirr_files("dev")
    rows = {t.query_id: [t.reference_id, *t.target_ids] for t in benchmark.triplets("val")}
    assert rows["12000"][0] == first.reference_id
    value = json.dumps(recall | rows).encode()
    found = score([read(value, name="x")], [benchmark])
    assert found["metrics"]["R@1"] == 1.0  # the reference goes before the list is cut


def test_what_cannot_be_scored_is_said(root, tmp_path, capsys):
    recall, _ = cirr_files()
    path = dumped(tmp_path / "test.json", recall)
    status, answer = call(capsys, "score", path, "--root", root)
    assert status == 2 and "no public targets" in answer["error"]["message"]
    recall, _ = cirr_files("dev")
    recall.pop(Q)
    path = dumped(tmp_path / "short.json", recall)
    status, answer = call(capsys, "score", path, "--root", root)
    assert status == 2 and "lacks 1 of the 40 queries, first 12007" in answer["error"]["message"]
    value = circo_file()
    value["3"][1] = value["3"][0]
    path = dumped(tmp_path / "twice.json", value)
    status, answer = call(capsys, "score", path, "--root", root)
    assert status == 2 and "query 3 names the picture 2003 twice" in answer["error"]["message"]
    with pytest.raises(UnknownName, match="Did you mean 'soft-label'"):
        score([read(json.dumps(cirr_files("dev")[0]).encode())], find("cirr", "val", root), "soft")
    assert main(["score", "circo"]) == 2


def test_fashioniq_on_both_galleries(tmp_path):
    ids = [f"p{n}" for n in range(100)]
    rows = [{"candidate": "p1", "target": "p2", "captions": ["is red", "is long"]}]
    write(tmp_path / "captions/cap.dress.val.json", rows)
    write(tmp_path / "image_splits/split.dress.val.json", ids)
    run = {"dress-0": [*ids[10:30], "p1", "p2", *ids[30:60]]}
    found = score([read(json.dumps(run).encode())], find("fashioniq", "val", tmp_path))
    assert found["metrics"] == {"R@10": 0, "R@50": 1, "R@10 dress": 0, "R@50 dress": 1}
    assert found["protocols"]["union-gallery"]["R@10"] == 1.0


def test_where_annotations_are_looked_for(tmp_path, monkeypatch):
    for name in ("project", "other/data"):
        (tmp_path / name).mkdir(parents=True)
    circo_root(tmp_path / "other/data/circo")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places() == [tmp_path / "project", tmp_path / "other/data"]
    (found,) = find("circo", "val")
    assert len(found.triplets("val")) == 220
    with pytest.raises(MissingCheckpoint, match="CIRDEMO_DATA"):
        find("cirr", "val")
    with pytest.raises(UnknownName, match="split of circo 'test1'"):
        find("circo", "test1")
    with pytest.raises(UnknownName, match="Did you mean 'cirr'"):
        find("cir", "val")
    with pytest.raises(BadInput, match="no folder"):
        find("cirr", "val", tmp_path / "none")
    monkeypatch.setenv("CIRDEMO_DATA", str(tmp_path / "other"))
    path = dumped(tmp_path / "run.json", circo_file())
    assert main(["score", str(path)]) == 2  # the folder that is named is the only one looked in
    monkeypatch.setenv("CIRDEMO_DATA", str(tmp_path / "other/data"))
    assert main(["score", str(path)]) == 0


# --- the published files ------------------------------------------------------------------


@published
def test_the_official_examples_pass(capsys):
    paths = [*(SHARED / "cirr/submissions").iterdir(), *(SHARED / "circo/submissions").iterdir()]
    status, answer = call(capsys, "preflight", "--root", SHARED, *sorted(paths))
    assert status == 0 and len(answer["files"]) == 4
    assert sorted(f["queries"] for f in answer["files"]) == [220, 800, 4148, 4148]
    assert all(not f["faults"] and not f["warnings"] for f in answer["files"])


@published
def test_scores_equal_circo_s_own_code(capsys):
    path = SHARED / "circo/submissions/submission_val.json"
    _, answer = call(capsys, "score", path, "--root", SHARED)
    found = answer["metrics"]
    for k, value in {
        5: 0.4861111111111111,
        10: 0.5177669552669553,
        25: 0.5400354476441434,
        50: 0.6020391550163255,
    }.items():
        assert abs(100 * found[f"mAP@{k}"] - value) < 1e-9
    recalls = {5: 200 / 220, 10: 200 / 220, 25: 300 / 220, 50: 800 / 220}
    for k, value in recalls.items():
        assert abs(100 * found[f"Recall@{k}"] - value) < 1e-9
    aspects = {
        "cardinality": 0.00, "addition": 0.09, "negation": 0.00, "direct_addressing": 0.92,
        "compare_change": 0.02, "comparative_statement": 1.05, "statement_with_conjunction": 0.62,
        "spatial_relations_background": 0.18, "viewpoint": 0.62,
    }  # fmt: skip
    assert {a: round(100 * found[f"mAP@10 {a}"], 2) for a in aspects} == aspects
