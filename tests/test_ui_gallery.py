"""The Gallery tab's handlers: looking around, looking up, building, and what strangers may not."""

import time
from dataclasses import dataclass
from types import SimpleNamespace

import gradio as gr
import pytest
from fake_ui_engine import FakeEngine, run_number

from cirdemo.engine import Engine
from cirdemo.gallery.opened import open_own
from cirdemo.gallery.own import Own
from cirdemo.gallery.progress import Progress, Report
from cirdemo.parts import Part, Parts
from cirdemo.shelves import Shelves
from cirdemo.types import Triplet
from cirdemo.ui.build import build_app
from cirdemo.ui.context import Context
from cirdemo.ui.gallery import build as build_tab
from cirdemo.ui.gallery import build_views
from cirdemo.ui.gallery import views as gallery_views
from cirdemo.ui.gallery.build import BuildHandlers
from cirdemo.ui.gallery.jobs import Job, Jobs
from cirdemo.ui.gallery.tab import GalleryHandlers, Place
from cirdemo.ui.shelf import Library
from cirdemo.ui.view import View
from tests.fixtures_pictures import SlowEncoder, coded, write_folder, write_zip

HOSTILE = "<img src=x onerror=alert(1)>"


class WordEncoder(SlowEncoder):
    """A text is the vector of the first picture that was ever encoded."""

    def encode_texts(self, texts):
        from tests.fixtures_pictures import picture

        return self.encode_images([picture(0)] * len(texts))


def engine_of(root, pause=0.0):
    """The real engine over a colour encoder and a folder of the user's galleries."""
    encoder, own = WordEncoder(pause=pause), Own(root)
    shelves = Shelves({}, own, lambda home: open_own(home, encoder.space))
    absent = Part(lambda: None, lambda: "not here")
    return Engine(
        Parts(
            encoder=Part(lambda: encoder),
            composers={},
            galleries=shelves,
            judge=absent,
            own=own,
            captioner=Part(lambda: lambda images: [f"seen {HOSTILE}"] * len(images)),
            unknown_words=lambda text: tuple(w for w in text.split() if w == "zeppelin"),
        )
    )


def context_of(engine, *, public=False):
    return Context(engine=engine, library=Library(engine), gallery=None, view=None, public=public)


def click(**data):
    return SimpleNamespace(_data=data)


@dataclass
class Built:
    """An engine with one gallery, "mine", of pictures p000 to p099."""

    engine: Engine
    photos: object


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("gallery")
    engine, photos = engine_of(root / "own"), write_folder(root / "photos", 100)
    from cirdemo.data import folder

    list(engine.index("mine", folder.pictures_at(photos)))
    list(engine.caption("mine"))
    return Built(engine, photos)


@pytest.fixture
def looking(built):
    return GalleryHandlers(context_of(built.engine))


# --- looking around -------------------------------------------------------------------------


def test_nothing_is_drawn_before_the_tab_is_seen(looking):
    assert all(isinstance(part, dict) for part in looking.open("mine", Place()))
    place, facts, grid, picked, text = looking.act("mine", Place(), click(action="show"))
    assert place == Place(shown=True)
    assert grid.count('class="g-tile"') == gallery_views.PAGE
    assert "All 100 pictures" in grid
    assert "page 1 of 2" in grid
    assert "quarters" in facts
    assert "a folder on this machine" in facts
    assert str(looking.context.engine.own().root) not in facts
    assert (picked.count("Click a picture"), text) == (1, "")


def test_pages_turn_and_end(looking):
    place = looking.act("mine", Place(shown=True), click(action="page", id="1"))[0]
    grid = looking.grid("mine", place)
    assert grid.count('class="g-tile"') == 28
    assert 'data-id="2" disabled' in grid
    assert looking.grid("mine", Place(shown=True, page=99)).count('class="g-tile"') == 28


def test_a_picked_picture_tells_what_is_known(looking):
    image_id = looking.context.engine.gallery("mine").ids[5]
    place, *_, panel, _ = looking.act("mine", Place(), click(action="pick", id=image_id))
    assert place.picked == image_id
    assert "48 x 36" in panel
    assert "Written by a model" in panel
    assert panel.count('data-action="pick"') == gallery_views.NEIGHBOURS
    assert HOSTILE not in panel
    assert "&lt;img" in panel


def test_a_picked_picture_becomes_a_reference(looking):
    place = Place(shown=True, picked="year 0/trip0/p000.png")
    view = looking.act_picked("mine", place, click(action="use"))[3]
    assert View.loads(view) == View(gallery="mine", reference_id=place.picked)
    view = looking.act_picked("mine", place, click(action="ask", id="make it red"))[3]
    assert View.loads(view).text == "make it red"


def test_likeness_sorts_the_whole_gallery(looking):
    first = looking.context.engine.gallery("mine").ids[0]
    place = looking.act_picked("mine", Place(picked=first), click(action="alike"))[0]
    found, said = looking.found("mine", place)
    assert found[0] == (first, "1.000")
    assert len(found) == 100
    scores = [float(s) for _, s in found]
    assert scores == sorted(scores, reverse=True)
    assert "cosine" in said


def test_looking_up_says_which_way(looking):
    by_id, said = looking.found("mine", Place(by="id", text="P00"))
    assert len(by_id) == 10
    assert "in the id" in said
    by_words, said = looking.found("mine", Place(by="words", text="SEEN onerror"))
    assert len(by_words) == 100
    assert "in the caption" in said
    none, said = looking.found("mine", Place(by="words", text="seen nothing"))
    assert (none, said[:10]) == ([], "0 pictures")
    by_text, said = looking.found("mine", Place(by="text", text="a zeppelin"))
    assert by_text[0][0].endswith(("p000.jpeg", "p000.png", "p000.webp", "p000.gif"))
    assert "encoded by quarters" in said
    assert "never seen zeppelin" in said
    assert HOSTILE not in looking.look_up("mine", "id", HOSTILE)[1]
    with pytest.raises(gr.Error, match="500"):
        looking.look_up("mine", "text", "x " * 400)


def test_clicks_that_mean_nothing_are_told(looking):
    for handler in (looking.act, looking.act_picked):
        with pytest.raises(gr.Error, match="nothing to do"):
            handler("mine", Place(), click(action="page", id="x"))
    with pytest.raises(gr.Error, match="no picture"):
        looking.act("mine", Place(), click(action="pick", id="../etc/passwd"))


def test_records_are_flat_and_queries_are_offered(tmp_path):
    record = {"animals": [{"a": "bear", "b": ""}, {"a": "fox", "b": "hat"}], "prop": "", "x": 3}
    assert gallery_views.flat(record) == [
        ("animal 1", "bear"),
        ("animal 2", "fox, hat"),
        ("x", "3"),
    ]
    shelf = Library(FakeEngine(tmp_path)).shelf("fables")
    query = Triplet(query_id="q", reference_id="f000", modification=HOSTILE, target_ids=())
    panel = gallery_views.picked("f000", shelf, {}, [], [query])
    assert 'data-action="ask"' in panel
    assert HOSTILE not in panel


# --- building -------------------------------------------------------------------------------


def finish(handlers, name):
    """The last panel of a build, and all panels before it; one that was seen gets quick."""
    steps = []
    for step in handlers.watch(name):
        steps.append(step)
        handlers.context.engine.parts.encoder.get().pause = 0.0
    return steps[-1], [s[0] for s in steps[:-1]]


class Refused(Exception):
    """A build that was not begun."""


def begin(handlers, *, source=build_tab.UPLOAD, files=None, path="", name="", **more):
    options = {"kind": "auto", "add": False, "caption": False} | more
    name, fault = handlers.start(
        source, files, path, options["kind"], name, options["add"], options["caption"]
    )
    if fault:  # what the panel says of it is all that is said
        ((panel, *rest),) = handlers.watch(name, fault)
        assert rest == [gr.skip()] * 4
        raise Refused(panel)
    return name


def test_a_folder_is_built_and_chosen(tmp_path):
    engine = engine_of(tmp_path / "own", pause=0.1)
    photos = write_folder(tmp_path / "photos", 60)
    (photos / f"{HOSTILE.replace('/', '')}.jpg").write_bytes(b"no picture")
    handlers = BuildHandlers(context_of(engine))
    name = begin(handlers, source=build_tab.FOLDER, path=str(photos), name="mine")
    last, before = finish(handlers, name)
    panel, mine, choice, build, stop = last
    assert any('role="progressbar"' in p for p in before)
    assert "is ready" in panel
    assert "1 file was left out" in panel
    assert "<img src=x" not in panel
    assert 'href="data:application/json;base64,' in panel
    assert ("Mine", "mine") in choice["choices"]
    assert choice["value"] == "mine"
    assert (build["interactive"], stop["interactive"]) == (True, False)
    assert "60 pictures" in mine
    assert 'data-action="update"' in mine


def test_a_build_can_be_stopped_and_resumed(tmp_path):
    engine = engine_of(tmp_path / "own", pause=0.1)  # a quarter of a minute
    photos = write_folder(tmp_path / "photos", 150)
    handlers = BuildHandlers(context_of(engine))
    begin(handlers, source=build_tab.FOLDER, path=str(photos), name="mine")
    watch = handlers.watch("mine")
    while handlers.jobs.get("mine").step.new < 32:
        next(watch)
    with pytest.raises(Refused, match="“mine” is being built already"):
        begin(handlers, source=build_tab.FOLDER, path=str(photos), name="mine")
    handlers.stop("mine")
    engine.parts.encoder.get().pause = 0.0
    *_, last = watch
    assert "Stopped" in last[0]
    assert "interrupted" in last[1]
    assert engine.galleries() == ()
    name, *_ = handlers.act("", click(action="resume", id="mine"))
    encoder = engine.parts.encoder.get()
    seen = encoder.seen
    assert "is ready" in finish(handlers, name)[0][0]
    assert encoder.seen - seen <= 150 - 32


def test_uploads_are_built_and_captioned(tmp_path):
    engine = engine_of(tmp_path / "own")
    files = [write_zip(tmp_path / "z.zip", {"a.jpg": coded(1), "b.jpg": coded(2)})]
    (tmp_path / "c.jpg").write_bytes(coded(3))
    handlers = BuildHandlers(context_of(engine))
    files.append(tmp_path / "c.jpg")
    begin(handlers, files=[str(f) for f in files], name="mine", caption=True)
    assert "is ready" in finish(handlers, "mine")[0][0]
    assert engine.gallery("mine").record("c.jpg")["caption"].startswith("seen")
    assert "uploads" in handlers.mine()
    assert 'data-action="update"' not in handlers.mine()  # what was uploaded is not there any more
    with pytest.raises(gr.Error, match="Choose the same files again"):
        handlers.act("mine", click(action="update", id="mine"))
    job, choice, _, mode, _ = handlers.act("", click(action="open", id="mine"))
    assert (choice["value"], mode) == ("mine", "Look around")
    assert list(handlers.watch(job)) == [(gr.skip(),) * 5]  # nothing at all would empty the form


def test_a_form_that_is_not_whole_is_told(tmp_path):
    handlers = BuildHandlers(context_of(engine_of(tmp_path / "own")))
    photos = write_folder(tmp_path / "photos", 2)
    with pytest.raises(Refused, match="Give the gallery a name"):
        begin(handlers, source=build_tab.FOLDER, path=str(photos), name=" ")
    with pytest.raises(Refused, match="Choose pictures"):
        begin(handlers, name="mine")
    with pytest.raises(Refused, match="Write the path"):
        begin(handlers, source=build_tab.FOLDER, name="mine")
    with pytest.raises(Refused, match="no folder"):
        begin(handlers, source=build_tab.FOLDER, path="/nowhere/at/all", name="mine")
    with pytest.raises(Refused, match="annotations"):
        begin(handlers, source=build_tab.DATASET, path=str(photos), name="mine")
    with pytest.raises(Refused, match="taken"):
        begin(handlers, source=build_tab.FOLDER, path=str(photos), name="visitor-1")
    name = begin(handlers, source=build_tab.FOLDER, path=str(photos), name="Not A Name")
    assert "cannot be a gallery" in finish(handlers, name)[0][0]


def test_a_failure_is_told_and_its_log_is_not_shown(tmp_path, caplog):
    def burst():
        yield Progress(phase="looking")
        raise RuntimeError("/secret/path")

    job = Jobs().begin(Job(name="x", steps=burst))
    job.wait(120)
    assert "error of this program" in job.error
    assert "/secret" not in job.error
    assert "/secret/path" in caplog.text


def test_a_visitors_build_ends_when_nobody_looks(monkeypatch):
    def endless():
        while True:
            time.sleep(0.005)
            yield Progress(phase="encoding")

    monkeypatch.setattr("cirdemo.ui.gallery.jobs.LOST", 0.05)
    job = Jobs().begin(Job(name="x", steps=endless, needs_watcher=True))
    job.wait(120)
    assert not job.running
    assert job.report is None


def test_deleting_leaves_the_files(tmp_path):
    engine, photos = engine_of(tmp_path / "own"), write_folder(tmp_path / "photos", 3)
    handlers = BuildHandlers(context_of(engine))
    for name in ("one", "two"):
        begin(handlers, source=build_tab.FOLDER, path=str(photos), name=name)
        finish(handlers, name)
    _, choice, mine, _, panel = handlers.act("two", click(action="delete", id="two"))
    assert "Gallery “two” deleted" in panel
    assert handlers.jobs.get("two") is None  # a page that opens is not told that it is ready
    assert choice["value"] == "one"
    assert "two" not in mine
    assert engine.galleries() == ("one",)
    assert len(list(photos.rglob("*.*"))) == 3


def test_a_page_that_opens_sees_what_goes_on(tmp_path):
    engine = engine_of(tmp_path / "own", pause=0.1)
    handlers = BuildHandlers(context_of(engine))
    photos = write_folder(tmp_path / "photos", 60)
    assert handlers.running_name() == ""
    begin(handlers, source=build_tab.FOLDER, path=str(photos), name="mine")
    assert handlers.running_name() == "mine"
    panels = []
    for step in handlers.arrive():
        panels.append(step[0])
        engine.parts.encoder.get().pause = 0.0
    assert "is ready" in panels[-1]
    assert len(panels) > 1


# --- strangers ------------------------------------------------------------------------------


def test_strangers_upload_and_nothing_else(tmp_path):
    engine, photos = engine_of(tmp_path / "own"), write_folder(tmp_path / "photos", 3)
    handlers = BuildHandlers(context_of(engine, public=True))
    with pytest.raises(Refused, match="uploads only"):  # a folder that was smuggled in
        begin(handlers, source=build_tab.FOLDER, path=str(photos), name="mine")
    (tmp_path / "c.jpg").write_bytes(coded(3))
    name, fault = handlers.start_visit([str(tmp_path / "c.jpg")], False, "")
    assert not fault
    assert len(name) == len("visitor-") + 32
    last, _ = finish(handlers, name)
    assert "deleted an hour after" in last[0]
    assert name not in last[0].replace(f"{name}-report.json", "").replace("data:", "")
    assert last[2]["choices"] == [("Your pictures", name)]
    same, fault = handlers.start_visit([], False, name)
    assert same == gr.skip()  # the visit keeps its one name
    assert "Choose pictures" in next(handlers.watch(name, fault))[0]
    assert engine.galleries() == ()  # nobody else sees it
    assert handlers.mine() == ""
    assert handlers.running_name() == ""
    with pytest.raises(gr.Error, match="cannot be changed"):
        handlers.act("", click(action="delete", id=name))


def test_in_public_mode_the_inputs_do_not_exist(tmp_path):
    def ids(public):
        page = build_app(FakeEngine(tmp_path), public=public)
        return {c["props"].get("elem_id") for c in page.get_config_file()["components"]}

    hidden = {"gal-source", "gal-path", "gal-kind", "gal-name", "gal-add"}
    assert hidden <= ids(public=False)
    assert not hidden & ids(public=True)


def test_reports_say_all_there_is():
    report = Report(
        gallery="mine", pictures=2, new=2, unchanged=0, removed=0, left_out=(),
        near=(("a", "b", 0.0),), space="s", seconds=3.2,
    )  # fmt: skip
    page = build_views.finished(report, None)
    assert "Nothing was left out" in page
    assert "1 pair looks the same" in page
    assert "identical" in page


def test_a_reference_without_a_text_waits_for_one(tmp_path):
    from cirdemo.ui.search.events import SearchHandlers
    from cirdemo.ui.search.look import LookHandlers

    engine = FakeEngine(tmp_path)
    library = Library(engine)
    handlers = SearchHandlers(engine, library, LookHandlers(engine, library))
    (page,) = handlers.run_opened(*run_number(), View(gallery="fables", reference_id="f000"))
    assert any("Say what should change" in str(part) for part in page)
