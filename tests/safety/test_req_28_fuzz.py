"""Requirements 9, 28, 36, 38 and section 7: whatever comes in, one declared answer or one sentence.

A property here is: only the declared kind of error, and what can be read back reads back equal.
How many examples a property gets is said in `effort.py`.
"""

import json
import math
import string
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cirdemo import intake, prompts
from cirdemo.archives import printable, refused_name
from cirdemo.gallery.own import Own
from cirdemo.models import trusted
from cirdemo.types import BadInput, CirError, MissingCheckpoint
from cirdemo.ui.cards import esc
from cirdemo.ui.shell import ADDRESS, is_open, named_files
from cirdemo.ui.view import View
from tests.safety import figures
from tests.safety.effort import PROFILE

TEXT = st.text(max_size=300)
MARKS = st.sampled_from(
    "<|im_start|> <|im_end|> <emb> </think> <image> [PAD] <｜x｜> \u202e \u200b \0 é e\u0301".split(
        " "
    )
)
HOSTILE = st.lists(st.one_of(TEXT, MARKS), max_size=8).map("".join)


@settings(PROFILE)
@given(HOSTILE)
def test_req_28_a_text_is_cleaned_or_refused(text):
    try:
        clean = intake.clean_text(text)
    except BadInput as fault:
        assert str(fault).endswith(".")
        figures.count(28, "hostile texts", "refused")
        return
    figures.count(28, "hostile texts", "cleaned")
    assert 0 < len(clean) <= intake.MAX_TEXT and clean == " ".join(clean.split())
    assert not intake._CONTROL_TOKEN.search(clean)
    assert intake.clean_text(clean) == clean  # once is enough
    assert not any(ord(c) < 32 or c in "\u202e\u200b" for c in clean)


@settings(PROFILE)
@given(
    st.builds(
        View,
        text=st.text(max_size=200),
        reference_id=st.text(max_size=50),
        region=st.text(string.hexdigits + ":", max_size=40),
        union=st.text(max_size=80),
        without=st.lists(st.text(min_size=1, max_size=20), max_size=4).map(tuple),
        more=st.lists(st.text(min_size=1, max_size=20), max_size=4).map(tuple),
        depth=st.integers(1, 100),
        judge=st.booleans(),
        fuse=st.booleans(),
        threshold=st.floats(0, 1),
    )
)
def test_req_38_a_view_survives_its_link(view):
    link = view.fragment()
    assert View.loads(link) == view
    assert "#" not in link and " " not in link and "<" not in link


@settings(PROFILE)
@given(st.text(max_size=400) | st.text("&=%+#0123456789abcdeftrueyesno", max_size=400))
def test_req_38_any_link_opens_or_says_why(text):
    try:
        View.loads(text)
        figures.count(38, "links of any letters", "opened")
    except BadInput as fault:
        assert str(fault)
        figures.count(38, "links of any letters", "refused")


@settings(PROFILE)
@given(st.text(max_size=600))
def test_req_18_no_name_leads_anywhere(name):
    taken = refused_name(name) is None
    if taken:
        assert not name.startswith("/") and ".." not in name.split("/") and "\0" not in name
    printable(name).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                "r lora_alpha target_modules peft_type auto_mapping megatron_core x".split()
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@settings(PROFILE)
@given(value=JSON)
def test_req_02_any_adapter_settings_are_taken_or_named(value, tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps(value))
    try:
        config = trusted.adapter_config(tmp_path, "judge")
        assert config.r in trusted.RANKS and config.auto_mapping is None
        assert 0 < config.lora_alpha <= 4096 and math.isfinite(config.lora_alpha)
        figures.count(2, "adapter settings", "taken")
    except MissingCheckpoint as fault:
        figures.count(2, "adapter settings", "refused")
        assert "adapter_config.json" in str(fault)


@settings(PROFILE)
@given(data=st.binary(max_size=300) | JSON.map(lambda v: trusted_header(json.dumps(v).encode())))
def test_req_34_any_bytes_are_weights_or_refused(data, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    try:
        trusted.load_exact(path, "qformer")
        figures.count(34, "bytes for weights", "taken")
    except MissingCheckpoint as fault:
        figures.count(34, "bytes for weights", "refused")
        assert "model.safetensors" in str(fault) or "do not fit" in str(fault)


def trusted_header(text):
    return len(text).to_bytes(8, "little") + text


@settings(PROFILE)
@given(data=st.binary(max_size=200))
def test_req_12_any_note_of_a_build_is_refused_or_whole(data, tmp_path):
    home = Own(tmp_path).home("mine")
    home.folder.mkdir(exist_ok=True)
    (home.folder / "CURRENT").write_bytes(data)
    with pytest.raises(CirError):
        home.read()
    figures.count(12, "notes of a build", "refused")
    home.summary()


@settings(PROFILE)
@given(HOSTILE)
def test_req_36_any_reply_is_read_without_an_invented_score(text):
    """A rationale, however it is written, is three texts; a score never comes from words."""
    told = prompts.parse_rationale(text)
    assert all(isinstance(s, str) for s in (told.caption, told.reasoning, told.conclusion))


class Nodes(HTMLParser):
    """Counts elements and keeps what is text."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.said = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.said += data


@settings(PROFILE)
@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=200))
def test_req_09_a_text_stays_a_text(text):
    page = Nodes()
    page.feed(f'<p title="{esc(text)}">{esc(text)}</p>')
    page.close()
    assert page.tags == ["p"] and page.attributes == [("title", text)] and page.said == text


@settings(PROFILE)
@given(st.text("hHtTpPs:/.\\%@0127 filedata", max_size=40))
def test_req_19_no_address_is_a_file(text):
    route = f"/gradio_api/file={text}"
    if "://" in text.partition("?")[0][:12] and not text.startswith("/"):
        assert not is_open(route)
    if text.startswith(("//", "/http:", "/file:")):
        assert not is_open(route)
    if is_open(route):
        assert text.startswith("/") and not ADDRESS.match(text[1:])


@settings(PROFILE)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["path", "url", "x"]), inner, max_size=3)
        ),
        max_leaves=10,
    )
)
def test_req_03_every_path_in_a_value_is_seen(value):
    def count(inner):
        if isinstance(inner, dict):
            return sum(1 if k == "path" and v is not None else count(v) for k, v in inner.items())
        return sum(map(count, inner)) if isinstance(inner, list) else 0

    assert len(list(named_files(value))) == count(value)
