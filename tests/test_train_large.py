"""Adapters of published models trained on benchmark folders, on the embedded model in their place.

The folders are small ones in the published layouts; what is trained must load and answer alike.
"""

import json
import logging
import random
import shutil
import signal

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoConfig,
    AutoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from cirdemo import prompts
from cirdemo.cli import main
from cirdemo.data.benchmark import MissingPictures
from cirdemo.data.benchmarks import read_cirr
from cirdemo.models.encoders import OpenClipEncoder
from cirdemo.models.mllm import VisionLanguageModel
from cirdemo.train import large, large_data, large_fit, large_models
from cirdemo.types import BadInput, CirError, MissingCheckpoint, UnknownName
from tests.fixtures_benchmarks import FABLES, make_cirr, make_fashioniq, queries

ROOT = FABLES.parents[2]
MODEL, ENCODER = (str(ROOT / "checkpoints/embedded" / name) for name in ("mllm", "encoder"))
SMALL = {"rank": "8", "alpha": "8", "accumulate": "1", "checkpointing": "false"}

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def cirr(tmp_path_factory):
    root = tmp_path_factory.mktemp("cirr")
    make_cirr(root, queries(4))
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def losses(monkeypatch):
    """The running mean of the loss after every step."""
    seen = []
    show = large_fit.Bar.show

    def noted(bar, done, used, means):
        seen.append(means["loss"])
        show(bar, done, used, means)

    monkeypatch.setattr(large_fit.Bar, "show", noted)
    return seen


def job(name, folder, out, cache, **given):
    options = SMALL | given.pop("options", {})
    defaults = {"model": MODEL, "encoder": ENCODER, "device": "cpu"}
    return large.LargeJob(
        name=name, folder=folder, out=out, cache=cache, options=options, **(defaults | given)
    )


def asks(folder):
    return large_data.asks_of([read_cirr(folder, "train")])


# --- training -----------------------------------------------------------------------------


def test_the_judge_learns_a_small_set_and_loads(cirr, cache, tmp_path, losses):
    options = {"epochs": "5", "candidates": "3", "lr": "0.004", "rank": "16", "alpha": "16"}
    report = large.run(job("judge", cirr, tmp_path / "judge", cache, options=options))
    assert np.isfinite(losses).all() and len(losses) == report["training"]["steps"] == 10
    assert losses[-1] < 0.75 * losses[0]
    meta = json.loads((tmp_path / "judge/meta.json").read_text())
    assert meta["recipe"]["rank"] == 16 and meta["encoder"].startswith("encoder@")
    assert meta["wrong_pictures"].startswith("coarse") and meta["queries"] == 4
    assert meta["training"] == report["training"] and meta["missing"] == {}
    model = VisionLanguageModel.load(MODEL, {"judge": str(tmp_path / "judge")})
    found = 0
    for ask in asks(cirr):
        reference, target, *wrong = (
            large_data.picture(ask.gallery, i, 512 * 512)
            for i in (
                ask.triplet.reference_id,
                ask.triplet.target_ids[0],
                *ask.draw_wrong(random.Random(0), 3),
            )
        )
        before = [reference, prompts.judge_prompt(ask.triplet.modification, "")]
        chances = [p for p, _ in model.yes_no(before, [target, *wrong], adapter="judge")]
        found += chances[0] == max(chances)
    assert found >= 3


def test_a_stopped_run_goes_on_as_if_it_had_not_been(cirr, cache, tmp_path, monkeypatch, caplog):
    options = {"epochs": "2", "candidates": "2"}
    whole = job("judge", cirr, tmp_path / "whole", cache, options=options)
    assert large.run(whole)["training"]["steps"] == 4
    show = large_fit.Bar.show

    def interrupted(bar, done, used, means):
        if done == 2:
            signal.raise_signal(signal.SIGINT)
        show(bar, done, used, means)

    parted = job("judge", cirr, tmp_path / "parted", cache, options=options)
    with monkeypatch.context() as patch:
        patch.setattr(large_fit.Bar, "show", interrupted)
        facts = large.run(parted)["training"]
    assert facts["stopped"] == 1.0 and facts["steps"] == 3  # the step after the signal is finished
    half = load_file(tmp_path / "parted" / large_models.WEIGHTS)
    with caplog.at_level(logging.INFO, "cirdemo"):
        facts = large.run(parted)["training"]
    assert "resumed after 3 steps" in caplog.text
    assert "stopped" not in facts and facts["steps"] == 4
    weights = [load_file(tmp_path / name / large_models.WEIGHTS) for name in ("whole", "parted")]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0.02, atol=1e-5)
    assert any((half[name] != value).any() for name, value in weights[1].items())
    assert not list((cache / "train").glob("*.pt"))  # done: the next run starts afresh


def test_cot_learns_rationale_and_vector_and_loads(cache, tmp_path, losses):
    rows = queries(3)
    make_fashioniq(tmp_path / "fiq", rows)
    lines = [
        {
            "id": f"dress-{number}",
            "caption": row["union"],
            "reasoning": row["modification"],
            "conclusion": row["conclusion"],
        }
        for number, row in enumerate(rows[:2])
    ]
    told = tmp_path / "rationales.jsonl"
    told.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = {"epochs": "6", "batch": "3", "lr": "0.004"}
    given = job("cot", tmp_path / "fiq", tmp_path / "cot", cache, rationales=told, options=options)
    report = large.run(given)
    assert report["rationales"] == 2
    assert np.isfinite(losses).all() and losses[-1] < 0.85 * losses[0]
    model = VisionLanguageModel.load(MODEL, {"cot": str(tmp_path / "cot")})
    picture = large_data.picture(read_dress(tmp_path / "fiq"), rows[0]["reference_id"], 512 * 512)
    asked = [picture, prompts.reason_prompt(rows[0]["modification"])]
    texts, vectors = model.reason([asked], max_new_tokens=8)
    assert texts[0] and vectors.shape == (1, OpenClipEncoder(ENCODER).dim)


def read_dress(folder):
    from cirdemo.data.benchmarks import read_fashioniq

    return read_fashioniq(folder, "dress", "train")


@pytest.fixture(scope="module")
def qwen3(tmp_path_factory):
    """The class that the photo profile names, tiny and with random weights."""
    folder = tmp_path_factory.mktemp("qwen3")
    known, processor = AutoConfig.from_pretrained(MODEL), AutoProcessor.from_pretrained(MODEL)
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(processor.tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [4, 2, 2],
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 32,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        tie_word_embeddings=True,
        **{name: getattr(known, name) for name in names},
    )
    torch.manual_seed(0)
    Qwen3VLForConditionalGeneration(config).save_pretrained(folder)
    Qwen3VLProcessor(
        image_processor=processor.image_processor,
        tokenizer=processor.tokenizer,
        video_processor=Qwen3VLVideoProcessor(patch_size=16),
        chat_template=processor.chat_template,
    ).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("name", ["judge", "cot"])
def test_the_photo_profile_class_trains_on_its_words_alone(cirr, cache, tmp_path, qwen3, name):
    options = {"epochs": "0.5", "batch": "2", "checkpointing": "true"}
    report = large.run(
        job(name, cirr, tmp_path / name, cache, model=qwen3, options=options | {"alpha": "16"})
    )
    assert report["training"]["steps"] == 1 and np.isfinite(report["training"]["loss"])
    weights = load_file(tmp_path / name / large_models.WEIGHTS)
    assert all(".language_model." in key and ".visual." not in key for key in weights)
    kinds = {key.split(".")[-3] for key in weights}
    assert kinds == set(large.QWEN_RERANKER)
    assert any(value.abs().max() > 0 for key, value in weights.items() if "lora_B" in key)
    model = VisionLanguageModel.load(qwen3, {name: str(tmp_path / name)})
    assert model.model.peft_config[name].lora_alpha == 16


# --- what is trained is what answers ------------------------------------------------------


def shaken(adapter):
    """The adapter with weights that show: a fresh one changes nothing."""
    torch.manual_seed(0)
    for name, p in adapter.named_parameters():
        if "lora_B" in name:
            # exact in half precision, in which it is saved
            p.data = (torch.randn_like(p) * 0.05).to(torch.bfloat16).float()
        elif p.requires_grad:
            p.data = p.data.to(torch.bfloat16).float()
    return adapter.eval()


def test_the_judge_is_trained_on_what_it_will_answer(cirr, tmp_path):
    ask = asks(cirr)[0]
    ask.wanted = "a red fox sleeping"
    recipe = large_models.LargeJudgeRecipe(rank=4, alpha=4, lr=1.0, candidates=3)
    vlm = large_models.load(MODEL, torch.float32)
    judge = shaken(large_models.LargeJudge(vlm, recipe, {}, None))
    batch = judge.batch([ask], random.Random(5))
    with torch.no_grad():
        states = judge.states(batch["inputs"])[:, -1]
        logits = judge.tuned.get_base_model().get_output_embeddings()(states)[:, judge.verdicts]
        yes, no = logits[:, : judge.spellings], logits[:, judge.spellings :]
        margins = yes.logsumexp(1) - no.logsumexp(1)
        losses = judge(**batch)
    hit = torch.tensor([1.0, 0.0, 0.0])
    binary = nn.functional.binary_cross_entropy_with_logits(margins, hit)
    listed = -margins.log_softmax(0)[0]
    assert float(losses["loss"]) == pytest.approx(float(binary + 0.5 * listed), rel=1e-4)
    judge.save(tmp_path)
    rng = random.Random(5)
    large_models.wording(ask, rng)
    shown = [rng.choice(ask.triplet.target_ids), *ask.draw_wrong(rng, 2)]
    images = [large_data.picture(ask.gallery, i, recipe.pixels) for i in shown]
    reference = large_data.picture(ask.gallery, ask.triplet.reference_id, recipe.pixels)
    before = [reference, prompts.judge_prompt(ask.triplet.modification, ask.wanted)]
    loaded = VisionLanguageModel.load(MODEL, {"judge": str(tmp_path)})
    loaded.core().model.visual.config.shifts = None  # read once, as they are in training
    answers = [margin for _, margin in loaded.yes_no(before, images, adapter="judge")]
    np.testing.assert_allclose(answers, margins.numpy(), atol=2e-3)
    plain = [margin for _, margin in loaded.yes_no(before, images)]
    assert np.abs(np.subtract(plain, answers)).max() > 0.01  # the adapter does something


@pytest.mark.parametrize("published", [False, True], ids=["own", "without the token"])
def test_cot_reads_its_vector_where_it_was_trained(cirr, cache, tmp_path, published):
    source = MODEL
    if published:  # a tokenizer that has never heard of <emb>
        source = str(tmp_path / "model")
        shutil.copytree(MODEL, source)
        for path in (tmp_path / "model").glob("*token*.json"):
            path.write_text(path.read_text().replace(prompts.EMBED, "<reserved>"))
    ask, *_ = found = asks(cirr)
    encoder = OpenClipEncoder(ENCODER)
    told = lambda *_: None  # noqa: E731
    shelves = large_data.vectors_of([ask.gallery], encoder, cache / "large", told)
    large_data.mine(found, encoder, shelves)
    recipe = large_models.LargeCotRecipe(rank=4, alpha=4, lr=1.0, negatives=3, hard=2)
    vlm = large_models.load(source, torch.float32)
    cot = shaken(large_models.LargeCot(vlm, recipe, shelves, None))
    assert cot.added is published
    batch = cot.batch([ask], random.Random(0))
    assert (batch["labels"] == -100).all()  # no rationale: no text loss
    with torch.no_grad():
        hidden = cot.states(batch["inputs"])[0, batch["places"][0]]
        trained = nn.functional.normalize(cot.projection(hidden), dim=0)
        losses = cot(**batch)
        scores = batch["gallery"] @ trained / recipe.temperature
    kinds = batch["kinds"][0]
    scores = scores.masked_fill(kinds < 0, float("-inf"))
    expected = scores.logsumexp(0) - scores[kinds == 1].logsumexp(0)
    assert float(losses["info"]) == pytest.approx(float(expected), rel=1e-3)
    assert float(losses["text"]) == 0
    cot.save(tmp_path / "cot")
    loaded = VisionLanguageModel.load(source, {"cot": str(tmp_path / "cot")})
    loaded.core().model.visual.config.shifts = None  # read once, as they are in training
    reference = large_data.picture(ask.gallery, ask.triplet.reference_id, recipe.pixels)
    said = ask.triplet.modification
    (vector,) = loaded.embed([[reference, prompts.direct_prompt(said)]])
    np.testing.assert_allclose(vector, trained.numpy(), atol=2e-3)
    _, vectors = loaded.reason([[reference, prompts.reason_prompt(said)]], max_new_tokens=3)
    assert np.isfinite(vectors).all()


def test_the_answer_of_a_rationale_is_what_is_predicted(cirr, cache):
    (ask, *_) = asks(cirr)
    ask.rationale = large_data.Rationale(caption="a dog", reasoning="more", conclusion="two dogs")
    told = lambda *_: None  # noqa: E731
    encoder = OpenClipEncoder(ENCODER)
    shelves = large_data.vectors_of([ask.gallery], encoder, cache / "large", told)
    recipe = large_models.LargeCotRecipe(rank=4, alpha=4, lr=1.0)
    cot = large_models.LargeCot(large_models.load(MODEL, torch.float32), recipe, shelves, None)
    batch = cot.batch([ask], random.Random(0))
    ids, labels, mask = (
        batch["inputs"]["input_ids"],
        batch["labels"],
        batch["inputs"]["attention_mask"],
    )
    assert (labels[0] == -100).all()  # the direct answer
    there = labels[1] != -100
    assert (labels[1][there] == ids[1][there]).all() and mask[1][there].all()
    text = cot.vlm.processor.tokenizer.decode(ids[1][there])
    spaced = text.replace(" ", "")
    assert spaced.startswith("caption:adogreasoning:moreconclusion:twodogs<emb>")
    emb = cot.vlm.processor.tokenizer.convert_tokens_to_ids(prompts.EMBED)
    assert [int(ids[row, place]) for row, place in enumerate(batch["places"])] == [emb, emb]
    # one conversation, whatever answer follows: both branches see the same picture and words
    assert torch.equal(batch["kinds"][0], batch["kinds"][1])


# --- queries and wrong pictures -----------------------------------------------------------


def test_right_pictures_are_never_shown_as_wrong(cirr, cache):
    found = asks(cirr)
    encoder = OpenClipEncoder(ENCODER)
    rng = random.Random(1)
    for mined in (False, True):
        if mined:
            told = lambda *_: None  # noqa: E731
            shelves = large_data.vectors_of([found[0].gallery], encoder, cache / "large", told)
            large_data.mine(found, encoder, shelves)
        for ask in found:
            assert bool(ask.wrong) is mined
            labelled = {i for i, value in ask.triplet.soft_targets if value > 0}
            right = {ask.triplet.reference_id, *ask.triplet.target_ids, *labelled}
            assert right <= ask.right
            wrong = ask.draw_wrong(rng, 5)
            assert len(set(wrong)) == 5 and not set(wrong) & right
    # best first by the text and the reference, three to one
    ask, shelf = found[0], shelves[found[0].gallery.name]
    text = encoder.encode_texts([ask.triplet.modification])[0]
    query = 0.75 * text + 0.25 * shelf.vector(ask.triplet.reference_id)
    scores = [float(shelf.vector(i) @ query) for i in ask.wrong]
    assert scores == sorted(scores, reverse=True)
    others = set(shelf.ids) - ask.right - set(ask.wrong)
    assert all(float(shelf.vector(i) @ query) <= scores[-1] + 1e-6 for i in others)


def test_queries_of_one_wording_share_their_targets(tmp_path):
    rows = queries(2)
    twin = {**rows[0], "target_ids": rows[1]["target_ids"][:1]}
    make_cirr(tmp_path, [rows[0], twin])
    first, second = asks(tmp_path)
    assert first.triplet.target_ids != second.triplet.target_ids
    assert first.right == second.right >= {*first.triplet.target_ids, *second.triplet.target_ids}


def test_held_out_references_are_not_trained_on(cirr):
    many = asks(cirr) * 20
    learning, held = large_data.hold_out(many, 64, 0)
    assert len(learning) + len(held) == 80 and 4 <= len(held) <= 24
    references = [{a.triplet.reference_id for a in part} for part in (learning, held)]
    assert not references[0] & references[1]
    assert large_data.hold_out(asks(cirr), 64, 0)[1] == []  # too few to spare any


def test_every_query_comes_once_an_epoch_in_batches_of_one_gallery(cirr):
    (a, b, *_) = galleries = [read_cirr(cirr, "train") for _ in range(3)]
    for number, gallery in enumerate(galleries):
        gallery.name = f"cirr-{number}"
    found = large_data.asks_of(galleries)
    first, again, second = (large_data.plan(found, 3, 7, epoch) for epoch in (0, 0, 1))
    assert first == again != second
    for batches in (first, second):
        assert sorted(x.key for some in batches for x in some) == sorted(x.key for x in found)
        assert all(len({x.gallery.name for x in some}) == 1 for some in batches)
    assert a is not b


# --- the loop -----------------------------------------------------------------------------


class Line(nn.Module):
    """An adapter in place of a real one: the mean of what it is shown."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))

    def batch(self, some, rng):
        return {"wanted": torch.tensor([float(x.wanted) for x in some])}

    def forward(self, wanted):
        return {"loss": ((self.value - wanted) ** 2).mean()}


def line(cirr, tmp_path, numbers, held=(), **given):
    def made(values):
        one = asks(cirr)[0]
        return [large_data.Ask(triplet=one.triplet, gallery=one.gallery, right=one.right,
                               wanted=str(v)) for v in values]  # fmt: skip

    adapter, saved = Line(), []
    recipe = large_models.LargeRecipe(
        **({"rank": 1, "alpha": 1, "lr": 0.1, "batch": 1, "accumulate": 2, "epochs": 6.0} | given)
    )
    facts = large_fit.fit(
        adapter, recipe, Accelerator(cpu=True, gradient_accumulation_steps=recipe.accumulate),
        made(numbers), made(held), tmp_path / "line.pt",
        save=lambda: saved.append(float(adapter.value.detach())), seed=0, seconds=None,
    )  # fmt: skip
    return facts, saved, float(adapter.value.detach())


def test_the_best_weights_on_held_out_queries_are_kept(cirr, tmp_path):
    # training goes from 0 to 1, past the 0.3 that is best for the held-out query
    facts, saved, last = line(cirr, tmp_path, [1] * 8, held=[0.3], save_every=1, epochs=12.0)
    assert facts["steps"] == 48 and last > 0.6
    assert saved and saved[-1] == pytest.approx(0.3, abs=0.06)
    assert facts["held_out"] == pytest.approx((saved[-1] - 0.3) ** 2, abs=1e-3)
    facts, saved, last = line(cirr, tmp_path / "none", [1] * 8, save_every=24)
    assert saved[-1] == last  # without held-out queries the last weights


def test_a_loss_that_is_no_number_ends_training_with_a_way_out(cirr, tmp_path):
    with pytest.raises(CirError, match=r"no number any more at step 1\. .*--set lr=0\.025"):
        line(cirr, tmp_path, [float("nan")] * 4)


# --- what cannot be had -------------------------------------------------------------------


def test_a_model_out_of_reach_is_one_clear_sentence(cirr, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for source, way in (
        ("Qwen/Qwen3-VL-2B-Instruct", '"hf download Qwen/Qwen3-VL-2B-Instruct --local-dir'),
        (str(tmp_path / "nowhere"), "Pass --model FOLDER"),
    ):
        with pytest.raises(MissingCheckpoint) as caught:
            large.run(job("judge", cirr, tmp_path / "out", cache, model=source))
        for part in (source, way, "--model FOLDER", "checkpoints/embedded/mllm"):
            assert part in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_without_an_encoder_wrong_pictures_are_random_and_it_says_so(cirr, cache, tmp_path, caplog):
    options = {"epochs": "0.1", "candidates": "2", "told": "0", "batch": "1"}
    missing = str(tmp_path / "no-encoder")
    for encoder, why in ((missing, "does not exist"), (None, "none was asked for")):
        caplog.clear()
        given = job("judge", cirr, tmp_path / "judge", cache, encoder=encoder, options=options)
        report = large.run(given)
        assert report["wrong_pictures"] == "random" and report["described"] == 0
        assert why in caplog.text and "random ones" in caplog.text
        with pytest.raises(MissingCheckpoint, match="CIR-CoT needs an encoder"):
            large.run(job("cot", cirr, tmp_path / "cot", cache, encoder=encoder))


def test_missing_pictures_stop_or_are_left_out_and_listed(tmp_path, cache):
    rows = queries(3)
    make_cirr(tmp_path / "cirr", rows)
    (tmp_path / "cirr/train/7" / f"{rows[0]['reference_id']}.png").unlink()
    given = job("judge", tmp_path / "cirr", tmp_path / "judge", cache)
    with pytest.raises(MissingPictures, match=r"1 of the .*--missing skip"):
        large.run(given)
    options = {"epochs": "0.1", "candidates": "2", "told": "0", "batch": "1"}
    report = large.run(
        job("judge", tmp_path / "cirr", tmp_path / "judge", cache, missing="skip", options=options)
    )
    assert report["missing"] == {"cirr": [rows[0]["reference_id"]]}
    assert report["queries"] == 2 and "1 queries are left out" in report["galleries"][0]


def test_a_broken_picture_is_named(tmp_path, cache):
    rows = queries(2)
    make_cirr(tmp_path / "cirr", rows)
    path = tmp_path / "cirr/train/7" / f"{rows[0]['reference_id']}.png"
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(BadInput, match=rows[0]["reference_id"]):
        large.run(job("judge", tmp_path / "cirr", tmp_path / "judge", cache))


def test_rationales_that_do_not_fit_are_told(cirr, tmp_path):
    found = asks(cirr)
    path = tmp_path / "rationales.jsonl"
    path.write_text('{"id": 1, "caption": "", "reasoning": "", "conclusion": ""}\n')
    with pytest.raises(BadInput, match="such as '100'"):
        large_data.read_rationales(path, found)
    path.write_text('{"id": 100, "caption": "a"}\n')
    with pytest.raises(BadInput, match=r"line 1: .*reasoning"):
        large_data.read_rationales(path, found)
    with pytest.raises(BadInput, match="cannot be read"):
        large_data.read_rationales(tmp_path / "none", found)


@pytest.mark.parametrize(
    ("words", "kind", "text"),
    [
        (("judge", "--profile", "photo"), BadInput, "--data DIR"),
        (("encoder", "--profile", "photo", "--data", "X"), UnknownName, "Known: cot, judge"),
        (("judge", "--data", "X", "--set", "rank"), BadInput, "NAME=VALUE"),
        (("judge", "--data", "X", "--set", "rnk=1"), UnknownName, "Did you mean 'rank'"),
        (("judge", "--data", "X", "--set", "rank=many"), BadInput, "--set rank=many"),
        (("judge", "--data", "X", "--set", "rank=0"), BadInput, "too small"),
        (("judge", "--data", "X"), MissingCheckpoint, "holds no annotations"),
    ],
)
def test_what_the_command_line_refuses(words, kind, text, capsys, tmp_path):
    words = [str(tmp_path) if word == "X" else word for word in words]
    assert main(["train", *words, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["type"] == kind.__name__ and text in error["message"]


def test_options_change_the_profile_recipe(cirr, cache, tmp_path):
    def recipe(**given):
        return large.recipe_of(job("judge", cirr, tmp_path, cache, **given))

    small = recipe(profile="photo", options={"targets": "q_proj, v_proj", "lr": "1e-3"})
    assert (small.rank, small.targets, small.lr) == (8, ("q_proj", "v_proj"), 1e-3)
    assert small.checkpointing is False
    for name in ("judge", "cot"):
        big = large.RECIPES[name]["paper"]
        assert (big.rank, big.alpha, big.batch, big.accumulate) == (128, 256, 2, 4)  # LamRA's
        assert large.RECIPES[name]["photo"].rank == 32  # Qwen3-VL-Reranker's
