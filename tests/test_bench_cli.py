"""`bench` on the command line: its words, its bounds, the command told above each table."""

import argparse

import pytest

from cirdemo.cli import bench, main, parser


def _args(*words):
    args = parser().parse_args(["bench", *words])
    args.words = ["bench", *words]
    return args


def test_a_table_is_told_the_command_that_gives_it_alone():
    args = _args("all", "--readme", "README.md", "--out", "x", "--rounds", "3", "--json")
    assert bench._command(args, "search") == "python -m cirdemo bench search --rounds 3"


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
