"""Every recipe runs for a moment and writes what the app loads; the loop learns and resumes."""

import functools
import json
import types

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cirdemo import prompts
from cirdemo.data.drawn import queries
from cirdemo.models.encoders import OpenClipEncoder
from cirdemo.models.mllm import VisionLanguageModel
from cirdemo.train import adapters, encoder, mllm, pools, recipes, vision
from cirdemo.train.attributes import ABSENT, NAMES
from cirdemo.train.batches import HELD_OUT, Pictures
from cirdemo.train.fit import Optimizers, Schedule, fit, rate
from cirdemo.types import MissingCheckpoint, UnknownName

FAMILIES = 4  # of each world: 80 pictures in all, drawn in a second
SECONDS = 0.5  # at least one step each, whatever the machine


@pytest.fixture
def short(monkeypatch):
    """Small batches, few pictures, nothing compiled; the recipes' code is untouched."""
    monkeypatch.setattr(recipes, "FEWEST", FAMILIES)
    monkeypatch.setattr(recipes, "compiled", lambda function, **_: function)
    for module, name, sizes in (
        (encoder, "EncoderRecipe", {"families": 2, "each": 4}),
        (vision, "VisionRecipe", {"batch": 8}),
        (mllm, "MllmRecipe", {"batch": 2}),
        (adapters, "JudgeRecipe", {"batch": 2, "candidates": 3}),
        (adapters, "CotRecipe", {"batch": 2, "negatives": 8}),
    ):
        monkeypatch.setattr(module, name, functools.partial(getattr(module, name), **sizes))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


def _train(home, name, **options):
    given = {"seconds": SECONDS, "cache": home / "cache", "base": home, "out": home / name}
    report = recipes.run(name, **(given | options))
    return report, json.loads((home / name / "meta.json").read_text())


@pytest.mark.usefixtures("short")
def test_every_recipe_writes_what_the_app_loads(home):
    for name in ("encoder", "vision", "mllm", "judge", "cot"):
        report, meta = _train(home, name, seed=3)
        assert (report["recipe"], report["seed"], report["out"]) == (name, 3, str(home / name))
        assert report["training"]["steps"] >= 1
        assert np.isfinite(report["training"]["loss"])
        assert meta["seed"] == 3 and meta["training"] == report["training"]
        assert meta["recipe"]["lr"] > 0
        assert meta["command"].startswith("python -m cirdemo")
        assert {"cores", "torch", "python"} <= set(meta["machine"])
        for world in ("fables", "wardrobe"):
            # the shares of the full budget that the shortest runs draw
            assert meta["data"][world]["pictures"] >= FAMILIES * 10
            assert len(meta["data"][world]["fingerprint"]) == 16
        assert meta["data"]["fables"]["fingerprint"] != meta["data"]["wardrobe"]["fingerprint"]
    picture = Image.effect_noise((256, 256), 90).convert("RGB")
    dual = OpenClipEncoder(home / "encoder")
    for rows in (dual.encode_images([picture]), dual.encode_texts(["a white dog"])):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    model = VisionLanguageModel.load(
        str(home / "mllm"), {r: str(home / r) for r in ("judge", "cot")}
    )
    before = [picture, prompts.judge_prompt("make it white", "a white dog")]
    ((chance, _),) = model.yes_no(before, [picture], adapter="judge")
    assert 0 < chance < 1
    _, vectors = model.reason([[picture, prompts.reason_prompt("white")]], max_new_tokens=2)
    assert vectors.shape == (1, dual.dim)  # of the gallery's space
    sizes = {
        str(p.relative_to(home)): p.stat().st_size
        for p in home.rglob("*")
        if p.is_file() and "cache" not in p.parts
    }
    assert {name for name, size in sizes.items() if size >= 10_000_000} == set()


def test_adapters_say_what_to_train_first(home, short, tmp_path):
    for name in ("judge", "cot"):
        with pytest.raises(MissingCheckpoint, match="cirdemo train"):
            recipes.run(
                name, seconds=1, cache=home / "cache", base=tmp_path / "empty", out=tmp_path / name
            )
        assert not (tmp_path / name).exists()


def test_unknown_recipes_are_named():
    with pytest.raises(UnknownName, match=r"recipe 'juge'. Did you mean 'judge'\?"):
        recipes.run("juge")


# --- the loop -----------------------------------------------------------------------------


def test_the_rate_warms_up_and_falls_to_its_end():
    schedule = Schedule(seconds=1, lr=2.0, warmup=0.1, final=0.5)
    assert rate(0.05, schedule) == pytest.approx(1.0)
    assert rate(0.1, schedule) == pytest.approx(2.0)
    assert rate(0.55, schedule) == pytest.approx(1.5)  # halfway down the cosine
    assert rate(1.0, schedule) == rate(1.3, schedule) == pytest.approx(1.0)


def _regression(seed=0):
    torch.manual_seed(seed)
    model = nn.Linear(3, 1)

    def step():
        x = torch.randn(32, 3)
        wanted = x @ torch.tensor([[1.0], [-2.0], [0.5]])
        return {"loss": nn.functional.mse_loss(model(x).float(), wanted)}

    return model, step


def test_the_loop_learns_saves_and_resumes(tmp_path):
    model, step = _regression()
    state, saves = tmp_path / "state.pt", []
    facts = fit({"m": model}, step, Schedule(seconds=0.6, lr=0.2), state, lambda: saves.append(1))
    assert facts["steps"] > 10
    assert (model.weight - torch.tensor([[1.0, -2.0, 0.5]])).abs().max() < 0.2  # learnt
    assert saves == [1]
    assert not list(tmp_path.glob("*.part"))
    other, step = _regression(seed=1)
    again = fit({"m": other}, step, Schedule(seconds=0.5, lr=0.05), state)
    assert again["steps"] == facts["steps"]  # the budget was spent before: nothing is trained
    torch.testing.assert_close(other.weight, model.weight)
    longer = fit({"m": other}, step, Schedule(seconds=0.8, lr=0.05), state)
    assert longer["steps"] > facts["steps"]


def test_ctrl_c_keeps_what_was_learnt(tmp_path):
    model, step = _regression()
    calls, saves = [], []

    def interrupted():
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return step()

    facts = fit({"m": model}, interrupted, Schedule(seconds=60), on_save=lambda: saves.append(1))
    assert (facts["steps"], saves) == (3, [1])


def test_the_best_weights_on_held_out_data_are_kept(tmp_path):
    model, step = _regression()
    losses, kept = iter((3.0, 1.0, 2.0, 0.5)), []
    schedule = Schedule(seconds=0.5, lr=0.1, save_every=0.15)
    facts = fit({"m": model}, step, schedule, None, lambda: kept.append(1), lambda: next(losses))
    assert len(kept) == 3 and facts["held_out"] == 0.5  # not at the third check, which rose


@pytest.mark.parametrize("held_out", [True, False])
def test_held_out_families_are_never_trained_on(held_out, home):
    drawn = types.SimpleNamespace(
        pool=types.SimpleNamespace(asked=range(1000)), pictures=range(2000)
    )
    stream = mllm.QueryStream({"fables": drawn, "wardrobe": drawn}, 1, held_out=held_out)
    families = {stream.draw(0.5)[1] // queries.FAMILY_QUERIES for _ in range(3000)}
    trainer, _ = _looking(np.zeros(2000, int))
    trainer.held = held_out
    found = families, set(trainer.draw(3000) // queries.FAMILY_PICTURES)
    for some in found:
        assert {f % HELD_OUT == 0 for f in some} == {held_out}
        assert len(some) == (4 if held_out else 196)


def test_a_part_of_a_pool_is_a_pool_of_its_own(tmp_path):
    drawn = pools.drawn_pool("fables", 5, 1, tmp_path)
    part = pools.part(drawn, 2, 3)  # two whole parts, so that the fourth is the second again
    assert part.pool.contents == drawn.pool.contents[20:40]
    assert part.boxes == drawn.boxes[20:40]
    np.testing.assert_array_equal(part.pictures, drawn.pictures[20:40])
    for mine, theirs in zip(part.pool.asked, drawn.pool.asked[10:20], strict=True):
        assert queries.describe(part.pool, mine) == queries.describe(drawn.pool, theirs)
        assert [i + 20 for i in mine.near] == list(theirs.near)
    assert all(part.targets)
    assert pools.part(drawn, 6, 1) is drawn


def test_two_animals_are_drawn_more_often_and_garments_less():
    counts = np.array([0, 1, 2, ABSENT]).repeat(500)
    trainer, recipe = _looking(counts)
    chosen = counts[trainer.draw(20_000)]
    seen = {c: (chosen == c).sum() for c in (0, 1, 2, ABSENT)}
    assert seen[1] / seen[0] == pytest.approx(recipe.pairs, rel=0.1)
    assert seen[ABSENT] / seen[0] == pytest.approx(recipe.garments, rel=0.1)
    assert seen[2] / seen[0] == pytest.approx(1, rel=0.1)


def _looking(counts):
    """A trainer of a vision tower on pictures of which the number of animals alone is known."""
    labels = torch.full((len(counts), len(NAMES)), ABSENT)
    labels[:, NAMES.index("count")] = torch.from_numpy(counts)
    shown = object.__new__(Pictures)
    shown.labels, shown.starts = labels, np.array([0, len(counts)])
    recipe = vision.VisionRecipe()
    return vision.VisionTrainer(nn.Identity(), shown, recipe, 0, fresh=True), recipe


def test_matrices_go_to_muon_and_all_else_to_adamw():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(16, 16)
            self.head = nn.Linear(16, 4)
            self.frozen = nn.Linear(16, 16).requires_grad_(False)
            self.lora_A = nn.Linear(16, 16, bias=False)

    net = Net()
    muon, adamw = Optimizers(list(net.named_parameters()), Schedule(seconds=1)).parts
    matrices = {id(net.inner.weight), id(net.lora_A.weight)}
    assert {id(p) for g in muon.param_groups for p in g["params"]} == matrices
    rest = {id(p) for g in adamw.param_groups for p in g["params"]}
    assert rest == {id(p) for p in (net.inner.bias, net.head.weight, net.head.bias)}
    (plain,) = Optimizers(list(net.named_parameters()), Schedule(seconds=1, muon=False)).parts
    assert {id(p) for g in plain.param_groups for p in g["params"]} == matrices | rest
