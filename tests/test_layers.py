"""Imports point one way, and heavy libraries and concrete parts are named where they may be.

Imports inside functions count. Imports under `if TYPE_CHECKING:` name types and run nothing: they
must still point one way, but may name concrete classes and torch.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "cirdemo"
LEVELS = (  # an import never points to a later line; a module not named here fails the test
    {"types"},
    {
        "registry",
        "incident",
        "prompts",
        "metrics",
        "intake",
        "lettering",
        "archives",
        "words",
        "unheard",
        "cache",
        "region",
    },
    {"profiles", "captions"},
    {"config", "hub", "methods"},
    {"models", "data"},
    {"describe", "retrieve", "gallery", "rerank", "reason", "explain", "train"},
    {"parts", "shelves", "sources", "submission"},
    {"coarse", "stages", "steer"},
    {"holdings"},
    {"engine"},
    {"evaluate", "counterfactual", "lineup"},
    {"export", "fragments", "asked"},
    {"report", "results", "replay", "batch"},
    {"builder"},
    {"fitness"},
    {"conformance", "examples", "selftest", "bench"},
    {"ui", "cli"},
    {"__main__"},
)
LEVEL = {name: number for number, names in enumerate(LEVELS) for name in names}
UNITS_APART = {"describe", "retrieve", "gallery", "rerank", "reason", "explain"}  # know no other
MAY_IMPORT_TORCH = (
    *("models", "train", "reason", "explain.heatmaps", "bench"),
    *("retrieve.inversion", "retrieve.tuned"),  # they optimise, or feed networks
)
MAY_NAME_PARTS = ("builder", "cli", "__main__", "train", "bench")  # train makes models, bench times
PART_UNITS = ("models", "describe", "retrieve", "gallery", "rerank", "reason", "data")
FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """`retrieve.learned` for cirdemo/retrieve/learned.py; "" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def unit_of(name: str) -> str:
    return name.split(".")[0]


def imports(tree: ast.AST, *, checking: bool = False) -> Iterator[tuple[str, str, bool]]:
    """(module, name or "", only for type checking) of every import in a tree."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "", checking) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:  # a relative one stays inside its package
                yield from ((str(node.module), alias.name, checking) for alias in node.names)
            assert node.level < 2, "an import of two dots hides where it points"
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports(node, checking=True)
        else:
            yield from imports(node, checking=checking)


def inner(module: str, name: str) -> str | None:
    """The cirdemo module that an import reaches, without the package's name."""
    if module == "cirdemo":
        return name
    return module.removeprefix("cirdemo.") if module.startswith("cirdemo.") else None


@functools.cache
def concrete_classes() -> dict[tuple[str, str], str]:
    """(module, class) -> unit of the classes that are parts: not records, protocols, errors."""
    found = {}
    for path in FILES:
        name = name_of(path)
        if unit_of(name) not in PART_UNITS:
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
                continue
            bases = " ".join(ast.unparse(b) for b in node.bases)
            record = any("dataclass" in ast.unparse(d) for d in node.decorator_list)
            if not record and not any(w in bases for w in ("Protocol", "Error", "NamedTuple")):
                found[name, node.name] = unit_of(name)
    return found


def test_every_unit_has_a_level():
    assert {unit_of(name_of(p)) for p in FILES} - {""} <= set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_one_way(path):
    name = name_of(path)
    unit = unit_of(name)
    for module, imported, checking in imports(ast.parse(path.read_text(encoding="utf-8"))):
        target = inner(module, imported)
        if target is None or not (there := unit_of(target)) or there == unit:
            continue
        if there not in LEVEL:  # `from cirdemo import __version__`
            continue
        assert LEVEL[there] <= LEVEL[unit], f"{name} imports {target}, which is above it"
        if {unit, there} <= UNITS_APART and not checking:
            raise AssertionError(f"{name} imports {target}: units of one level stay apart")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_heavy_libraries_stay_in_their_units(path):
    name = name_of(path)
    for module, _, checking in imports(ast.parse(path.read_text(encoding="utf-8"))):
        library = module.split(".")[0]
        if library == "gradio":
            # bench times the least app there can be beside ours
            assert unit_of(name) == "ui" or name == "bench.minimal", f"{name} imports gradio"
        if library in ("torch", "torchvision", "transformers", "open_clip", "peft"):
            allowed = any(name == m or name.startswith(m + ".") for m in MAY_IMPORT_TORCH)
            assert allowed or checking, f"{name} imports {library}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_builder_names_concrete_classes(path):
    name = name_of(path)
    if unit_of(name) in MAY_NAME_PARTS:
        return
    parts = concrete_classes()
    for module, imported, checking in imports(ast.parse(path.read_text(encoding="utf-8"))):
        unit = parts.get((inner(module, imported) or "", imported))
        assert unit in (None, unit_of(name)) or checking, f"{name} names the part {imported}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_prints_but_the_command_line(path):
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    ]
    assert not calls or unit_of(name_of(path)) == "cli"


def test_the_rules_see_what_is_hidden():
    hidden = ast.parse("def f():\n    from cirdemo.builder import build_engine\n    import torch\n")
    assert [m for m, _, _ in imports(hidden)] == ["cirdemo.builder", "torch"]
    typed = ast.parse("if TYPE_CHECKING:\n    import torch\n")
    assert list(imports(typed)) == [("torch", "", True)]
    assert ("retrieve.zero_shot", "TextOnly") in concrete_classes()
