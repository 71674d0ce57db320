"""`bench` on the command line: its words, its bounds, the command told above each table."""

import argparse

import pytest

from cirdemo.cli import bench, main, parser
from cirdemo.types import CirError


def _args(*words):
    args = parser().parse_args(["bench", *words])
    args.words = ["bench", *words]
    return args


def test_a_table_is_told_the_command_that_gives_it_alone():
    args = _args("all", "--readme", "README.md", "--out", "x", "--rounds", "3", "--json")
    assert bench._command(args, "search") == "python -m cirdemo bench search --rounds 3"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("search", "bench search --million --rounds 3"),
        ("app", "bench app --rounds 3 --visitors 9"),
        ("index", "bench index --rounds 3"),
        ("plan", "bench plan"),
    ],
)
def test_a_table_is_told_only_the_options_that_it_heeds(name, said):
    words = ["all", "--million", "--rounds", "3", "--visitors", "9", "--out=x", "--json"]
    assert bench._command(_args(*words), name) == f"python -m cirdemo {said}"


def test_one_that_fails_is_told_and_costs_the_others_nothing(monkeypatch, tmp_path, capsys):
    def fine(args):
        return {"bench": "fine", "notes": ["it is fast"]}

    def fails(args):
        raise CirError("there is no port")

    benches = {"broken": fails, "fine": fine, "plan": fine}
    monkeypatch.setattr(bench, "BENCHES", benches)
    readme = tmp_path / "README.md"
    readme.write_text("".join(f"<!-- bench:{n} -->\nold\n<!-- /bench -->\n" for n in benches))
    assert main(["bench", "all", "--readme", str(readme), "--out", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "bench broken: there is no port" in told.err
    assert "not all of them were measured" in told.err  # of the plan
    assert readme.read_text().count("old") == 2 and "it is fast" in readme.read_text()
    assert (tmp_path / "bench-fine.json").is_file()
    assert not (tmp_path / "bench-broken.json").exists()


def test_markers_are_looked_for_before_anything_is_measured(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "BENCHES", {"search": pytest.fail})
    (tmp_path / "README.md").write_text("no markers")
    assert main(["bench", "all", "--readme", str(tmp_path / "README.md")]) == 2
    assert "has no lines <!-- bench:search -->" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--visitors", "0"]])
def test_numbers_that_cannot_be_are_refused(words, capsys):
    assert main(["bench", "app", *words]) == 2
    assert "1 or more" in capsys.readouterr().err


def test_every_bench_is_offered_and_all_of_them_run_in_order(monkeypatch, tmp_path, capsys):
    order = []

    def fake(name):
        def run(args):
            assert isinstance(args, argparse.Namespace)
            order.append(name)
            return {"bench": name, "notes": [f"what {name} says"]}

        return run

    monkeypatch.setattr(bench, "BENCHES", {n: fake(n) for n in bench.BENCHES})
    readme = tmp_path / "README.md"
    readme.write_text("".join(f"<!-- bench:{n} -->\n<!-- /bench -->\n" for n in bench.BENCHES))
    assert main(["bench", "all", "--readme", str(readme), "--out", str(tmp_path / "out")]) == 0
    assert order == ["rerank", "search", "index", "app", "plan"]  # the plan is made of the others
    text = readme.read_text()
    assert all(f"python -m cirdemo bench {n}\n" in text and f"what {n} says" in text for n in order)
    assert (tmp_path / "out" / "bench-plan.json").is_file()
    assert "what app says" in capsys.readouterr().out
