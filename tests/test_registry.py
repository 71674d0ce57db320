"""The registry: names, nearest names, lazy imports."""

import subprocess
import sys

import pytest

from cirdemo.registry import Registry, unknown
from cirdemo.types import UnknownName


def test_loads_the_attribute_only_when_asked():
    table = Registry("method", {"join": "posixpath:join", "lost": "no_such_module:thing"})
    assert table.load("join")("a", "b") == "a/b"
    assert list(table) == ["join", "lost"] and "join" in table and len(table) == 2
    with pytest.raises(ModuleNotFoundError):
        table.load("lost")


def test_unknown_name_says_the_nearest_and_all():
    table = Registry("method", {"text": "a:b", "image": "a:b", "sum": "a:b"})
    with pytest.raises(UnknownName) as caught:
        table.target("imge")
    assert (
        str(caught.value) == "Unknown method 'imge'. Did you mean 'image'? Known: image, sum, text."
    )


def test_nearest_ignores_case_and_stays_silent_far_off():
    assert "Did you mean 'CIRR'" in str(unknown("dataset", "cirr", ["CIRR", "fables"]))
    assert "Did you mean" not in str(unknown("dataset", "qqqq", ["CIRR", "fables"]))


def test_a_long_list_of_known_names_is_cut():
    text = str(unknown("picture", "x", [f"picture{i:03d}" for i in range(500)]))
    assert "and 488 more" in text and len(text) < 300


@pytest.mark.parametrize("target", ["plain", "a:", ":b", "a b:c", "a:b.c"])
def test_malformed_targets_are_refused(target):
    with pytest.raises(ValueError, match="module:attribute"):
        Registry("method").register("x", target)


def test_duplicates_are_refused():
    table = Registry("method", {"x": "a:b"})
    with pytest.raises(ValueError, match="already registered"):
        table.register("x", "a:c")


def test_naming_parts_imports_none_of_the_heavy_libraries():
    code = (
        "import sys, cirdemo.registry, cirdemo.builder, cirdemo.cli;"
        "heavy = {'torch', 'faiss', 'gradio', 'transformers', 'open_clip'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
