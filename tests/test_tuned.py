"""The Q-Former and Retrieval-DPO: what they look at, what they learn from, how they load."""

import json
import math
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn import functional

from cirdemo.builder import build_engine
from cirdemo.config import Settings
from cirdemo.data.drawn import phrases, queries, wardrobe
from cirdemo.models import fusion, trained
from cirdemo.models.encoders import OpenClipEncoder
from cirdemo.retrieve.tuned import DpoComposer, DpoPublished, QFormerComposer
from cirdemo.train import encoded, recipes
from cirdemo.train import fusion as trainers
from cirdemo.train.pools import DrawnPool
from cirdemo.types import CirError, MissingCheckpoint, Query
from tests import fixtures_encoder

NAMES = ("inversion", "qformer", "dpo_published", "dpo")
QFORMER, INVERSION = trainers.QFormerRecipe(), trainers.InversionRecipe()
STEPS = 40
FAMILIES = 30  # of ten garments
WORDS = 19  # the tiny encoder's vocabulary


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A tiny encoder whose text tower is as wide as its space."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixtures_encoder, "DIM", 64)
        folder = fixtures_encoder.save_tiny_encoder(tmp_path_factory.mktemp("home") / "encoder")
    return OpenClipEncoder(folder)


def _query(text="a hat", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    return Query(query_id="q", reference=Image.fromarray(pixels), modification=text)


@pytest.fixture(scope="module")
def worlds():
    """Garments with random vectors: contents, tokens and queries as in training."""
    pool = queries.make_pool("wardrobe", ("train",) * FAMILIES, 1)
    n = len(pool.contents)
    rng = np.random.default_rng(0)
    rows = {}
    for i, content in enumerate(pool.contents):
        rows.setdefault(content, []).append(i)
    vectors = torch.from_numpy(rng.normal(size=(n, 64)).astype(np.float32))
    seen = encoded.Encoded(
        "wardrobe",
        pool.contents,
        functional.normalize(vectors, dim=1),
        rng.normal(size=(n, 16, 64)).astype(np.float16),
        rows,
    )
    drawn = DrawnPool(pool, np.zeros((n, 1, 1, 3), np.uint8), [{}] * n, queries.targets(pool))
    return {"wardrobe": seen}, {"wardrobe": drawn}


def _asks(worlds):
    return trainers.Asks(*worlds, 1.0, 0)


# --- what is asked in training ------------------------------------------------------------


def test_every_training_query_has_its_targets(worlds):
    asks = _asks(worlds)
    world = asks.world()
    for fresh in (0.0, 1.0):
        references, texts, targets = asks.draw(world, 40, fresh=fresh, single=0.5)
        for reference, text, hits in zip(references, texts, targets, strict=True):
            garment = world.contents[reference]
            assert hits and reference not in hits and text
            wanted = {world.contents[i] for i in hits}
            assert len(wanted) == 1 and wardrobe.split_of(*wanted) == "train"
            changed = sum(
                getattr(garment, a) != getattr(*wanted, a) for a in wardrobe.Garment.__slots__
            )
            assert changed in (1, 2)  # one caption's worth, or two
    assert len(set(asks.draw(world, 100)[0])) > FAMILIES  # any picture may be asked about


def test_candidates_hold_targets_and_near_misses(worlds):
    asks = _asks(worlds)
    recipe = trainers.QFormerRecipe(bank=3)
    trainer = trainers.QFormerTrainer(None, WORDS, asks, recipe, 0)
    world = asks.world()
    rows, positive = trainer.candidates(world, [12], [[3, 25]])
    assert {3, 25, *range(10, 20)} <= set(rows) and len(rows) <= 15
    assert [rows[i] for i in positive[0].nonzero().ravel()] == [3, 25]


# --- Q-Former -----------------------------------------------------------------------------


def _net(**sizes):
    torch.manual_seed(0)
    small = {"queries": 4, "hidden": 32, "layers": 2, "inner": 32}
    return fusion.FusionNet(vocab=WORDS, width=64, dim=64, **{**small, **sizes}).eval()


def test_the_qformer_looks_at_picture_and_text(encoder):
    composer = QFormerComposer(encoder, _net())
    vector = composer.compose(_query()).vector
    assert vector.shape == (64,) and vector.dtype == np.float32
    assert abs(np.linalg.norm(vector) - 1) < 1e-5
    assert np.abs(composer.compose(_query("in snow")).vector - vector).max() > 1e-3
    assert np.abs(composer.compose(_query(seed=1)).vector - vector).max() > 1e-4
    # the padding behind the short text must not be read
    both = composer.compose_many([_query(), _query("the red dog in snow with a blue hat")])
    np.testing.assert_allclose(both[0].vector, vector, atol=1e-5)


def test_patch_tokens_are_what_training_saw(encoder):
    query = _query()
    (tokens,) = fusion.patch_tokens(encoder, [query.reference])
    wanted = encoded.image_tower(encoder.model, encoder.pixels([query.reference]))[1][0]
    torch.testing.assert_close(tokens, wanted, atol=1e-5, rtol=1e-4)


def test_a_short_text_asks_for_the_same(worlds):
    recipe = trainers.QFormerRecipe(terse=1.0, dropped=1.0)
    trainer = trainers.QFormerTrainer(None, WORDS, _asks(worlds), recipe, 0)
    for text, left in (
        ("could you make the dog red", "you dog red"),
        ("a cat instead of the dog please", "cat instead of dog"),
        ("is blue and not red", "blue and not red"),
        ("make it a", "make it a"),  # nothing would be left
    ):
        assert trainer.shorten(text) == left
    words = {w for some in phrases.FABLES.values() for w in " ".join(some.common).split()}
    words |= {w for some in phrases.WARDROBE.values() for w in " ".join(some.common).split()}
    assert words >= phrases.MANNER - {"an"}  # which comes with an owl


def test_the_qformer_learns_and_loads_as_it_was(worlds, encoder, tmp_path):
    recipe = trainers.QFormerRecipe(batch=8, queries=4, hidden=32, layers=1, inner=32, bank=20)
    trainer = trainers.QFormerTrainer(encoder.tokenizer, WORDS, _asks(worlds), recipe, 0)
    parameters = [p for m in trainer.modules.values() for p in m.parameters()]
    optimizer = torch.optim.Adam(parameters, 3e-3)
    losses = []
    for _ in range(STEPS):
        facts = trainer.step()
        facts["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(facts["loss"].detach()))
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.3
    trainer.save(tmp_path, encoder.space)
    net = trained.load_qformer(tmp_path, encoder.space)
    assert not any(p.requires_grad for p in net.parameters())
    vector = QFormerComposer(encoder, net).compose(_query()).vector
    saved = deepcopy(trainer.net).half().float().eval()  # what half precision leaves of it
    before = QFormerComposer(encoder, saved).compose(_query()).vector
    np.testing.assert_allclose(vector, before, atol=1e-6)


# --- DPO ----------------------------------------------------------------------------------


def test_the_loss_is_the_formulas():
    plus, minus = torch.tensor([2.0, 0.0]), torch.tensor([1.0, 3.0])
    by_hand = (math.log(1 + math.exp(-0.1)) + math.log(1 + math.exp(0.3))) / 2
    assert float(trainers.preference_loss(plus, minus, 0.1)) == pytest.approx(by_hand, abs=1e-6)
    base = torch.tensor([1.5, 0.0]), torch.tensor([0.0, 3.0])  # margins 1.5 and -3
    by_hand = (math.log(1 + math.exp(0.05)) + math.log(2)) / 2  # of 1 - 1.5 and -3 + 3
    found = trainers.preference_loss(plus, minus, 0.1, base)
    assert float(found) == pytest.approx(by_hand, abs=1e-6)


def test_the_published_pair_is_the_reference_and_its_neighbour(worlds, encoder):
    recipe = trainers.DpoRecipe(published=True)
    trainer = trainers.DpoTrainer(encoder.model, encoder.tokenizer, _asks(worlds), recipe, 0)
    world = trainer.asks.world()
    references, texts, targets = trainer.asks.draw(world, 12)
    wanted, others = trainer.pairs(world, references, texts, targets)
    assert wanted == references
    vectors = world.vectors.numpy()
    for reference, other in zip(references, others, strict=True):
        order = np.argsort(-(vectors @ vectors[reference]), kind="stable")
        assert order[0] == reference and order[1] == other


def test_the_right_pair_is_a_target_and_a_near_miss(worlds, encoder):
    recipe = trainers.DpoRecipe(top=5)
    trainer = trainers.DpoTrainer(encoder.model, encoder.tokenizer, _asks(worlds), recipe, 0)
    world = trainer.asks.world()
    references, texts, targets = trainer.asks.draw(world, 60)
    wanted, others = trainer.pairs(world, references, texts, targets)
    vectors = world.vectors.numpy()
    ranks = []
    for plus, minus, hits in zip(wanted, others, targets, strict=True):
        assert plus in hits and minus not in hits
        order = [i for i in np.argsort(-(vectors @ vectors[plus])) if i not in hits]
        ranks.append(order.index(minus))
    assert max(ranks) < 5 and len(set(ranks)) > 1  # of the nearest five, not one of them only


@pytest.mark.parametrize("published", [False, True])
def test_dpo_trains_the_text_blocks_alone_and_loads(worlds, encoder, tmp_path, published):
    name = "dpo_published" if published else "dpo"
    kind = DpoPublished if published else DpoComposer
    recipe = trainers.DpoRecipe(batch=8, top=5, published=published)
    trainer = trainers.DpoTrainer(encoder.model, encoder.tokenizer, _asks(worlds), recipe, 0)
    untrained = kind(encoder, trainer.policy).compose(_query()).vector
    start = float(trainer.step()["loss"].detach())
    if not published:
        assert start == pytest.approx(math.log(2), abs=1e-5)  # the policy is the reference policy
    optimizer = torch.optim.Adam(trainer.modules["blocks"].parameters(), 1e-2)
    for _ in range(3):
        trainer.step()["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
    assert all(p.grad is None for p in encoder.model.parameters())
    trainer.save(tmp_path, encoder.space)
    assert all(key.startswith("resblocks.") for key in load_file(tmp_path / trained.WEIGHTS))
    tower = trained.load_tuned_tower(encoder.model, tmp_path, name, encoder.space)
    vector = kind(encoder, tower).compose(_query()).vector
    trainer.policy.blocks.half().float()  # what half precision leaves of it
    before = kind(encoder, trainer.policy).compose(_query()).vector
    np.testing.assert_allclose(vector, before, atol=1e-6)
    assert np.abs(vector - untrained).max() > 3e-2


def test_untrained_dpo_is_text_only_and_the_published_one_is_of_another_space(encoder):
    tower = fusion.TextTower(encoder.model)
    (text,) = encoder.encode_texts(["a hat"])
    np.testing.assert_allclose(
        DpoComposer(encoder, tower).compose(_query()).vector, text, atol=1e-5
    )
    ids = tower.ids(encoder.tokenizer, ["<|image|> a hat"])
    states = functional.normalize(tower(ids, project=False), dim=1)[0].detach().numpy()
    found = DpoPublished(encoder, tower).compose(_query()).vector
    np.testing.assert_allclose(found, states, atol=1e-5)
    assert found @ text < 0.9
    same = DpoPublished(encoder, tower).compose(_query(seed=5)).vector
    np.testing.assert_array_equal(same, found)  # the reference takes no part


def test_the_published_one_needs_a_text_tower_as_wide_as_the_space(worlds, tmp_path):
    narrow = OpenClipEncoder(fixtures_encoder.save_tiny_encoder(tmp_path))  # 64 wide, space of 32
    recipe = trainers.DpoRecipe(published=True)
    with pytest.raises(CirError, match="as wide as its space"):
        trainers.DpoTrainer(narrow.model, narrow.tokenizer, _asks(worlds), recipe, 0)
    with pytest.raises(CirError, match="as wide as its space"):
        DpoPublished(narrow, fusion.TextTower(narrow.model)).compose(_query())


# --- commands -----------------------------------------------------------------------------


def test_every_recipe_writes_what_its_method_loads(tmp_path, monkeypatch):
    base = tmp_path / "embedded"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fixtures_encoder, "DIM", 64)
        fixtures_encoder.save_tiny_encoder(base / "encoder")
    monkeypatch.setattr(recipes, "FEWEST", 2)
    for module in (recipes, encoded):
        monkeypatch.setattr(module, "compiled", lambda function, **_: function)
    sizes = {"batch": 4, "hidden": 32, "layers": 1, "inner": 32, "bank": 8}
    monkeypatch.setattr(trainers, "QFormerRecipe", lambda: replace(QFORMER, **sizes))
    monkeypatch.setattr(trainers, "InversionRecipe", lambda: replace(INVERSION, batch=8))
    for name in NAMES:
        report = recipes.run(
            name, seconds=0.2, cache=tmp_path / "cache", base=base, out=base / name, seed=4
        )
        meta = json.loads((base / name / "meta.json").read_text())
        assert meta["seed"] == 4 and meta["training"] == report["training"]
        assert np.isfinite(report["training"]["loss"])
    for name in NAMES[:2]:  # on from there: not far away, where fresh weights would be
        out, given = tmp_path / "on" / name, base / name
        recipes.run(name, seconds=0.1, cache=tmp_path / "cache", base=base, out=out, start=given)
        before, after = (load_file(next(f.glob("*.safetensors"))) for f in (given, out))
        pairs = [(before[k].float().flatten(), w.float().flatten()) for k, w in after.items()]
        old, new = (torch.cat(side) for side in zip(*pairs, strict=True))
        assert functional.cosine_similarity(old, new, dim=0) > 0.9
        assert json.loads((out / "meta.json").read_text())["started_from"]["seed"] == 4
    engine = build_engine(Settings(checkpoints=tmp_path, cache=tmp_path / "galleries"))
    for name in (*NAMES, "oti"):
        assert engine.methods()[name] is None
        composed = engine.parts.composers[name].get().compose(_query())
        assert composed.vector.shape == (64,)
        assert composed.space == engine.parts.encoder.get().space


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_checkpoint_names_the_command(encoder, tmp_path, name):
    engine = build_engine(Settings(checkpoints=tmp_path))
    (tmp_path / "embedded" / "encoder").mkdir(parents=True)
    reason = engine.methods()[name]
    assert f"No checkpoint '{name}'" in reason and f"cirdemo train {name}" in reason
    assert "\n" not in reason
    other = build_engine(Settings(checkpoints=tmp_path, profile="paper", encoder=str(tmp_path)))
    assert f"has no weights '{name}'" in other.methods()[name]
    load = {
        "inversion": trained.load_inverter,
        "qformer": trained.load_qformer,
    }.get(name, lambda folder, space: trained.load_tuned_tower(encoder.model, folder, name, space))
    with pytest.raises(MissingCheckpoint, match=f"cirdemo train {name}"):
        load(tmp_path / name, encoder.space)


@pytest.mark.weights
@pytest.mark.parametrize("world", ["wardrobe", "fables"])
def test_the_shipped_qformer_beats_what_it_is_made_of(world):
    engine = build_engine(Settings.from_env())
    shelf = engine.gallery(world)
    triplets = list(engine.dataset(world).triplets("val"))[:100]
    asked = [
        Query(
            query_id=t.query_id,
            reference=shelf.image(t.reference_id),
            modification=t.modification,
            reference_id=t.reference_id,
        )
        for t in triplets
    ]
    recall = {}
    for name in ("qformer", "sum", "text"):
        composer = engine.parts.composers[name].get()
        hits = 0
        for t, composed in zip(triplets, composer.compose_many(asked), strict=True):
            ids = shelf.search(composed, 10, exclude=t.reference_id).ids
            hits += bool(set(ids) & set(t.target_ids))
        recall[name] = hits / len(triplets)
    assert recall["qformer"] > max(recall["sum"], recall["text"]) + 0.1, recall
