"""The geometry of a space, and preprocessing held against tensors, on the command line too."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cirdemo.builder import preprocessing
from cirdemo.cli import main
from cirdemo.config import Settings
from cirdemo.data.vectors import read_array, read_vectors
from cirdemo.evaluate import geometry as g
from cirdemo.intake import load_image
from cirdemo.models.encoders import OpenClipEncoder, preprocessing_of
from cirdemo.profiles import PROFILES
from cirdemo.types import BadInput, MissingCheckpoint
from tests.fakes import fake_engine
from tests.fixtures_encoder import save_tiny_encoder
from tests.fixtures_hub import hub, hub_cache  # noqa: F401  (fixtures)

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
here = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # main() sets it; put it back afterwards


def call(capsys, *words):
    status = main([*map(str, words), "--json"], make_engine=lambda settings: fake_engine())
    return status, json.loads(capsys.readouterr().out)


def rows(count, dim=24, seed=0, lean=0):
    """Unit rows that lean towards one axis, as a modality does."""
    made = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    made[:, lean] += 6
    return made / np.linalg.norm(made, axis=1, keepdims=True)


# --- geometry -------------------------------------------------------------------------------


def test_cosines_are_those_of_every_pair(monkeypatch):
    some, others = rows(40), rows(30, seed=1, lean=1)
    pairs = [float(some[i] @ some[j]) for i in range(40) for j in range(i)]
    found = g.within(some)
    assert found.mean == pytest.approx(np.mean(pairs), abs=1e-6)
    assert (found.least, found.most) == pytest.approx((min(pairs), max(pairs)), abs=1e-6)
    assert found.low == pytest.approx(np.percentile(pairs, 5), abs=1e-6)
    across = g.between(some, others)
    assert across.mean == pytest.approx((some @ others.T).mean(), abs=1e-6)
    assert across.mean < 0.2 < found.mean  # the two lean elsewhere
    assert g.gap(some, others) == pytest.approx(np.linalg.norm(some.mean(0) - others.mean(0)))
    assert g.gap(some, some) == pytest.approx(0, abs=1e-6)
    assert g.within(some[:1]) is None
    monkeypatch.setattr(g, "SPREAD", 10)  # the mean is of all pairs all the same
    assert g.within(some).mean == pytest.approx(found.mean)
    assert g.within(some).most <= found.most


def test_a_sum_follows_the_side_that_weighs_more():
    pictures, texts = rows(300), rows(50, seed=1, lean=1)
    found = g.mixed(pictures, texts)
    assert (found["queries"], found["first"]) == (50, 10)
    assert found["chance"] == pytest.approx(10 / 299)
    shares = found["weights"]
    assert [s["text"] for s in shares][:3] == [0, 0.05, 0.1]
    assert shares[0]["of_picture"] == shares[-1]["of_text"] == 1  # a list shares all with itself
    assert all(a["of_picture"] >= b["of_picture"] for a, b in zip(shares, shares[4:], strict=False))
    lead = [s["of_text"] - s["of_picture"] for s in shares]
    n = next(n for n, v in enumerate(lead) if v >= 0)
    assert shares[n - 1]["text"] < found["level"] <= shares[n]["text"]
    assert g.mixed(pictures[:20], texts) is None  # its first ten would be half of it


def test_the_sum_is_what_a_search_by_the_sum_finds():
    """One weight by hand: unit vectors added, reference left out."""
    pictures, texts = rows(60), rows(8, seed=1, lean=1)
    references = [3, 9, 1, 0, 44, 59, 7, 20]
    kept = []
    for text, row in zip(texts, references, strict=True):
        lists = [
            [i for i in np.argsort(-(pictures @ v)) if i != row][:10]
            for v in (0.7 * pictures[row] + 0.3 * text, pictures[row], text)
        ]
        kept.append([len({*lists[0]} & {*one}) / 10 for one in lists[1:]])
    (found,) = (w for w in g.mixed(pictures, texts, references)["weights"] if w["text"] == 0.3)
    assert [found["of_picture"], found["of_text"]] == pytest.approx(np.mean(kept, 0).tolist())


def test_vectors_are_read_and_odd_files_are_refused(tmp_path):
    np.save(tmp_path / "v.npy", (3 * rows(5)).astype(np.float16))
    np.testing.assert_allclose(
        read_vectors(str(tmp_path / "v.npy")), rows(5), atol=2e-3
    )  # of unit norm again
    np.savez(tmp_path / "two.npz", a=rows(3), b=rows(4), names=np.array(["x"] * 3))
    assert len(read_vectors(f"{tmp_path}/two.npz:b")) == 4
    with pytest.raises(BadInput, match=r"more than one .*a \(3, 24\) float32, b .*FILE.npz:NAME"):
        read_vectors(str(tmp_path / "two.npz"))
    with pytest.raises(BadInput, match="no array 'c' of 2"):
        read_vectors(f"{tmp_path}/two.npz:c")
    with pytest.raises(BadInput, match="no array of 4 dimensions"):
        read_array(str(tmp_path / "v.npy"), 4)
    np.save(tmp_path / "pickled.npy", np.array([{"a": 1}], object), allow_pickle=True)
    for name, data in (("text.npy", b"hello"), ("short.npz", b"PK\3\4"), ("empty.npy", b"")):
        (tmp_path / name).write_bytes(data)
    for name in ("pickled.npy", "text.npy", "short.npz", "empty.npy"):
        with pytest.raises(BadInput, match="no array file"):
            read_vectors(str(tmp_path / name))
    np.save(tmp_path / "zero.npy", np.vstack([rows(2), np.zeros((1, 24), np.float32)]))
    np.save(tmp_path / "nan.npy", np.vstack([rows(1), np.full((1, 24), np.nan, np.float32)]))
    for name, row in (("zero.npy", 2), ("nan.npy", 1)):
        with pytest.raises(BadInput, match=f"Row {row} of .* is no vector"):
            read_vectors(str(tmp_path / name))
    with pytest.raises(BadInput, match="There is no file"):
        read_vectors(str(tmp_path / "absent.npy"))


def test_geometry_of_files(capsys, tmp_path):
    np.save(tmp_path / "i.npy", rows(40))
    np.save(tmp_path / "t.npy", rows(30, seed=1, lean=1))
    status, found = call(
        capsys, "geometry", "--images", tmp_path / "i.npy", "--texts", tmp_path / "t.npy"
    )
    assert status == 0 and found["pictures"]["count"] == 40 and found["texts"]["count"] == 30
    assert found["between"]["gap"] == pytest.approx(
        g.gap(rows(40), rows(30, seed=1, lean=1)), abs=1e-5
    )
    status = main(["geometry", "--images", f"{tmp_path}/i.npy", "--texts", f"{tmp_path}/t.npy"])
    told = capsys.readouterr().out
    assert status == 0 and "Modality gap" in told and "Level at a text weight of" in told
    np.save(tmp_path / "other.npy", rows(30, dim=12))
    status, found = call(
        capsys, "geometry", "--images", tmp_path / "i.npy", "--texts", tmp_path / "other.npy"
    )
    assert status == 2 and "two encoders" in found["error"]["message"]
    status, found = call(capsys, "geometry")
    assert status == 2 and "--gallery NAME or --images FILE" in found["error"]["message"]


def test_geometry_of_a_gallery(capsys, tmp_path):
    status, found = call(capsys, "geometry", "--gallery", "fables")
    assert status == 0 and found["pictures"]["count"] == 9 and found["sum"] is None
    assert "modification texts of val" in found["texts"]["from"]
    (tmp_path / "t.txt").write_text("red\n\ngreen\n", encoding="utf-8")
    status, found = call(capsys, "geometry", "--gallery", "fables", "--texts", tmp_path / "t.txt")
    assert status == 0 and found["texts"]["count"] == 2
    assert found["texts"]["cosine"]["mean"] == pytest.approx(0, abs=0.01)  # the fake's
    engine = fake_engine()
    engine.parts.datasets.clear()  # a gallery of somebody's own: its captions are the texts
    words = ["geometry", "--gallery", "fables"]
    assert main(words, make_engine=lambda settings: engine) == 0
    assert "texts: 9 of 3 numbers, the captions of its pictures" in capsys.readouterr().out
    engine.gallery("fables").record = lambda image_id: None
    assert main(words, make_engine=lambda settings: engine) == 0
    assert "texts: none, the pictures have no captions" in capsys.readouterr().out
    (tmp_path / "none.txt").write_text("\n")
    status, found = call(capsys, "geometry", "--texts", tmp_path / "none.txt")
    assert status == 2 and "holds no text" in found["error"]["message"]


@here
def test_published_texts_lie_as_far_apart_as_published(capsys):
    name = SHARED / "clip_vit_b16_text" / "coco_single.npy"
    status, found = call(capsys, "geometry", "--texts", name)
    assert status == 0 and found["texts"]["count"] == 171
    assert round(found["texts"]["cosine"]["mean"], 2) == 0.77


# --- preprocessing --------------------------------------------------------------------------


def noise(size, seed=0):
    data = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(data)


@pytest.mark.parametrize("resize_mode", ["squash", "shortest", "longest"])
@pytest.mark.parametrize("pad", [False, True])
def test_preprocessing_without_weights_is_the_encoders(tmp_path, resize_mode, pad):
    folder = save_tiny_encoder(tmp_path / "tiny", resize_mode=resize_mode)
    encoder = OpenClipEncoder(folder, target_pad=pad)
    pictures = [noise((200, 90)), noise((64, 150), 1)]
    (folder / "open_clip_model.safetensors").unlink()
    found = preprocessing_of(folder, target_pad=pad)
    np.testing.assert_array_equal(found.pixels(pictures), encoder.pixels(pictures).numpy())
    assert found.about == encoder.preprocessing


def test_preprocessing_of_a_profile_from_the_hubs_cache(hub):  # noqa: F811
    settings = Settings(profile="photo")
    encoder = OpenClipEncoder(PROFILES["photo"].encoder)
    picture = [noise((200, 90))]
    np.testing.assert_array_equal(
        preprocessing(settings).pixels(picture), encoder.pixels(picture).numpy()
    )


def test_preprocessing_that_is_not_here_says_so():
    with pytest.raises(MissingCheckpoint, match="hf download absent/model"):
        preprocessing_of("hf-hub:absent/model")
    with pytest.raises(MissingCheckpoint, match="check the name"):
        preprocessing_of("ViT-B-32:nobody")
    with pytest.raises(MissingCheckpoint, match="preprocessing of the encoder '/absent'"):
        preprocessing_of("/absent")


@pytest.fixture
def tensors(tmp_path, monkeypatch):
    """An encoder, two pictures, and what it makes of them: (words of the command, the array)."""
    folder = save_tiny_encoder(tmp_path / "tiny")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for n, name in enumerate(("b.png", "a.png")):
        noise((90, 60), n).save(pictures / name)
    made = preprocessing_of(folder).pixels([load_image(pictures / n) for n in ("b.png", "a.png")])
    np.savez(tmp_path / "t.npz", preprocessed=made, names=np.array(["b", "a.png"]))
    words = ["--pictures", pictures, "--with", f"encoder={folder}"]
    return ["check", "--preprocessing", tmp_path / "t.npz", *words], made


def test_check_says_whether_tensors_are_ours(capsys, tmp_path, tensors):
    words, made = tensors
    status, found = call(capsys, *words)
    assert status == 0 and found["verdict"] == "passed"
    assert [(c["name"], c["equal"], c["most"]) for c in found["checks"]] == [
        ("b.png", 1.0, 0.0),
        ("a.png", 1.0, 0.0),
    ]
    assert main(list(map(str, words))) == 0
    assert "passed: a.png, equal to the bit" in capsys.readouterr().out
    other = made.copy()
    other[1, 0, 0, 0] += 0.5
    np.savez(tmp_path / "t.npz", preprocessed=other, names=np.array(["b", "a"]))
    status, found = call(capsys, *words)
    assert status == 1 and [c["verdict"] for c in found["checks"]] == ["passed", "failed"]
    assert found["checks"][1]["most"] == pytest.approx(0.5)
    np.savez(tmp_path / "t.npz", preprocessed=made)  # in the order of names, not b first
    status, found = call(capsys, *words)
    assert status == 1 and [c["verdict"] for c in found["checks"]] == ["failed", "failed"]
    np.savez(tmp_path / "t.npz", preprocessed=made[:, :, :100])
    status, found = call(capsys, *words)
    assert status == 1 and "the shape is (3, 128, 128)" in found["checks"][0]["detail"]


def test_check_refuses_what_does_not_fit(capsys, tmp_path, tensors):
    words, made = tensors
    np.savez(tmp_path / "t.npz", preprocessed=made[:1])
    status, found = call(capsys, *words)
    assert status == 2 and "1 tensors and 2 pictures" in found["error"]["message"]
    np.savez(tmp_path / "t.npz", preprocessed=made, names=np.array(["b", "z"]))
    status, found = call(capsys, *words)
    assert status == 2 and "no picture 'z'" in found["error"]["message"]
    status, found = call(capsys, *words[:3])
    assert status == 2 and "--pictures" in found["error"]["message"]


@here
def test_check_of_the_published_tensors(capsys):
    folder = SHARED / "clip_vit_b32"
    words = ["--pictures", folder / "images", "--with", "encoder=ViT-B-32:openai"]
    status, found = call(
        capsys, "check", "--preprocessing", folder / "vectors_and_tensors.npz", *words
    )
    assert status == 0 and len(found["checks"]) == 7
    assert {c["equal"] for c in found["checks"]} == {1.0}
