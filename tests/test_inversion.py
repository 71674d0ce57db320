"""Textual inversion: the opened text tower, OTI's optimisation, phi's training and loading."""

import types
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from cirdemo.models import fusion, trained
from cirdemo.models.encoders import OpenClipEncoder
from cirdemo.retrieve.inversion import InversionComposer, OtiComposer
from cirdemo.train.fusion import InversionRecipe, InversionTrainer
from cirdemo.types import CirError, MissingCheckpoint, Query, SpaceMismatch
from tests.fixtures_encoder import DIM, save_tiny_encoder

TEXTS = ["a dog", "the red cat in snow with a hat", "a blue hat"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return OpenClipEncoder(save_tiny_encoder(tmp_path_factory.mktemp("encoder")))


@pytest.fixture(scope="module")
def tower(encoder):
    return fusion.TextTower(encoder.model)


def _query(colour, text, number=0):
    noise = np.random.default_rng(number).integers(0, 255, (128, 128, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    picture.paste(colour, (0, 0, 64, 128))
    return Query(query_id=str(number), reference=picture, modification=text)


def _queries():
    pairs = [("red", "a hat"), ("blue", "in snow with the cat"), ("green", "a dog")]
    return [_query(colour, text, n) for n, (colour, text) in enumerate(pairs)]


# --- the text tower -----------------------------------------------------------------------


def test_the_tower_answers_as_the_encoder_on_shorter_sequences(encoder, tower):
    ids = tower.ids(encoder.tokenizer, TEXTS)
    assert ids.shape == (3, 10)  # the longest text with its two marks, not the context of 16
    vectors = functional.normalize(tower(ids), dim=1).detach().numpy()
    np.testing.assert_allclose(vectors, encoder.encode_texts(TEXTS), atol=1e-5)


def test_a_word_that_is_put_in_takes_the_stars_place(encoder, tower):
    ids, place = fusion.pseudo_ids(tower, encoder.tokenizer, ["a * in snow"])
    spelled = tower.ids(encoder.tokenizer, ["a dog in snow"])
    assert (ids != spelled).nonzero().tolist() == [[0, place]]
    word = tower.token_embedding(spelled[:, place])  # (1, V)
    torch.testing.assert_close(tower(ids, word, place), tower(spelled))
    assert not torch.allclose(tower(ids, -word, place), tower(spelled), atol=1e-3)


def test_copied_blocks_can_change_without_the_encoder(encoder, tower):
    own = fusion.TextTower(encoder.model, own_blocks=True)
    ids = tower.ids(encoder.tokenizer, TEXTS)
    before = tower(ids)
    torch.testing.assert_close(own(ids), before)
    with torch.no_grad():
        own.blocks.resblocks[0].mlp.c_fc.weight.mul_(2)
    assert not torch.allclose(own(ids), before, atol=1e-4)
    torch.testing.assert_close(tower(ids), before)


@pytest.mark.parametrize("change", [{"pool_type": "last"}, {"attn_mask": None}])
def test_another_kind_of_text_tower_is_refused(encoder, change):
    side = {
        name: getattr(encoder.model, name)
        for name in ("token_embedding", "transformer", "ln_final", "text_projection", "attn_mask")
    }
    other = types.SimpleNamespace(**{**side, "pool_type": "argmax", **change})
    with pytest.raises(CirError, match="needs an encoder with CLIP's text tower"):
        fusion.TextTower(types.SimpleNamespace(text=other))


# --- OTI ----------------------------------------------------------------------------------


def _likeness(encoder, tower, words, pictures):
    ids, place = fusion.pseudo_ids(tower, encoder.tokenizer, [fusion.SENTENCE])
    said = tower(ids.expand(len(words), -1), words, place)
    return functional.cosine_similarity(said, pictures, dim=1)


def test_the_cosine_rises_with_oti_steps(encoder, tower):
    pictures = torch.from_numpy(encoder.encode_images([q.reference for q in _queries()]))
    found = []
    for steps in (0, 4, 40):
        words = OtiComposer(encoder, tower, steps=steps).words(pictures)
        found.append(_likeness(encoder, tower, words, pictures))
    assert (found[1] > found[0]).all() and (found[2] > found[1]).all()
    assert (found[2] > found[0] + 0.2).all()


@pytest.mark.parametrize("method", ["oti", "inversion"])
def test_pseudo_word_vectors_hold_the_contract(encoder, tower, method):
    torch.manual_seed(0)
    composer = (
        OtiComposer(encoder, tower, steps=8)
        if method == "oti"
        else InversionComposer(encoder, tower, fusion.Inverter(DIM, 64, 16))
    )
    queries = _queries()
    batch = np.stack([c.vector for c in composer.compose_many(queries)])
    one_by_one = np.stack([composer.compose(q).vector for q in queries])
    assert batch.shape == (3, DIM) and batch.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(one_by_one, batch, atol=1e-4)
    assert composer.compose(queries[0]).space == encoder.space
    other_text = composer.compose(_query("red", "the blue dog", 0)).vector
    other_picture = composer.compose(_query("green", "a hat", 2)).vector
    assert np.abs(other_text - batch[0]).max() > 1e-3
    assert np.abs(other_picture - batch[0]).max() > 1e-3
    assert composer.compose_many([]) == []


# --- phi ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def phi(encoder, tmp_path_factory):
    """The loss of each step on 40 vectors, the trainer, and the folder that it wrote."""
    vectors = functional.normalize(torch.randn(40, DIM, generator=torch.Generator().manual_seed(1)))
    recipe = InversionRecipe(batch=20, hidden=48)
    trainer = InversionTrainer(encoder.model, encoder.tokenizer, vectors, recipe, 0)
    optimizer = torch.optim.Adam(trainer.net.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        facts = trainer.step()
        facts["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(facts["loss"].detach()))
    folder = tmp_path_factory.mktemp("inversion")
    trainer.save(folder, encoder.space)
    return losses, trainer, folder


def test_phi_learns_words_that_say_their_pictures(phi, encoder, tower):
    losses, trainer, _ = phi
    assert losses[0] > 0.8 * np.log(20)  # about chance among 20
    assert np.mean(losses[-5:]) < 0.75 * losses[0]
    assert not any(p.requires_grad and p.grad is not None for p in encoder.model.parameters())
    likeness = _likeness(encoder, tower, trainer.net(trainer.vectors), trainer.vectors)
    untrained = fusion.Inverter(DIM, 64, 48)(trainer.vectors)
    assert likeness.mean() > _likeness(encoder, tower, untrained, trainer.vectors).mean() + 0.1


def test_phi_is_the_same_after_saving(phi, encoder, tower):
    _, trainer, folder = phi
    loaded = trained.load_inverter(folder, encoder.space)
    saved = deepcopy(trainer.net).half().float()  # what half precision leaves of it
    torch.testing.assert_close(loaded(trainer.vectors), saved(trainer.vectors).detach())
    vector = InversionComposer(encoder, tower, loaded).compose(_queries()[0]).vector
    before = InversionComposer(encoder, tower, saved).compose(_queries()[0]).vector
    np.testing.assert_allclose(vector, before, atol=1e-6)


def test_what_is_missing_is_said_with_the_way_out(phi, encoder, tmp_path):
    _, _, folder = phi
    with pytest.raises(MissingCheckpoint, match=r"No config\.json and no model\.safetensors of"):
        trained.load_inverter(tmp_path, encoder.space)
    (tmp_path / trained.CONFIG).write_bytes((folder / trained.CONFIG).read_bytes())
    with pytest.raises(MissingCheckpoint, match=r"No model.*python -m cirdemo train inversion"):
        trained.load_inverter(tmp_path, encoder.space)
    (tmp_path / trained.WEIGHTS).write_bytes(b"not weights")
    with pytest.raises(MissingCheckpoint, match=r"cannot be read.*train inversion"):
        trained.load_inverter(tmp_path, encoder.space)
    with pytest.raises(SpaceMismatch, match=r"trained for the space .*'elsewhere'"):
        trained.load_inverter(folder, "elsewhere")
