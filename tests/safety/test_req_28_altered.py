"""Requirements 12, 17, 18, 28, 38: sound files, links and builds, altered at a few places.

Files of random bytes are refused by their first letters; these come further. An altered build has
all its checksums made anew, as somebody would who wanted it to be read.
"""

import hashlib
import io
import json
import zipfile
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from cirdemo import intake
from cirdemo.archives import Limits, ZipGate, refused_name
from cirdemo.gallery.items import Item
from cirdemo.gallery.opened import open_own
from cirdemo.gallery.own import Own
from cirdemo.types import BadInput, CirError
from cirdemo.ui.view import View
from tests.safety import figures
from tests.safety.effort import PROFILE

SIZE = 64  # no sound file here is smaller


@st.composite
def alterations(draw):
    """Bytes to write at places, the share of the file that is kept, and whether a part comes twice.

    A function from a whole file's bytes to the altered ones.
    """
    places = st.integers(0, SIZE - 1) | st.integers(0, 2**32)
    values = st.sampled_from((0, 1, 0x7F, 0x80, 0xFF)) | st.integers(0, 255)
    changed = draw(st.lists(st.tuples(places, values), min_size=1, max_size=6))
    cut = draw(st.just(None) | st.just(None) | st.integers(0, 2**32))
    twice = draw(st.just(None) | st.just(None) | st.tuples(places, st.integers(1, 40)))

    def alter(whole):
        bad = bytearray(whole)
        for at, value in changed:
            bad[at % len(bad)] = value
        if twice is not None:
            at, length = twice[0] % len(bad), twice[1]
            bad[at:at] = bad[at : at + length]
        return bytes(bad if cut is None else bad[: cut % len(bad)])

    return alter


def pictures():
    """Sound pictures of every format that is taken, by name."""
    colours = Image.merge("RGB", [Image.linear_gradient("L").rotate(90 * n) for n in range(3)])
    small, found = colours.resize((24, 16)), {}
    turned = Image.Exif()
    turned[intake.ORIENTATION_TAG] = 6
    kinds = {
        "jpeg": (small, {"format": "JPEG", "exif": turned.tobytes()}),
        "progressive": (small, {"format": "JPEG", "progressive": True}),
        "png": (small.convert("RGBA"), {"format": "PNG"}),
        "wide": (small.convert("I;16"), {"format": "PNG"}),
        "webp": (small, {"format": "WEBP", "exif": turned.tobytes()}),
        "lossless": (small, {"format": "WEBP", "lossless": True}),
        "gif": (small, {"format": "GIF", "save_all": True, "append_images": [small.rotate(180)]}),
        "bmp": (small, {"format": "BMP"}),
        "tiff": (small, {"format": "TIFF"}),
        "packed": (small, {"format": "TIFF", "compression": "tiff_lzw"}),
        "float": (small.convert("F"), {"format": "TIFF"}),
    }
    for name, (picture, options) in kinds.items():
        buffer = io.BytesIO()
        picture.save(buffer, **options)
        found[name] = buffer.getvalue()
    return found


PICTURES = pictures()


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about damaged metadata
@settings(PROFILE)
@given(st.sampled_from(sorted(PICTURES)), alterations())
def test_req_17_an_altered_picture_is_a_picture_or_a_sentence(kind, alter):
    try:
        picture = intake.load_image(alter(PICTURES[kind]))
    except BadInput as fault:
        assert str(fault).endswith(".")
        figures.count(17, "altered pictures", "refused")
        return
    assert picture.mode == "RGB" and min(picture.size) >= intake.MIN_SIDE
    assert picture.width * picture.height <= intake.MAX_PIXELS
    figures.count(17, "altered pictures", "taken")


def archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for n, how in enumerate((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2)):
            out.writestr(f"{n}.png", bytes(50 * n) + b"x", how)
    return buffer.getvalue()


ARCHIVE = archive()


@settings(PROFILE)
@given(alter=alterations())
def test_req_18_an_altered_archive_is_read_in_bounds(alter, tmp_path):
    file = tmp_path / "a.zip"
    file.write_bytes(alter(ARCHIVE))
    limits, read, ended = Limits(entries=5, total_bytes=500, file_bytes=300), 0, "read whole"
    try:
        found, out = ZipGate(file, limits).scan()
        if out or len(found) < 3:
            ended = "read in part"
        for one in found:
            assert refused_name(one.image_id) is None
            try:
                read += len(one.read())
            except BadInput as fault:
                assert str(fault).endswith(".")
                ended = "read in part"
    except BadInput as fault:
        assert str(fault).endswith(".")
        ended = "refused"
    figures.count(18, "altered archives", ended)
    assert read <= limits.total_bytes and list(tmp_path.iterdir()) == [file]


ODD = st.sampled_from(
    [
        *(
            "",
            "yes",
            "no",
            "-1",
            "0",
            "101",
            "nan",
            "inf",
            "1e999",
            "9" * 5000,
            "\0",
            "𝟓",
            "٣",
            "1_0",
        ),
        *("data:image/webp;base64,", "data:image/webp;base64,!!", "data:text/html,x", "%ff", "#"),
        *("ignore:ff", "crop:", "keep:" + "f" * 4000, "union", "reference", "../../etc/passwd"),
    ]
)
PAIRS = st.tuples(
    st.sampled_from([f.name for f in fields(View)]) | st.text(max_size=9),
    ODD | st.text(max_size=40),
)


@settings(PROFILE)
@example([("text", "x")], "&", 240)  # more values than a link may have
@given(st.lists(PAIRS, max_size=12), st.sampled_from("&&&&;+# "), st.sampled_from((1, 1, 1, 60)))
def test_req_38_an_altered_link_opens_or_says_why(pairs, between, times):
    try:
        view = View.loads(between.join(f"{name}={value}" for name, value in pairs * times))
    except BadInput as fault:
        assert str(fault).endswith((".", "read."))
        figures.count(38, "altered links", "refused")
        return
    assert View.loads(view.fragment()) == view
    figures.count(38, "altered links", "opened")


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """A build of four pictures, and its files by name."""
    items = [
        Item(image_id=f"{n}.png", sha256=f"{n:064x}", width=8, height=8, size=9, at=f"/x/{n}")
        for n in range(4)
    ]
    home = Own(tmp_path_factory.mktemp("own")).home("mine")
    extra = {
        "signatures.bin": bytes(16),
        "left_out.json": b'[{"path": "a.txt", "kind": "other file", "reason": "No picture."}]',
        "near.json": b'[["0.png", "1.png", 0.5]]',
    }
    home.publish(
        items, np.eye(4, dtype=np.float32), extra, space="s", preprocessing="p", built="now"
    )
    folder = home.folder / "builds" / home.current()["build"]
    return home, folder, {p.name: p.read_bytes() for p in folder.iterdir()}


VALUES = st.sampled_from(
    [
        *(None, True, -1, 0, 1, 3, 5, 2**70, 0.5, float("nan"), "", "x", "\0", "../manifest.json"),
        *("/dev/null", "flat", "fast-scan", "milvus", [], [[]], [None], {}, {"kind": "fast-scan"}),
        *({"index.faiss": "0"}, {"..": "0"}, {"../CURRENT": "0"}, {"kind": [], "depth": 8}),
    ]
)


def put(tree, path, value):
    """A tree with a value put, or added, somewhere inside; the path is a list of numbers."""
    if not path or not isinstance(tree, (list, dict)) or not tree:
        return value
    keys = list(range(len(tree))) if isinstance(tree, list) else sorted(tree)
    at, rest = keys[path[0] % len(keys)], path[1:]
    if rest == [13]:  # taken away instead
        return (
            [v for n, v in enumerate(tree) if n != at]
            if isinstance(tree, list)
            else {k: v for k, v in tree.items() if k != at}
        )
    new = put(tree[at], rest, value)
    if isinstance(tree, list):
        return [new if n == at else v for n, v in enumerate(tree)]
    return {k: new if k == at else v for k, v in tree.items()}


JSON = ("manifest.json", "items.json", "ids.json", "left_out.json", "near.json")
CHANGES = st.lists(
    st.tuples(st.sampled_from(JSON), st.lists(st.integers(0, 13), min_size=1, max_size=4), VALUES),
    max_size=3,
)
BYTES = st.just(None) | st.tuples(
    st.sampled_from((*JSON, "vectors.npy", "signatures.bin")), alterations()
)


@settings(PROFILE)
@given(changes=CHANGES, spoilt=BYTES, index=st.just(None) | VALUES)
def test_req_12_an_altered_build_with_new_checksums_opens_or_is_refused(
    build, changes, spoilt, index
):
    home, folder, whole = build
    data = dict(whole)
    if index is not None:
        data["manifest.json"] = json.dumps(
            {**json.loads(whole["manifest.json"]), "index": index}
        ).encode()
    for name, path, value in changes:
        data[name] = json.dumps(put(json.loads(data[name]), path, value)).encode()
    if spoilt is not None:
        data[spoilt[0]] = spoilt[1](data[spoilt[0]])
    sign(data)
    for name, content in data.items():
        (folder / name).write_bytes(content)
    note = hashlib.sha256(data["manifest.json"]).hexdigest()
    (home.folder / "CURRENT").write_text(json.dumps({"build": folder.name, "manifest": note}))
    home.summary(), home.usable()
    try:
        gallery = open_own(home, "s")
        assert len(gallery) == len(gallery.vectors) and gallery.vectors.dtype == np.float32
        for image_id in gallery.ids:
            json.dumps(gallery.record(image_id))
        figures.count(12, "altered builds with checksums made anew", "opened")
    except CirError as fault:
        assert str(fault).endswith((".", "again."))
        figures.count(12, "altered builds with checksums made anew", "refused")


def sign(data):
    """Make the manifest's checksums those of the files, where it still is a manifest."""
    try:
        manifest = json.loads(data["manifest.json"])
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in data.items()}
        for name in manifest["extra"]:
            manifest["extra"][name] = sums.get(name, manifest["extra"][name])
        for name, key in (("ids.json", "ids_sha256"), ("vectors.npy", "vectors_sha256")):
            if key in manifest:
                manifest[key] = sums[name]
        data["manifest.json"] = json.dumps(manifest).encode()
    except (ValueError, KeyError, TypeError):
        pass
