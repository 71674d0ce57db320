"""A lent graphics card: every model call is wrapped where `spaces` is installed, none elsewhere."""

import sys
import types
from importlib.machinery import ModuleSpec

import pytest

from cirdemo.config import Settings
from cirdemo.types import CirError
from cirdemo.ui.gpu import lend
from tests.fakes import fake_engine


def test_without_the_package_the_engine_stays_as_it_is():
    engine = fake_engine()
    assert lend(engine) is engine and "search" not in vars(engine)


def test_with_it_each_call_asks_for_the_card(monkeypatch):
    asked = []

    def gpu(duration):
        def wrap(fn):
            def run(*args, **named):
                asked.append((fn.__name__, duration))
                return fn(*args, **named)

            return run

        return wrap

    spaces = types.ModuleType("spaces")
    spaces.GPU, spaces.__spec__ = gpu, ModuleSpec("spaces", None)
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    engine = lend(fake_engine())
    query = engine.make_query(text="green", reference_id="red")
    *_, result = engine.search(query)
    assert result.reranked[0].image_id == "green"
    assert len(engine.explain(query.reference, ["green"])) == 1
    assert asked == [("search", 60), ("explain", 60)]


def test_a_space_is_public_unless_it_is_said_otherwise(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.delenv("CIRDEMO_PUBLIC", raising=False)
    assert not Settings.from_env().public
    monkeypatch.setenv("SPACE_ID", "me/cirdemo")
    assert Settings.from_env().public and Settings().public
    monkeypatch.setenv("CIRDEMO_PUBLIC", "no")
    assert not Settings.from_env().public
    monkeypatch.setenv("CIRDEMO_PUBLIC", "perhaps")
    with pytest.raises(CirError, match="CIRDEMO_PUBLIC must be yes or no"):
        Settings.from_env()
