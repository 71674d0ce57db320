"""The command line: one JSON object on stdout, exit status 2 for what the user can mend."""

import json
import resource
import subprocess
import sys

import pytest
from PIL import Image

from cirdemo.builder import build_engine
from cirdemo.cli import main
from cirdemo.config import Settings
from cirdemo.methods import METHODS
from cirdemo.types import CirError
from tests.fakes import fake_engine


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # main() sets it; put it back afterwards


def call(capsys, *words, engine=fake_engine):
    status = main([*words, "--json"], make_engine=lambda settings: engine())
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return status, json.loads(out)


def test_search_a_file(capsys, tmp_path):
    path = tmp_path / "red.png"
    Image.new("RGB", (64, 64), "red").save(path)
    status, answer = call(capsys, "search", str(path), "green", "--top", "4")
    assert status == 0
    assert answer["descriptions"]["union"]["text"] == "red green"
    assert answer["coarse"]["union"][0].keys() == {"image_id", "rank", "score"}
    assert answer["reranked"][0]["image_id"] == "green"
    assert answer["rationale"]["conclusion"] == "green"
    assert len(answer["coarse"]["intersection"]) == 4
    assert len(answer["reranked"]) == 9  # everything that was judged, whatever --top says


def test_search_a_gallery_picture(capsys):
    words = ("search", "green", "--reference-id", "red", "--rerank", "0", "--no-reason")
    status, answer = call(capsys, *words, "--methods", "text, image")
    assert status == 0 and list(answer["coarse"]) == ["text", "image"]
    assert answer["reranked"] == [] and answer["rationale"] is None
    assert all(c["image_id"] != "red" for c in answer["coarse"]["image"])


def test_search_takes_fusions_and_the_fused_order(capsys):
    words = ("search", "green", "--reference-id", "red", "--methods", "rrf:text+image,sum")
    options = ("--rerank-on", "union", "--fuse", "--text-weight", "1", "--no-reason")
    status, answer = call(capsys, *words, *options)
    assert status == 0 and answer["order"] == {"of": "union", "by": "fused"}
    assert list(answer["coarse"]) == ["rrf:text+image", "sum", "union"]
    assert answer["coarse"]["sum"][0]["image_id"] == "green"
    status, answer = call(capsys, *words, "--rerank-on", "rrf", "--fuse")
    assert status == 2 and "no cosines" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("words", "kind", "text"),
    [
        (("search", "green", "--reference-id", "rde"), "UnknownName", "Did you mean 'red'"),
        (("search", "green"), "BadInput", "--reference-id"),
        (("search", "no-such-file.png", "green"), "BadInput", "no-such-file.png"),
        (("evaluate", "fabels"), "UnknownName", "Did you mean 'fables'"),
        (("evaluate", "fables", "--methods", "txt"), "UnknownName", "Did you mean 'text'"),
        (("check", "--method", "unoin"), "UnknownName", "Did you mean 'union'"),
        (("doctor", "--profile", "embeded"), "UnknownName", "Did you mean 'embedded'"),
    ],
)
def test_errors_are_json_with_status_2(capsys, words, kind, text):
    status, answer = call(capsys, *words)
    assert status == 2
    assert answer["error"]["type"] == kind and text in answer["error"]["message"]


def test_errors_without_json_go_to_stderr(capsys):
    assert main(["check", "--method", "x"], make_engine=lambda settings: fake_engine()) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "Unknown method 'x'" in captured.err


def test_a_bug_keeps_its_traceback(capsys):
    def broken(settings):
        raise ZeroDivisionError("a bug")

    assert main(["doctor", "--json"], make_engine=broken) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" in captured.err


def test_evaluate_writes_and_fills(capsys, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("<!-- results:fables -->\n<!-- /results -->\n")
    words = ("evaluate", "fables", "--methods", "text,setr", "--out", str(tmp_path / "out"))
    status, answer = call(capsys, *words, "--readme", str(readme))
    assert status == 0
    assert {"dataset", "split", "protocol", "queries", "gallery", "methods"} <= set(answer)
    text = answer["methods"]["text"]
    assert {"R@1", "R@5", "R@10", "R@50", "mAP@10", "interval", "by_kind"} <= set(text)
    assert "python -m cirdemo evaluate fables --methods text,setr" in readme.read_text()
    assert json.loads((tmp_path / "out" / "fables-test.json").read_text()) == answer
    rows = json.loads((tmp_path / "out" / "fables-test-rows.json").read_text())
    assert len(rows["setr"]) == 2 and rows["setr"][0]["judged"]


def test_evaluate_all_skips_what_cannot_run_and_says_so(capsys):
    gone = {"cot": "No checkpoint 'cot'."}
    status, answer = call(capsys, "evaluate", "fables", engine=lambda: fake_engine(broken=gone))
    assert status == 0 and answer["skipped"]["cot"] == answer["skipped"]["rrf"] == gone["cot"]
    assert "no records" in answer["skipped"]["impossible"]  # of the colours
    assert list(answer["methods"]) == [
        "text", "image", "sum", "union", "intersection", "setr", "setr_fused", "product", "caption",
    ]  # fmt: skip


def test_errors_blames_each_miss_once(capsys):
    # q1 is found first, q2 second: the judge says 0.9 of green whatever was asked for
    status, answer = call(capsys, "errors", "fables")
    assert status == 0
    assert {"dataset", "split", "queries", "missed", "counts", "by_kind", "errors"} <= set(answer)
    assert (answer["queries"], answer["missed"]) == (2, 1)
    (missed,) = answer["errors"]
    assert missed["query_id"] == "q2" and missed["blame"] == "re-rank inversion"
    assert missed["first"] == "green" and missed["coarse_rank"] == 1
    assert answer["counts"]["re-rank inversion"] == 1 == sum(answer["counts"].values())
    status, answer = call(capsys, "errors", "fables", "--limit", "1")
    assert (answer["queries"], answer["missed"], answer["errors"]) == (1, 0, [])
    assert main(["errors", "fables"], make_engine=lambda settings: fake_engine()) == 0
    assert "| all | 2 | 1 | 0 | 0 | 1 | 0 |" in capsys.readouterr().out


def test_check_and_doctor(capsys):
    status, answer = call(capsys, "check", "--method", "union")
    assert status == 0 and answer["verdict"] == "passed"
    status, answer = call(capsys, "doctor")
    assert status == 0 and answer["methods"]["setr"] == {"runs": True, "why_not": None}
    assert answer["machine"]["cores"] >= 1 and "torch" in answer["versions"]


def test_people_get_text(capsys):
    words = ["search", "green", "--reference-id", "red"]
    assert main(words, make_engine=lambda settings: fake_engine()) == 0
    assert "intersection: green" in capsys.readouterr().out


def test_library_chatter_stays_off_stdout(capsys):
    def chatty():
        sys.stdout.write("a library says hello")
        return fake_engine()

    status, _ = call(capsys, "check", "--method", "text", engine=chatty)
    assert status == 0


def test_help_is_quick():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "cirdemo", "--help"], capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 1.5  # of the processor: 0.1 s, whoever else works
    for name in ("search", "evaluate", "train", "draw", "check", "doctor"):
        assert name in done.stdout


def test_report_is_one_file_with_escaped_text(capsys, tmp_path):
    path = tmp_path / "out.html"
    words = ("search", "green <script>alert(1)</script>", "--reference-id", "red")
    status, answer = call(capsys, *words, "--top", "3", "--report", str(path))
    page = path.read_text()
    assert status == 0 and answer["report"] == str(path)
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
    assert page.count("<img") == 1 + 3 * 3 + 8  # reference; union, intersection, cot; all judged


def test_settings_come_from_the_environment_and_the_given_wins(monkeypatch, tmp_path):
    for name in ("PROFILE", "CACHE", "THREADS"):
        monkeypatch.delenv(f"CIRDEMO_{name}", raising=False)
    assert Settings.from_env().profile == "embedded"
    monkeypatch.setenv("CIRDEMO_PROFILE", "photo")
    monkeypatch.setenv("CIRDEMO_CACHE", str(tmp_path))
    monkeypatch.setenv("CIRDEMO_THREADS", "3")
    found = Settings.from_env()
    assert (found.profile, found.cache, found.threads) == ("photo", tmp_path, 3)
    assert Settings.from_env(profile="paper").profile == "paper"
    monkeypatch.setenv("CIRDEMO_THREADS", "many")
    with pytest.raises(CirError, match="CIRDEMO_THREADS"):
        Settings.from_env()


def test_without_checkpoints_every_method_says_what_is_missing(tmp_path):
    engine = build_engine(Settings(checkpoints=tmp_path, assets=tmp_path, cache=tmp_path))
    reasons = engine.methods()
    assert set(reasons) == {*METHODS, "setr"}
    assert all("python -m cirdemo train encoder" in str(r) for r in reasons.values())
    (tmp_path / "embedded" / "encoder").mkdir(parents=True)
    reasons = engine.methods()
    assert reasons["text"] is None and "'mllm'" in str(reasons["setr"])
