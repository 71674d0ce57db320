"""What two visitors share of a language model; and the same shortcuts on another architecture."""

# ruff: noqa: F811

import threading

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from cirdemo import prompts
from cirdemo.models.mllm import VisionLanguageModel
from cirdemo.train import mllm, vocabulary
from tests.fixtures_mllm import home, pictures, vlm  # noqa: F401

YES, NO = ("Yes", "yes"), ("No", "no")


def _at_once(jobs):
    """Run each job in a thread of its own; its results, and the order in which they came."""
    order, found, start = [], {n: [] for n in range(len(jobs))}, threading.Barrier(len(jobs))

    def run(number, job):
        start.wait()
        for item in job():
            found[number].append(item)
            order.append(number)

    threads = [threading.Thread(target=run, args=job) for job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found, order


def test_two_judging_at_once_both_go_on_and_neither_gets_the_others_adapter(
    vlm, pictures, monkeypatch
):
    monkeypatch.setattr("cirdemo.models.verdicts.CHUNK", 2)
    before = [pictures[0], prompts.judge_prompt("make it white", "a white dog")]
    jobs = [
        lambda: vlm.yes_no(before, pictures, adapter="judge"),
        lambda: vlm.yes_no(before, pictures, adapter=None),
    ]
    alone = [list(job()) for job in jobs]
    together, order = _at_once(jobs)
    for number in (0, 1):
        np.testing.assert_allclose(together[number], alone[number], atol=1e-5)
    first = {number: order.index(number) for number in (0, 1)}
    last = {number: len(order) - order[::-1].index(number) for number in (0, 1)}
    assert first[0] < last[1] and first[1] < last[0]  # neither waited for the other's end


def test_judging_and_reasoning_at_once_give_what_they_give_alone(vlm, pictures):
    judged = [pictures[0], prompts.judge_prompt("make it white", "a white dog")]
    thought = [pictures[1], prompts.reason_prompt("make it white")]
    jobs = [
        lambda: [row for _ in range(4) for row in vlm.yes_no(judged, pictures, adapter="judge")],
        lambda: vlm.reason_stream(thought),
    ]
    alone = [list(job()) for job in jobs]
    together, _ = _at_once(jobs)
    np.testing.assert_allclose(together[0], alone[0], atol=1e-5)
    assert [text for text, _ in together[1]] == [text for text, _ in alone[1]]
    np.testing.assert_allclose(together[1][-1][1], alone[1][-1][1], atol=1e-5)


@pytest.fixture(scope="module")
def deep():
    """Qwen3-VL, whose vision tower also speaks to the first layers of the language model."""
    tokenizer = vocabulary.chat_tokenizer()
    ids = {n: tokenizer.convert_tokens_to_ids(f"<|{n}|>") for n in mllm.SPECIAL}
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [2, 3, 3],
            },
        },
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 16,
            "out_hidden_size": 64,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
        },
        image_token_id=ids["image_pad"],
        video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
    )
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(config)
    for name, weight in model.named_parameters():  # so that every path moves the answer
        if "deepstack" in name or "visual" in name:
            torch.nn.init.normal_(weight, std=0.3)
    frame = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}
    size = {"shortest_edge": 64 * 64, "longest_edge": 64 * 64}
    processor = Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**frame, size=size),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(**frame, size=size),
        chat_template=tokenizer.chat_template,
    )
    processor.tokenizer.padding_side = "left"
    return VisionLanguageModel(model, processor, "deep")


def test_qwen3_vl_judges_from_a_shared_prefix_as_from_whole_turns(deep, pictures, monkeypatch):
    before = [pictures[0], prompts.judge_prompt("make it white", "a white dog")]
    found = [margin for _, margin in deep.yes_no(before, pictures[:5])]
    plain = []
    vocab = deep.processor.tokenizer.get_vocab()
    for picture in pictures[:5]:
        inputs = deep.inputs([[*before, picture]])
        with torch.inference_mode():
            deep.model.model.rope_deltas = None
            logits = deep.model(**inputs).logits[0, -1].double()
        yes, no = (logits[[vocab[w] for w in ws]].logsumexp(0) for ws in (YES, NO))
        plain.append(float(yes - no))
    whole = deep.pictures.get
    monkeypatch.setattr(deep.pictures, "get", lambda images: [f[:1] for f in whole(images)])
    without = [margin for _, margin in deep.yes_no(before, pictures[:5])]
    np.testing.assert_allclose(found, plain, atol=1e-4)
    assert np.abs(np.subtract(found, without)).max() > 1e-3  # what was dropped before counts


def test_qwen3_vl_writes_and_keeps_pictures_by_content(deep, pictures):
    first = deep.features([pictures[3]])[0]
    assert deep.features([pictures[3].copy()])[0] is first
    odd = Image.new("RGB", (64, 32), "red")
    assert len(deep.pictures.get([odd, pictures[3]])[1]) == 3  # its tokens and two deeper layers
    assert isinstance(deep.generate([[pictures[0], "describe"]], max_new_tokens=3)[0], str)
