"""The pointing game and the curves: planted maps, a toy encoder, and the shipped maps."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cirdemo.data.drawn.dataset import DrawnDataset
from cirdemo.explain.curves import area, curve_areas, deletion_curve, insertion_curve
from cirdemo.explain.faithfulness import explanations
from cirdemo.explain.heatmaps import similarity_maps
from cirdemo.explain.things import cells_in, edited, named, points_at
from cirdemo.types import BadInput, CirError, Heatmap
from tests.fakes import ColourEncoder

ROOT = Path(__file__).resolve().parents[1]
GRID = (8, 8)


def animal(species, coat, accessory=""):
    return {"species": species, "coat": coat, "accessory": accessory}


def scene(*animals, action="standing", setting="snow", prop=""):
    return {"animals": list(animals), "action": action, "setting": setting, "prop": prop}


CAT, DOG = animal("cat", "grey"), animal("dog", "white")
LEFT, RIGHT = (0.0, 0.25, 0.5, 1.0), (0.5, 0.25, 1.0, 1.0)
HAT, PROP = (0.5, 0.0, 0.75, 0.25), (0.0, 0.0, 0.25, 0.25)
BOXES = {"animal:0": LEFT, "animal:1": RIGHT, "accessory:1": HAT, "prop": PROP}
ALL = (0.0, 0.0, 1.0, 1.0)


# --- which thing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "reference", "target", "shown", "things"),
    [
        ("colour", scene(CAT, DOG), scene(CAT, animal("dog", "blue")), None, [RIGHT]),
        ("species", scene(CAT, DOG), scene(animal("fox", "grey"), DOG), None, [LEFT]),
        # a hard negative still shows the animal as it was
        ("species", scene(CAT, DOG), scene(animal("fox", "grey"), DOG), scene(CAT, DOG), [LEFT]),
        ("accessory", scene(CAT, DOG), scene(CAT, animal("dog", "white", "hat")), None, [HAT]),
        (
            "accessory",
            scene(CAT, DOG),
            scene(CAT, animal("dog", "white", "hat")),
            scene(CAT, DOG),
            [],
        ),
        ("negation", scene(CAT, animal("dog", "white", "hat")), scene(CAT, DOG), None, [RIGHT]),
        ("negation", scene(CAT, DOG), scene(CAT, DOG, action="sitting"), None, [LEFT, RIGHT]),
        ("relation", scene(CAT, DOG), scene(DOG, CAT, action="riding"), None, [LEFT, RIGHT]),
        ("remove", scene(CAT, DOG), scene(CAT), None, [LEFT]),
        ("add", scene(CAT), scene(CAT, DOG), None, [RIGHT]),
        ("add", scene(CAT, DOG), scene(CAT, DOG, prop="kite"), None, [PROP]),
        ("add", scene(CAT, DOG), scene(CAT, DOG, prop="kite"), scene(CAT, DOG, prop="ball"), []),
        ("count", scene(CAT), scene(CAT, CAT), None, [LEFT, RIGHT]),
        ("setting", scene(CAT, DOG), scene(CAT, DOG, setting="lake"), None, []),
    ],
)
def test_the_edited_thing(kind, reference, target, shown, things):
    assert edited(kind, reference, target, shown or target, BOXES) == things


def test_named_things_are_the_subject_and_a_prop_that_was_asked_for():
    kite = scene(CAT, DOG, prop="kite")
    assert set(named("add", scene(CAT, DOG), kite, kite, BOXES)) == {LEFT, RIGHT, HAT, PROP}
    assert PROP not in named("add", scene(CAT, DOG), kite, scene(CAT, DOG, prop="ball"), BOXES)
    assert PROP not in named("pose", kite, scene(CAT, DOG, action="sitting"), kite, BOXES)


def test_parts_of_a_garment():
    boxes = {"garment": ALL, "sleeves": LEFT, "hem": RIGHT}
    old = dict.fromkeys(("colour", "pattern", "sleeve", "neckline", "length", "detail"), "x")
    assert edited("sleeve", old, {**old, "sleeve": "y", "length": "y"}, old, boxes) == [LEFT, RIGHT]
    # the belt is gone, so the garment is what is left to point at
    assert edited("negation", old, {**old, "detail": "", "colour": "y"}, old, boxes) == [ALL]
    assert named("sleeve", old, old, old, boxes) == [ALL]


def test_every_edit_of_the_shipped_worlds_but_a_setting_has_a_place():
    for world in ("fables", "wardrobe"):
        dataset = DrawnDataset(ROOT / "assets" / "galleries" / world)
        for triplet in (*dataset.triplets("val"), *dataset.triplets("test")):
            shown = dataset.record(triplet.target_ids[0])["record"]
            reference = dataset.record(triplet.reference_id)["record"]
            boxes = dataset.boxes(triplet.target_ids[0])
            found = edited(triplet.kind, reference, shown, shown, boxes)
            assert bool(found) is (triplet.kind != "setting"), triplet.query_id


# --- pointing -----------------------------------------------------------------------------


def peak(row, column):
    heat = np.zeros(GRID, np.float32)
    heat[row, column] = 1
    return heat


def test_pointing_counts_cells_as_chance_does():
    inside = cells_in([HAT], GRID)
    assert [list(edge) for edge in np.nonzero(inside)] == [[0, 0, 1, 1], [4, 5, 4, 5]]
    hits = [points_at(peak(r, c), [HAT]) for r in range(8) for c in range(8)]
    assert np.mean(hits) == inside.mean() == 4 / 64
    # two boxes that overlap are not counted twice
    assert cells_in([HAT, HAT, (0.5, 0.0, 0.7, 0.27)], GRID).mean() == 4 / 64


def test_a_thin_box_can_be_hit_and_a_flat_map_points_nowhere():
    glasses = (0.1, 0.48, 0.4, 0.58)  # between two rows of centres
    assert points_at(peak(4, 1), [glasses])
    assert not points_at(peak(6, 1), [glasses])
    assert not points_at(np.zeros(GRID), [ALL])
    assert not points_at(np.full(GRID, 0.5), [ALL])


# --- curves -------------------------------------------------------------------------------


@pytest.fixture
def red_corner():
    """Blue with a red quarter at the bottom right, and the map that knows."""
    picture = np.zeros((80, 80, 3), np.uint8)
    picture[..., 2] = 255
    picture[40:, 40:] = (255, 0, 0)
    heat = np.zeros(GRID, np.float32)
    heat[4:, 4:] = 1
    return Image.fromarray(picture), heat


def test_curves_begin_and_end_where_they_must(red_corner):
    picture, heat = red_corner
    encoder = ColourEncoder()
    plain = float((encoder.encode_images([picture]) @ encoder.encode_texts(["red"]).T).item())
    shares, gone = deletion_curve(encoder, picture, "red", heat, steps=4)
    np.testing.assert_allclose(shares, [0, 0.25, 0.5, 0.75, 1])
    assert gone[0] == pytest.approx(plain, abs=1e-6)
    # the mean colour of the picture has the direction of the picture, for this encoder
    assert gone[-1] == pytest.approx(plain, abs=0.01)
    # with the red quarter gone the rest is three quarters blue and one quarter of the mean
    red, blue = 0.25 * 0.25, 0.75 + 0.25 * 0.75
    assert gone[1] == pytest.approx(red / np.hypot(red, blue), abs=0.01)
    _, back = insertion_curve(encoder, picture, "red", heat, steps=4)
    assert back[-1] == pytest.approx(plain, abs=1e-6)
    assert back[1] == back.max()


def test_the_true_order_beats_random_and_random_beats_the_false_order(red_corner):
    picture, heat = red_corner
    rng = np.random.default_rng(0)
    orders = {"true": heat, "false": -heat} | {f"r{n}": rng.random(GRID) for n in range(8)}
    areas = curve_areas(ColourEncoder(), picture, "red", orders, steps=8)
    for curve, sign in (("deletion", -1), ("insertion", 1)):
        random = [sign * areas[curve][f"r{n}"] for n in range(8)]
        assert sign * areas[curve]["true"] > max(random) + 0.02
        assert sign * areas[curve]["false"] < min(random) - 0.005


def test_areas_are_those_of_the_curves(red_corner):
    picture, heat = red_corner
    encoder = ColourEncoder()
    orders = {"a": heat, "b": np.arange(64.0).reshape(GRID)}
    areas = curve_areas(encoder, picture, "red", orders, steps=5)
    for curve, draw in (("deletion", deletion_curve), ("insertion", insertion_curve)):
        for name, order in orders.items():
            alone = area(*draw(encoder, picture, "red", order, steps=5))
            assert areas[curve][name] == pytest.approx(alone, abs=1e-6)
    made = Heatmap(image_id="x", text="red", kind="k", values=heat, value_range=(0.0, 1.0))
    of_array = deletion_curve(encoder, picture, "red", heat)[1]
    np.testing.assert_array_equal(deletion_curve(encoder, picture, "red", made)[1], of_array)
    assert area(np.array([0, 0.5, 1]), np.array([1, 1, 0])) == 0.75


def test_patches_are_taken_from_the_part_that_is_seen():
    """A wide picture whose middle is seen: its sides never change."""
    picture = Image.new("RGB", (120, 40), (0, 0, 255))
    picture.paste((255, 0, 0), (40, 0, 80, 40))
    frames = []

    class Square(ColourEncoder):
        def seen_box(self, image):
            return (40.0, 0.0, 80.0, 40.0)

        def encode_images(self, images):
            frames.extend(images)
            return super().encode_images(images)

    deletion_curve(Square(), picture, "red", np.array([[2.0, 1.0]]), steps=2)
    half = np.asarray(frames[1]).astype(int)
    changed = (half != np.asarray(picture)).any(axis=2)
    assert changed[:, 40:60].all()
    assert not changed[:, :40].any()
    assert not changed[:, 60:].any()


# --- the whole ----------------------------------------------------------------------------


@dataclass
class Planted:
    """An engine whose maps are hot where they are told to be, by text."""

    world: DrawnDataset
    cell: dict  # text -> (row, column); others stay flat

    def __post_init__(self):
        self.parts = SimpleNamespace(encoder=SimpleNamespace(get=ColourEncoder))

    def dataset(self, name):
        return self.world

    def composer(self, name):
        said = SimpleNamespace(text=f"a {name} red dog")
        return SimpleNamespace(write_many=lambda queries: [said for _ in queries])

    def explain(self, image, texts, image_id=""):
        maps = [peak(*self.cell[t]) if t in self.cell else np.zeros(GRID) for t in texts]
        return [
            Heatmap(image_id=image_id, text=t, kind="k", values=m, value_range=(0.0, 1.0))
            for t, m in zip(texts, maps, strict=True)
        ]


INTERSECTION, UNION = "a red dog standing", "a red dog standing in the snow"
ON, OFF = (5, 1), (0, 7)  # the dog is on the left, below


@pytest.fixture
def world(tmp_path):
    """A white dog in the snow; a red one elsewhere; and a white one in the snow again."""
    (tmp_path / "images").mkdir()
    rows = []
    white, red = animal("dog", "white"), animal("dog", "red")
    for image_id, record in (
        ("ref", scene(white)),
        ("target", scene(red, setting="lake")),
        ("snow", scene(white, action="sitting")),
        ("lake", scene(white, setting="lake")),
    ):
        Image.new("RGB", (64, 64), "red").save(tmp_path / "images" / f"{image_id}.webp")
        caption = f"a {record['animals'][0]['coat']} dog in the {record['setting']}"
        rows.append(
            {"id": image_id, "record": record, "caption": caption, "boxes": {"animal:0": LEFT}}
        )
    common = {
        "reference_id": "ref",
        "target_ids": ["target"],
        "subset_ids": ["ref", "lake", "target", "snow"],
        "union": UNION,
        "intersection": INTERSECTION,
    }
    queries = [
        {"query_id": "q1", "split": "val", "modification": "make it red", "kind": "colour"},
        {"query_id": "q2", "split": "val", "modification": "at the lake", "kind": "setting"},
    ]
    write = {"records": rows, "queries": [q | common for q in queries]}
    for name, lines in write.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / f"{name}.jsonl").write_text(text)
    return DrawnDataset(tmp_path)


def test_a_map_on_the_box_scores_one_and_off_the_box_none(world):
    words = "a red dog standing"  # nothing of it is in the reference's caption
    on = explanations(Planted(world, {INTERSECTION: ON, UNION: OFF}), "w", "val")
    off = explanations(Planted(world, {INTERSECTION: OFF, UNION: ON}), "w", "val")
    for result, hit in ((on, 1.0), (off, 0.0)):
        place = result["pointing"]["edited"]
        for role in ("target", "negative"):
            assert place[role]["intersection"]["mean"] == hit
            assert place[role]["union"]["mean"] == 1 - hit
            assert place[role]["chance"]["mean"] == 24 / 64
        assert place["contrast"]["difference"]["mean"] == (1.0 if hit else -1.0)
        assert result["by_kind"]["colour"]["edited: intersection@target"] == hit
    row = on["rows"][0]
    assert (row["target"], row["negative"], row["words"]) == ("target", "snow", words)
    assert row["control"] not in f"{UNION} red lake"
    assert json.loads(json.dumps(on)) == on


def test_a_setting_is_left_out_of_what_has_a_box_and_counted(world):
    result = explanations(Planted(world, {INTERSECTION: ON}), "w", "val")
    assert result["queries"] == 2
    assert result["left_out"] == {"setting": 1}
    assert result["pointing"]["edited"]["target"]["intersection"]["queries"] == 1
    assert result["pointing"]["named"]["target"]["intersection"]["queries"] == 2
    assert result["curves"]["queries"] == 2
    assert explanations(Planted(world, {}), "w", "val", limit=1, curves=0)["queries"] == 1


def test_written_descriptions_are_the_writers(world):
    asked = {"a intersection red dog": ON, "a union red dog": OFF}
    result = explanations(Planted(world, asked), "w", "val", described="written")
    assert result["pointing"]["edited"]["target"]["intersection"]["mean"] == 1
    assert result["pointing"]["edited"]["negative"]["union"]["mean"] == 0


def test_requests_that_cannot_be_met(world):
    engine = Planted(world, {})
    with pytest.raises(BadInput, match="limit"):
        explanations(engine, "w", "val", limit=0)
    with pytest.raises(BadInput, match="described"):
        explanations(engine, "w", "val", described="guessed")
    with pytest.raises(CirError, match="split 'tset'"):
        explanations(engine, "w", "tset")
    engine.world = SimpleNamespace(triplets=lambda split: [])
    with pytest.raises(CirError, match="no boxes"):
        explanations(engine, "cirr", "val")


@pytest.mark.weights
def test_shipped_maps_point_at_the_edit():
    """The whole splits are measured by `evaluate`; this guards maps and weights that part ways."""
    from cirdemo.models.encoders import OpenClipEncoder

    encoder = OpenClipEncoder(ROOT / "checkpoints" / "embedded" / "encoder")
    dataset = DrawnDataset(ROOT / "assets" / "galleries" / "fables")
    engine = SimpleNamespace(
        parts=SimpleNamespace(encoder=SimpleNamespace(get=lambda: encoder)),
        dataset=lambda name: dataset,
        explain=lambda image, texts, image_id="": similarity_maps(encoder, image, texts, image_id),
    )
    result = explanations(engine, "fables", "val", limit=30, curves=6)
    place = result["pointing"]
    assert place["named"]["target"]["intersection"]["mean"] >= 0.9
    assert place["edited"]["target"]["words"]["mean"] >= 0.7
    assert place["edited"]["target"]["control"]["mean"] <= 0.6
    assert result["curves"]["deletion"]["gain_over_random"]["mean"] > 0
    assert result["curves"]["insertion"]["gain_over_random"]["mean"] > 0
