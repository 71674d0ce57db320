"""The language model on random weights, saved as the trained ones are: no answer is any good, but
every shortcut must give what the plain way gives."""

# ruff: noqa: F811

import json
import shutil

import numpy as np
import pytest
import torch
from peft import PeftModel
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from cirdemo import prompts
from cirdemo.models import loading, verdicts
from cirdemo.models.mllm import VisionLanguageModel
from cirdemo.train import vocabulary
from cirdemo.types import CirError, MissingCheckpoint
from tests.fixtures_mllm import home, pictures, vlm  # noqa: F401


class Plain:
    """transformers and peft used as their manuals say, nothing shared, nothing batched."""

    def __init__(self, home, adapter=None):
        self.processor = AutoProcessor.from_pretrained(home / "mllm")
        model = AutoModelForImageTextToText.from_pretrained(home / "mllm", dtype=torch.float32)
        self.model = PeftModel.from_pretrained(model, home / adapter) if adapter else model
        self.model.eval()

    def inputs(self, parts):
        content = [
            {"type": "text", "text": p} if isinstance(p, str) else {"type": "image", "image": p}
            for p in parts
        ]
        return self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )

    def margin(self, parts):
        vocabulary = self.processor.tokenizer.get_vocab()
        with torch.inference_mode():
            logits = self.model(**self.inputs(parts)).logits[0, -1].double()
        yes, no = (
            torch.stack([logits[vocabulary[w]] for w in words if w in vocabulary]).logsumexp(0)
            for words in (("Yes", "yes"), ("No", "no"))
        )
        return float(yes - no)


@pytest.mark.parametrize("adapter", [None, "judge"])
def test_shared_prefix_judging_is_plain_judging(home, vlm, pictures, adapter, monkeypatch):
    """The 13 candidates cross two borders of chunks; any error in cache or positions shows."""
    monkeypatch.setattr("cirdemo.models.verdicts.CHUNK", 6)
    before = [pictures[0], prompts.judge_prompt("make it white", "a white dog")]
    found = list(vlm.yes_no(before, pictures, adapter=adapter))
    assert len(found) == len(pictures)
    plain = Plain(home, adapter)
    for n in (0, 7, 12):
        probability, margin = found[n]
        wanted = plain.margin([*before, pictures[n]])
        assert margin == pytest.approx(wanted, abs=1e-4)
        assert probability == pytest.approx(1 / (1 + np.exp(-wanted)), abs=1e-4)
    margins = [m for _, m in found]
    assert max(margins) - min(margins) > 1e-3  # the candidates are looked at


def test_verdicts_do_not_depend_on_the_company_or_the_past(vlm, pictures):
    before = [pictures[0], prompts.judge_prompt("make it white", "a white dog")]
    together = list(vlm.yes_no(before, pictures[:3], adapter="judge"))
    vlm.generate([[pictures[1], "describe"]], max_new_tokens=3)
    alone = [next(vlm.yes_no(before, [p], adapter="judge")) for p in pictures[2::-1]][::-1]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    longer = [pictures[0], prompts.judge_prompt("make it black", "a black dog in the snow")]
    other = list(vlm.yes_no(longer, pictures[:3], adapter="judge"))
    assert np.abs(np.array(other) - np.array(together)).max() > 1e-3  # the words are read
    assert list(vlm.yes_no(before, [], adapter="judge")) == []


def test_pictures_of_other_sizes_are_judged_in_order(vlm, pictures):
    before = [pictures[0], prompts.judge_prompt("make it white", "")]
    mixed = [pictures[1], pictures[2].crop((0, 0, 256, 128)), pictures[3]]
    alone = [next(vlm.yes_no(before, [p])) for p in mixed]
    np.testing.assert_allclose(list(vlm.yes_no(before, mixed)), alone, atol=1e-5)


def test_an_adapter_is_on_only_where_it_is_asked_for(vlm, pictures):
    before = [pictures[0], prompts.judge_prompt("make it white", "")]
    off, judge, cot, again = (
        np.array(list(vlm.yes_no(before, pictures[:3], adapter=a)))
        for a in (None, "judge", "cot", None)
    )
    np.testing.assert_array_equal(off, again)
    assert np.abs(off - judge).max() > 1e-3
    assert np.abs(off - cot).max() > 1e-3
    assert np.abs(judge - cot).max() > 1e-3


def test_a_batch_writes_what_one_by_one_writes(vlm, pictures):
    turns = [
        [pictures[0], "describe"],
        [pictures[1], prompts.describe_prompt("a hat", "union", "a dog")],
    ]
    assert vlm.generate(turns, max_new_tokens=6) == [
        vlm.generate([turn], max_new_tokens=6)[0] for turn in turns
    ]


def test_picture_tokens_are_kept_by_content(vlm, pictures):
    first = vlm.features([pictures[5]])[0]
    assert vlm.features([pictures[5].copy()])[0] is first
    assert not torch.equal(vlm.features([pictures[6]])[0], first)
    assert first.shape == (16, 256)


@pytest.mark.parametrize("adapter", [None, "judge"])
def test_questions_about_one_pair_are_answered_as_one_by_one(home, vlm, pictures, adapter):
    texts = ["a dog", "with a very long tail in the snow", "jumping", "a dog"]
    asked = [prompts.judge_prompt(text, text) for text in texts]
    found = vlm.ask(pictures[0], asked, pictures[1], adapter=adapter)
    plain = Plain(home, adapter)
    wanted = [plain.margin([pictures[0], text, pictures[1]]) for text in asked]
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert found[0] == pytest.approx(found[3], abs=1e-5) and abs(found[0] - found[1]) > 1e-4
    np.testing.assert_allclose(
        vlm.ask(pictures[0], asked[:1], pictures[1], adapter=adapter), wanted[:1], atol=1e-4
    )
    # a picture of another size as the reference, and the same question twice alone
    small = pictures[2].crop((0, 0, 256, 128))
    twice = vlm.ask(small, [asked[1]] * 2, pictures[1], adapter=adapter)
    np.testing.assert_allclose(twice, [plain.margin([small, asked[1], pictures[1]])] * 2, atol=1e-4)
    assert vlm.ask(pictures[0], [], pictures[1]) == []


def test_what_stands_behind_a_no_is_what_the_model_would_write_there(home, vlm, pictures):
    before = [pictures[0], prompts.judge_prompt("make it white", "a white dog")]
    plain = Plain(home, "judge")
    inputs = plain.inputs([*before, pictures[4]])
    vocab = plain.processor.tokenizer.get_vocab()
    inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([[vocab["No"]]])], 1)
    for key, value in (("attention_mask", 1), ("mm_token_type_ids", 0)):
        inputs[key] = torch.cat([inputs[key], torch.tensor([[value]])], 1)
    start = inputs["input_ids"].shape[1]
    with torch.inference_mode():
        row = plain.model.generate(**inputs, max_new_tokens=24, do_sample=False)[0, start:]
    said = plain.processor.tokenizer.decode(row, skip_special_tokens=True)
    found = vlm.after_no(before, pictures[4], adapter="judge")
    assert found.split() == said.split() and found


# --- reasoning ----------------------------------------------------------------------------


def test_the_vector_is_the_state_at_emb_which_is_put_there_when_unwritten(home, vlm, pictures):
    turns = [
        [pictures[0], prompts.reason_prompt("make it white")],
        [pictures[1], prompts.reason_prompt("remove the dog and add a cat by the lake please")],
    ]
    texts, vectors = vlm.reason(turns, max_new_tokens=5)
    assert vectors.shape == (2, 32) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3
    plain = Plain(home, "cot")
    vocab = plain.processor.tokenizer.get_vocab()
    emb, end = vocab[prompts.EMBED], vocab["<|im_end|>"]
    weight = load_file(home / "cot" / "projection.safetensors")["weight"].float()
    for row, turn in enumerate(turns):
        inputs = plain.inputs(turn)
        start = inputs["input_ids"].shape[1]
        with torch.inference_mode():
            written = plain.model.generate(**inputs, max_new_tokens=5, do_sample=False)[0, start:]
            said = [int(t) for t in written]
            stop = next((i for i, t in enumerate(said) if t in (emb, end)), len(said))
            full = torch.cat([inputs["input_ids"][0], torch.tensor([*said[:stop], emb])])[None]
            types = inputs["mm_token_type_ids"]
            state = plain.model.get_base_model().model(
                input_ids=full,
                pixel_values=inputs["pixel_values"],
                image_grid_thw=inputs["image_grid_thw"],
                mm_token_type_ids=torch.cat([types, types.new_zeros(1, stop + 1)], 1),
            )
            vector = state.last_hidden_state[0, -1] @ weight.T
        unit = (vector / vector.norm()).numpy()
        np.testing.assert_allclose(vectors[row], unit, atol=1e-4)
        shown = plain.processor.tokenizer.decode(written, skip_special_tokens=True)
        assert texts[row].split() == shown.split()


def test_a_streamed_rationale_is_the_one_that_is_written_at_once(vlm, pictures):
    turn = [pictures[0], prompts.reason_prompt("make it white")]
    texts, vectors = vlm.reason([turn])
    *parts, (last, vector) = vlm.reason_stream(turn)
    assert last == texts[0].split(f" {prompts.EMBED}")[0] and len(parts) > 3
    assert all(v is None and last.startswith(text) for text, v in parts)
    assert [text for text, _ in parts] == sorted({text for text, _ in parts}, key=len)
    np.testing.assert_allclose(vector, vectors[0], atol=1e-4)


def test_words_that_are_said_steer_what_follows_and_the_vector(vlm, pictures):
    turn = [pictures[0], prompts.reason_prompt("make it white")]
    said = "caption: a white dog reasoning:"
    *_, (text, vector) = vlm.reason_stream(turn, said)
    *_, (free, own) = vlm.reason_stream(turn)
    assert text != free and np.abs(vector - own).max() > 1e-3
    *_, (nothing, read) = vlm.reason_stream(turn, said, write=False)
    assert nothing == "" and np.abs(read - vector).max() > 1e-3
    # said in full, a rationale gives the vector that it gave when it was written
    *_, (_, again) = vlm.reason_stream(turn, free, write=False)
    np.testing.assert_allclose(again, own, atol=1e-4)


def test_a_picture_that_was_seen_is_neither_prepared_nor_encoded(vlm, pictures, monkeypatch):
    wide = pictures[1].crop((0, 0, 256, 128))
    turns = [
        [pictures[0], prompts.reason_prompt("make it white")],
        [wide, prompts.reason_prompt("remove the dog and add a cat by the lake please")],
    ]
    said = vlm.generate(turns, max_new_tokens=5)
    texts, vectors = vlm.reason(turns, max_new_tokens=5)
    direct = vlm.embed(turns)
    with monkeypatch.context() as patch:
        patch.setattr(vlm, "laid_out", vlm.inputs)  # pixels through the library's tower
        assert vlm.generate(turns, max_new_tokens=5) == said
        np.testing.assert_allclose(vlm.embed(turns), direct, atol=1e-4)

    def refused(*_, **__):
        raise AssertionError("pixels were prepared")

    monkeypatch.setattr(type(vlm.processor.image_processor), "__call__", refused)
    encoded = vlm.pictures.encoded
    assert vlm.generate(turns, max_new_tokens=5) == said
    again, same = vlm.reason(turns, max_new_tokens=5)
    assert again == texts
    np.testing.assert_array_equal(same, vectors)
    np.testing.assert_array_equal(vlm.embed(turns), direct)
    vlm.ask(pictures[0], ["a dog", "a cat"], wide)
    list(vlm.reason_stream(turns[0]))
    assert vlm.pictures.encoded == encoded


# --- words --------------------------------------------------------------------------------


def test_yes_and_no_are_single_tokens_apart_from_the_words():
    tokenizer = vocabulary.chat_tokenizer()
    ids = {w: tokenizer(w, add_special_tokens=False)["input_ids"] for w in ("Yes", "No", "no")}
    assert all(len(i) == 1 for i in ids.values())
    assert ids["Yes"] != ids["No"] != ids["no"]
    asked = tokenizer("Answer Yes or No.", add_special_tokens=False)["input_ids"]
    assert ids["Yes"][0] in asked and ids["No"][0] in asked
    assert len(tokenizer(prompts.EMBED, add_special_tokens=False)["input_ids"]) == 1
    every = " ".join([*prompts.DESCRIBE.values(), prompts.CAPTION, prompts.REASON, prompts.NEXT])
    assert tokenizer.unk_token_id not in tokenizer(every)["input_ids"]


def test_a_direct_embedding_is_the_state_behind_the_prompt_and_needs_no_batch(vlm, pictures):
    turns = [[pictures[0], prompts.direct_prompt("make it red")], [pictures[1], "Modification: a."]]
    together = vlm.embed(turns)
    alone = np.concatenate([vlm.embed([turn]) for turn in turns])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.abs(together[0] - vlm.embed([[pictures[1], turns[0][1]]])[0]).max() > 1e-3


def test_unknown_words_are_named_once_and_in_order(vlm):
    assert vlm.unknown_words("a zebra on the moon, a Zebra!") == ("zebra", "moon")
    assert vlm.unknown_words("make the dog white") == ()
    assert vlm.unknown_words("") == ()


def test_a_model_without_the_words_cannot_judge(vlm):
    with pytest.raises(CirError, match="no single token for 'perhaps'"):
        verdicts.spellings(vlm, "perhaps")


# --- loading ------------------------------------------------------------------------------


def test_missing_weights_say_the_way_out(home, tmp_path):
    with pytest.raises(MissingCheckpoint, match=r"none.*cannot be loaded.*cirdemo train mllm"):
        VisionLanguageModel.load(str(tmp_path / "none"))
    with pytest.raises(MissingCheckpoint, match=r"No adapter 'judge'.*cirdemo train judge"):
        VisionLanguageModel.load(str(home / "mllm"), {"judge": str(tmp_path / "none")})
    shutil.copytree(home / "cot", tmp_path / "cot")
    (tmp_path / "cot" / "projection.safetensors").unlink()
    bare = VisionLanguageModel.load(str(home / "mllm"), {"cot": str(tmp_path / "cot")})
    with pytest.raises(MissingCheckpoint, match="projection"):
        bare.reason([[Image.new("RGB", (32, 32)), "think"]], max_new_tokens=2)


def test_identity_follows_weights_and_adapters(home, vlm):
    bare = VisionLanguageModel.load(str(home / "mllm")).identity
    judge = VisionLanguageModel.load(str(home / "mllm"), {"judge": str(home / "judge")}).identity
    assert bare.startswith("mllm@")
    assert len({bare, judge, vlm.identity}) == 3


def test_identity_follows_settings_but_not_what_is_told_of_a_training(home, tmp_path):
    before = loading.digest(str(home / "mllm"), {})
    folder = shutil.copytree(home / "mllm", tmp_path / "mllm")
    (folder / "meta.json").write_text("{}")
    assert loading.digest(str(folder), {}) == before
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["shifts"] = [[0, 0], [4, 4]]  # how often a picture is read
    (folder / "config.json").write_text(json.dumps(config))
    assert loading.digest(str(folder), {}) != before


def test_shards_are_below_ten_megabytes(home):
    files = [p for p in home.rglob("*") if p.is_file()]
    assert max(p.stat().st_size for p in files) < 10_000_000
