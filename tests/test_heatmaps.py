"""Heatmaps: the numbers against finite differences, the pixels against hand-set grids."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cirdemo.explain.heatmaps import (
    _ClassReader,
    attention_shares,
    gradient_shares,
    similarity_maps,
    spread,
    word_maps,
)
from cirdemo.explain.overlay import (
    GROUND,
    VEIL,
    VEILED,
    colour_stops,
    difference,
    layer,
    overlay,
    raw_values,
)
from cirdemo.models.encoders import OpenClipEncoder
from cirdemo.types import CirError, Heatmap
from tests.fixtures_encoder import save_tiny_encoder

TEXTS = ["a red dog", "the blue hat", "snow"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return OpenClipEncoder(save_tiny_encoder(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8))


def heatmap(values, high=1.0):
    return Heatmap(
        image_id="x",
        text="t",
        kind="k",
        values=np.asarray(values, np.float32),
        value_range=(0.0, high),
    )


def test_shares_match_finite_differences(encoder, picture):
    """Scaling a patch's activation by (1 + e) moves the cosine by e times its share."""
    vector = encoder.encode_texts(TEXTS[:1])  # (1, D)
    shares = gradient_shares(encoder, picture, vector, blocks=1)[0]  # (8, 8)
    assert np.abs(shares).max() > 1e-6
    pixels, visual = encoder.pixels([picture]), encoder.model.visual

    def cosine(patch: int, factor: float) -> float:
        def scale(module, inputs, output):
            output = output.clone()
            output[:, 1 + patch] *= factor
            return output

        hook = visual.transformer.resblocks[-1].ln_1.register_forward_hook(scale)
        with torch.inference_mode():
            out = torch.nn.functional.normalize(visual(pixels).double(), dim=-1)[0].numpy()
        hook.remove()
        return float(out @ vector[0].astype(np.float64))

    for patch in (0, 7, 33, 63):
        row, column = divmod(patch, 8)
        slope = (cosine(patch, 1.1) - cosine(patch, 0.9)) / 0.2
        assert shares[row, column] == pytest.approx(slope, abs=0.02 * float(np.abs(shares).max()))


def test_attention_shares_match_finite_differences(encoder, picture):
    """Scaling what the class token reads from a patch moves the cosine by the patch's share."""
    vector = encoder.encode_texts(TEXTS[:1])  # (1, D)
    shares = attention_shares(encoder, picture, vector)[0]  # (8, 8)
    assert np.abs(shares).max() > 1e-6
    pixels, visual = encoder.pixels([picture]), encoder.model.visual
    reader = _ClassReader(visual, 1)  # the tiny tower has two blocks: one can be laid open
    with torch.inference_mode():
        tokens = visual.transformer.resblocks[0](visual._embeds(pixels))[:, None]  # (1, 1, T, C)

    def cosine(patch: int, factor: float) -> float:
        def scale(module, inputs, output):
            output = output.clone()
            output[:, 1 + patch] *= factor
            return output

        hook = reader.messages[0].register_forward_hook(scale)
        with torch.no_grad():
            out = torch.nn.functional.normalize(reader(tokens.clone()).double(), dim=-1)[0].numpy()
        hook.remove()
        return float(out @ vector[0].astype(np.float64))

    # nothing scaled, the reader is the tower
    plain = float(encoder.encode_images([picture])[0] @ vector[0])
    assert cosine(0, 1.0) == pytest.approx(plain, abs=1e-5)
    for patch in (0, 7, 33, 63):
        row, column = divmod(patch, 8)
        slope = (cosine(patch, 1.1) - cosine(patch, 0.9)) / 0.2
        assert shares[row, column] == pytest.approx(slope, abs=0.02 * float(np.abs(shares).max()))


def test_spread_has_no_pull_to_the_middle():
    np.testing.assert_allclose(spread(np.ones((2, 5, 7))), 1, atol=1e-6)
    corner = np.zeros((4, 4))
    corner[0, 0] = 36
    blurred = spread(corner)
    assert blurred.argmax() == 0
    assert blurred[0, 0] == pytest.approx(36 * 16 / 25)  # a corner has 25 of the kernel's 36
    assert blurred[1, 1] == pytest.approx(36 * 1 / 36)
    assert blurred[2:].max() == 0


def test_a_tower_without_a_class_token_gets_the_other_kind(tmp_path, picture):
    encoder = OpenClipEncoder(save_tiny_encoder(tmp_path / "tiny"))
    encoder.model.visual.pool_type = "avg"
    made = similarity_maps(encoder, picture, TEXTS, "x")
    assert {m.kind for m in made} == {"hirescam"}
    assert max(m.values.max() for m in made) == pytest.approx(1)


def test_maps_of_the_words_of_a_text(encoder, picture):
    made = word_maps(encoder, picture, "a red dog in the snow", "x", control="hat")
    assert [m.text for m in made] == ["a red dog in the snow", "a red dog", "in the snow", "hat"]
    assert len({m.value_range for m in made}) == 1
    assert [m.text for m in word_maps(encoder, picture, "snow", "x")] == ["snow"]


@pytest.mark.parametrize("kind", ["attention", "hirescam", "patch-cosine"])
def test_one_range_for_all_texts(encoder, picture, kind):
    maps = similarity_maps(encoder, picture, TEXTS, "x", kind=kind)
    assert [m.text for m in maps] == TEXTS
    assert len({m.value_range for m in maps}) == 1
    assert max(m.values.max() for m in maps) == pytest.approx(1)
    assert min(m.values.max() for m in maps) < 0.999  # the others are not stretched to 1
    assert all(m.values.shape == (8, 8) and m.values.min() == 0 for m in maps)
    assert {(m.image_id, m.kind) for m in maps} == {("x", kind)}
    alone = similarity_maps(encoder, picture, TEXTS[:1], "x", kind=kind)[0]
    np.testing.assert_allclose(raw_values(alone), raw_values(maps[0]), atol=1e-6)


def test_patch_cosine_is_the_cosine_over_its_mean(encoder, picture):
    made = similarity_maps(encoder, picture, TEXTS[:1], "x", kind="patch-cosine")[0]
    cosines = encoder.encode_patches(picture) @ encoder.encode_texts(TEXTS[:1])[0]
    np.testing.assert_allclose(raw_values(made), np.maximum(cosines - cosines.mean(), 0), atol=1e-6)


def test_leaves_no_hook_no_gradient_and_no_lock(encoder, picture):
    before = encoder.encode_images([picture])
    similarity_maps(encoder, picture, TEXTS, "x")
    assert not encoder.lock.locked()
    assert not encoder.model.visual.transformer.resblocks[-1].ln_1._forward_hooks
    assert all(p.grad is None for p in encoder.model.parameters())
    np.testing.assert_array_equal(encoder.encode_images([picture]), before)


def test_more_texts_than_a_batch(encoder, picture):
    many = similarity_maps(encoder, picture, TEXTS * 7, "x")
    assert len(many) == 21
    np.testing.assert_allclose(many[0].values, many[18].values, atol=1e-4)
    assert similarity_maps(encoder, picture, [], "x") == []


def test_unfit_requests(encoder, picture):
    class Plain:
        space = "plain"

    with pytest.raises(CirError, match="plain"):
        similarity_maps(Plain(), picture, TEXTS, "x")
    with pytest.raises(ValueError, match="kind"):
        similarity_maps(encoder, picture, TEXTS, "x", kind="other")


def cold(picture):
    """What a picture looks like under a map without any heat."""
    return np.asarray(overlay(picture, heatmap(np.zeros((8, 8))))).astype(int)


def light(colour):
    """Of a colour in [0, 1], about how light it looks."""
    return float(np.dot(colour, (0.2126, 0.7152, 0.0722)))


def test_cold_places_are_veiled_and_hot_places_glow():
    grey = Image.new("RGB", (80, 80), (100, 100, 100))
    ground = cold(grey)
    assert (ground == ground[0, 0]).all() and 50 < ground.mean() < 80  # darker, yet not dark
    values = np.zeros((8, 8))
    values[1, 6] = 1  # row 1, column 6: around pixel (x 65, y 15)
    drawn = np.asarray(overlay(grey, heatmap(values))).astype(int)
    moved = np.abs(drawn - ground).sum(axis=2)
    assert drawn[15, 65].sum() > ground[15, 65].sum() + 150
    assert np.unravel_index(moved.argmax(), moved.shape)[0] in range(10, 20)
    assert np.unravel_index(moved.argmax(), moved.shape)[1] in range(60, 70)
    assert moved[40:].max() == 0
    assert np.array_equal(grey, Image.new("RGB", (80, 80), (100, 100, 100)))  # input untouched


@pytest.mark.parametrize(
    ("size", "wanted"), [(None, (60, 40)), (30, (30, 20)), ((90, 50), (90, 50))]
)
def test_sizes(size, wanted):
    picture = Image.new("RGB", (60, 40))
    warm = heatmap(np.ones((8, 8)))
    assert overlay(picture, warm, size).size == wanted
    assert difference(picture, warm, warm, size).size == wanted


def test_only_the_seen_part_is_painted():
    grey = Image.new("RGB", (60, 40), (100, 100, 100))
    drawn = np.asarray(overlay(grey, heatmap(np.ones((8, 8))), 30, seen=(10, 0, 50, 40)))
    ground = cold(grey)[0, 0]
    assert (drawn[:, :5] == ground).all()
    assert (drawn[:, 25:] == ground).all()
    assert (drawn[:, 5:25] != ground).any(axis=2).all()


def test_a_layer_lays_over_the_picture_what_the_overlay_draws():
    grey = Image.new("RGB", (60, 40), (128, 128, 128))
    ramp = np.linspace(0, 1, 64).reshape(8, 8)
    for given, drawn in (
        ((heatmap(ramp),), overlay(grey, heatmap(ramp), seen=(10, 0, 50, 40))),
        (
            (heatmap(ramp), heatmap(1 - ramp)),
            difference(grey, heatmap(ramp), heatmap(1 - ramp), seen=(10, 0, 50, 40)),
        ),
    ):
        over = layer((60, 40), *given, side=60, seen=(10, 0, 50, 40))
        assert over.mode == "RGBA" and over.size == (60, 40) and np.asarray(over)[0, 0, 3] == 0
        veiled = Image.fromarray(cold(grey).astype(np.uint8))
        laid = Image.alpha_composite(veiled.convert("RGBA"), over).convert("RGB")
        assert np.abs(np.asarray(laid, int) - np.asarray(drawn, int)).max() <= 2
    assert layer((60, 40), heatmap(ramp)).size == (72, 48)
    with pytest.raises(ValueError, match="grids must be equal"):
        layer((60, 40), heatmap(ramp), heatmap(np.zeros((4, 4))))


def test_colours_of_a_picture_are_held_back_under_its_map():
    red = Image.new("RGB", (8, 8), "red")
    assert 10 < np.ptp(cold(red)[0, 0]) < 40  # of 255: its kind of colour can just be told


def test_difference_has_a_sign_and_a_silence():
    grey = Image.new("RGB", (80, 80), (128, 128, 128))
    left, right = np.zeros((8, 8)), np.zeros((8, 8))
    left[:, :4], right[:, 4:] = 1, 1
    drawn = np.asarray(difference(grey, heatmap(left), heatmap(right))).astype(int)
    assert drawn[40, 10, 0] > drawn[40, 10, 2] + 50  # red where the first has more
    assert drawn[40, 70, 2] > drawn[40, 70, 0] + 50  # blue where the second has more
    assert np.array_equal(difference(grey, heatmap(left), heatmap(left)), cold(grey))
    spike = np.zeros((8, 8))
    spike[4, 4] = 1  # nothing may be blue next to a place where only the first has heat
    ringing = np.asarray(difference(grey, heatmap(spike), heatmap(0 * spike))).astype(int)
    tint = ringing - cold(grey)
    assert (tint[..., 0] >= tint[..., 2]).all()
    # equal raw values on different ranges are no difference
    equal = difference(grey, heatmap(left, 1.0), heatmap(left / 2, 2.0))
    assert np.array_equal(equal, cold(grey))
    with pytest.raises(ValueError, match=r"\(8, 8\) and \(4, 4\)"):
        difference(grey, heatmap(left), heatmap(np.zeros((4, 4))))


def test_a_scale_is_as_bright_as_its_map_on_both_themes():
    hot = [light(stop) for stop in colour_stops()]
    assert np.diff(hot).min() > -0.03 and hot[0] < 0.5 and hot[-1] > 0.8
    less, *_, more = colour_stops(diverging=True)
    assert less[2] > less[0] + 0.3 and more[0] > more[2] + 0.3  # blue end, red end
    assert min(light(less), light(more)) > 0.45  # neither end sinks into a dark page
    assert abs(light(less) - light(more)) < 0.15  # nor does one end look like more than the other


def test_the_page_veils_a_picture_as_the_overlay_does():
    sheet = Path(__file__).resolve().parents[1] / "assets" / "css" / "look.css"
    slate = " ".join(str(part) for part in VEIL)
    assert f"rgb({slate} / {VEILED:.2f})".replace("0.", ".") in sheet.read_text()
    assert f"rgb(128 128 128 / {1 - GROUND:.2f})".replace("0.", ".") in sheet.read_text()
