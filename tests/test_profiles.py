"""The profiles of published models: found under their names, whole searches, plain refusals."""

# ruff: noqa: F811

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    BertTokenizerFast,
    Blip2Config,
    Blip2ForImageTextRetrieval,
    Blip2Processor,
    BlipImageProcessor,
)

from cirdemo import prompts
from cirdemo.builder import build_engine, preprocessing
from cirdemo.cli import main
from cirdemo.config import Settings
from cirdemo.data import folder
from cirdemo.models.loading import Placement
from cirdemo.models.mllm import VisionLanguageModel
from cirdemo.types import (
    BadInput,
    CirError,
    Encoder,
    MissingCheckpoint,
    SpaceMismatch,
    UnknownName,
)
from tests.fixtures_benchmarks import FABLES, make_cirr, queries
from tests.fixtures_hub import COMMIT, hub, hub_cache, language_model, use  # noqa: F401
from tests.fixtures_server import as_json, serving

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos"


def photographs(tmp_path, count=6):
    """A folder of photographs: the shared ones where they are, else noise of several shapes."""
    if PHOTOS.is_dir():
        return PHOTOS / "nlvr2_cc"
    rng = np.random.default_rng(0)
    place = tmp_path / "noise"
    place.mkdir()
    for n in range(count):
        noise = rng.integers(0, 256, (9, 7 + n, 3), np.uint8)
        Image.fromarray(noise).resize((90 + 20 * n, 120)).save(place / f"{n}.png")
    return place


def engine_of(tmp_path, profile, **given):
    return build_engine(
        Settings(
            profile=profile,
            checkpoints=tmp_path / "checkpoints",
            assets=tmp_path,
            cache=tmp_path / "cache",
            pixels=64 * 64,
            **given,
        )
    )


def searched(engine, tmp_path, **options):
    """The last result of a search among photographs, over a gallery built for it."""
    pictures = folder.pictures_at(photographs(tmp_path))
    *_, last = engine.index("mine", pictures)
    assert last.report.pictures >= 4
    shelf = engine.gallery("mine")
    query = engine.make_query(text="at night", reference_id=shelf.ids[0], gallery="mine")
    *_, result = engine.search(query, gallery="mine", rerank=3, **options)
    return result


@pytest.mark.parametrize("profile", ["photo", "paper"])
def test_a_profile_searches_photographs_end_to_end(hub, tmp_path, profile):
    engine = engine_of(tmp_path, profile)
    runs = {name for name, why in engine.methods().items() if why is None}
    assert {"text", "image", "union", "intersection", "setr", "oti", "rrf:"} - runs == {"rrf:"}
    result = searched(engine, tmp_path)
    assert result.stage == "reason"
    shelf = engine.gallery("mine")
    assert shelf.space.endswith(f"@{COMMIT[:12]}")
    for method in ("union", "intersection"):
        assert len(result.coarse[method].candidates) == len(shelf.ids) - 1
    assert len(result.judgements) == 3
    assert all(0 < j.yes_probability < 1 for j in result.judgements.values())
    judge = result.models["judge"]
    assert judge.startswith("Qwen3-VL-Reranker-2B@" if profile == "photo" else "Qwen2.5-VL-7B")
    (told,) = [n for n in result.notices if "reasoning" in n]
    assert f"train cot --profile {profile}" in told and "'embedded' has them" in told
    maps = engine.explain(shelf.image(shelf.ids[0]), ["a dog", "night"], shelf.ids[0])
    assert [m.values.shape for m in maps] == [(2, 2) if profile == "photo" else (3, 3)] * 2


def test_settings_take_other_models_and_other_numbers(hub, tmp_path):
    own = language_model("qwen3_5", tmp_path / "own")
    engine = engine_of(
        tmp_path, "photo", mllm=str(own), reranker="none", dtype="float32", attention="eager"
    )
    judge = engine.parts.judge.get()
    model = judge.mllm.model
    assert judge.adapter is None and judge.mllm.identity.startswith("own@")
    assert model.dtype == torch.float32 and model.config._attn_implementation == "eager"
    assert engine_of(tmp_path, "photo").parts.judge.get().mllm.model.dtype == torch.bfloat16
    for wrong in ({"dtype": "int8"}, {"attention": "fast"}, {"preprocess": "pad"}):
        with pytest.raises(UnknownName, match="Known"):
            Settings(**wrong)
    with pytest.raises(BadInput, match="pixels"):
        Settings(pixels=0)


# --- one class each -------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl", "qwen3_5"])
def model(request, tmp_path_factory):
    home = language_model(request.param, tmp_path_factory.mktemp(request.param))
    return VisionLanguageModel.load(str(home), {}, Placement(pixels=64 * 64))


def pictures(count):
    rng = np.random.default_rng(1)
    sides = [(90, 60), (60, 90), (64, 64), (90, 60)]
    return [
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize(sides[n % 4])
        for n in range(count)
    ]


def test_every_class_writes_and_judges_as_transformers_does(model, monkeypatch):
    shown = pictures(5)
    before = [shown[0], prompts.judge_prompt("at night", "a dog at night")]
    begun, cache = [], model.cache
    monkeypatch.setattr(model, "cache", lambda: begun.append(cache()) or begun[-1])
    found = [margin for _, margin in model.yes_no(before, shown[1:])]
    assert len({p.size for p in shown[1:]}) == 3 and len(begun) == 1  # it ran once for all
    monkeypatch.undo()
    vocab = model.processor.tokenizer.get_vocab()
    plain = []
    for picture in shown[1:]:
        inputs = model.inputs([[*before, picture]])
        with torch.inference_mode():
            model.core().model.rope_deltas = None
            logits = model.model(**inputs).logits[0, -1].double()
        spelt = ("yes", "Yes", "Ġyes", "ĠYes"), ("no", "No", "Ġno", "ĠNo")
        yes, no = (logits[[vocab[w] for w in ws if w in vocab]].logsumexp(0) for ws in spelt)
        plain.append(float(yes - no))
    np.testing.assert_allclose(found, plain, atol=1e-4)
    assert np.ptp(plain) > 1e-4  # the pictures are told apart
    asked = [prompts.judge_prompt(t, t) for t in ("a dog", "a cat at night")]
    one_by_one = [
        margin for text in asked for _, margin in model.yes_no([shown[0], text], [shown[1]])
    ]
    np.testing.assert_allclose(model.ask(shown[0], asked, shown[1]), one_by_one, atol=1e-4)
    first, second = model.generate([[shown[0], "say"], [shown[1], "say more"]], max_new_tokens=4)
    assert isinstance(first, str) and isinstance(second, str)
    assert model.inputs([[Image.new("RGB", (900, 600)), "say"]])["image_grid_thw"].prod() <= 16 * 4


def test_every_class_takes_kept_picture_tokens_as_it_takes_pixels(model, monkeypatch):
    shown = pictures(3)
    turns = [[shown[0], "yes or no", shown[1]], ["say", shown[2], "say <|image_pad|> more"]]
    inputs, laid = model.inputs(turns), model.laid_out(turns)
    assert inputs.pop("pixel_values") is not None
    kept = laid.pop("mm_encoder_outputs")
    assert laid.keys() == inputs.keys()
    for name, value in inputs.items():
        assert torch.equal(laid[name], value) and laid[name].dtype == value.dtype, name
    assert [len(t) for t in kept["image"].pooler_output] == [
        int(g) // 4 for g in inputs["image_grid_thw"].prod(1)
    ]
    mine = model.generate(turns, max_new_tokens=6)
    monkeypatch.setattr(model, "laid_out", model.inputs)
    assert mine == model.generate(turns, max_new_tokens=6)
    monkeypatch.undo()
    monkeypatch.setattr("cirdemo.models.layout.KNOWN", set())  # as an unknown processor does it
    for name, value in model.laid_out(turns).items():
        assert name not in laid or torch.equal(laid[name], value), name


def test_a_reranker_is_asked_in_its_own_frame(hub_cache, tmp_path):
    from cirdemo.profiles import PROFILES
    from cirdemo.rerank import RerankerJudge
    from cirdemo.types import Query
    from tests.fixtures_hub import cached

    home = cached(hub_cache, PROFILES["photo"].reranker)
    vlm = VisionLanguageModel.load(str(home), {}, Placement(pixels=64 * 64))
    judge = RerankerJudge(vlm)
    shown = pictures(3)
    query = Query(query_id="q", reference=shown[0], modification="at night")
    found = list(judge.judge(query, [("a", shown[1]), ("b", shown[2])], "not used"))
    asked = [
        {"role": "system", "content": [{"type": "text", "text": prompts.RERANKER}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": f"<Instruct>: {prompts.INSTRUCT}"},
                {"type": "text", "text": "<Query>:"},
                {"type": "image", "image": shown[0]},
                {"type": "text", "text": "at night"},
                {"type": "text", "text": "\n<Document>:"},
                {"type": "image", "image": shown[2]},
            ],
        },
    ]
    inputs = vlm.processor.apply_chat_template(
        [asked], tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    with torch.no_grad():
        state = vlm.model.model(**inputs).last_hidden_state[0, -1]
    vocab = vlm.processor.tokenizer.get_vocab()
    head = vlm.model.lm_head.weight.detach()
    score = float(torch.sigmoid(state @ (head[vocab["yes"]] - head[vocab["no"]])))
    assert found[1].yes_probability == pytest.approx(score, abs=1e-5)
    assert [j.image_id for j in found] == ["a", "b"]
    assert judge.identity.startswith(vlm.identity)


@pytest.fixture(scope="module")
def blip2(tmp_path_factory):
    """BLIP-2's retrieval class at small size, in its published layout."""
    home = tmp_path_factory.mktemp("blip2-itm")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "cat", "at", "night"]
    (home / "vocab.txt").write_text("\n".join(words))
    small = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2}
    config = Blip2Config(
        vision_config=small | {"num_hidden_layers": 2, "image_size": 32, "patch_size": 8},
        qformer_config=small
        | {"num_hidden_layers": 2, "encoder_hidden_size": 32, "vocab_size": len(words) + 1}
        | {"use_qformer_text_input": True, "pad_token_id": 0},
        text_config={"model_type": "opt", "num_hidden_layers": 1, "hidden_size": 16}
        | {"ffn_dim": 16, "num_attention_heads": 2, "vocab_size": 32, "word_embed_proj_dim": 16},
        num_query_tokens=4,
        image_text_hidden_size=24,
    )
    torch.manual_seed(0)
    model = Blip2ForImageTextRetrieval(config)
    torch.nn.init.normal_(model.query_tokens)
    model.save_pretrained(home)
    frame = BlipImageProcessor(size={"height": 32, "width": 32})
    Blip2Processor(frame, BertTokenizerFast(vocab=str(home / "vocab.txt"))).save_pretrained(home)
    return home


def test_the_q_former_of_blip_2_is_an_encoder(blip2, hub, tmp_path):
    engine = engine_of(tmp_path, "photo", encoder=str(blip2))
    encoder = engine.parts.encoder.get()
    assert isinstance(encoder, Encoder) and encoder.dim == 24
    shown, texts = pictures(3), ["a dog", "a cat at night"]
    images, words = encoder.encode_images(shown), encoder.encode_texts(texts)
    processor, model = encoder.processor, encoder.model
    inputs = processor(images=shown, text=[*texts, "a dog"], padding=True, return_tensors="pt")
    with torch.no_grad():
        out = model(**inputs)
    per_query = torch.nn.functional.normalize(out.image_embeds, dim=-1).numpy()  # (3, 4, 24)
    mean = per_query.mean(1) / np.linalg.norm(per_query.mean(1), axis=1, keepdims=True)
    np.testing.assert_allclose(images, mean, atol=1e-5)
    plain = out.text_embeds.reshape(3, -1)[:2].numpy()
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    np.testing.assert_allclose(words, plain, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_texts(texts[:1]), words[:1], atol=1e-5)
    result = searched(engine, tmp_path, reason=False)
    assert result.coarse["intersection"].candidates and len(result.judgements) == 3
    frame = preprocessing(Settings(profile="photo", encoder=str(blip2)))  # no weights
    np.testing.assert_array_equal(frame.pixels(shown), inputs["pixel_values"].numpy())
    assert frame.about == encoder.preprocessing
    with pytest.raises(CirError, match="no heatmap"):
        encoder.encode_patches(shown[0])
    with pytest.raises(MissingCheckpoint, match="hf download Salesforce/blip2-itm-vit-g"):
        engine_of(tmp_path, "photo", encoder="Salesforce/blip2-itm-vit-g").parts.encoder.get()


# --- adapters -------------------------------------------------------------------------------


@pytest.mark.parametrize(("profile", "name"), [("photo", "judge"), ("paper", "cot")])
def test_what_train_writes_is_picked_up(hub, tmp_path, capsys, monkeypatch, profile, name):
    data = tmp_path / "cirr"
    make_cirr(data, queries(4))
    for where in ("cache", "checkpoints"):
        monkeypatch.setenv(f"CIRDEMO_{where.upper()}", str(tmp_path / where))
    small = ["rank=2", "epochs=0.1", "batch=1", "candidates=2", "told=0", "checkpointing=false"]
    if name == "cot":
        small = [s for s in small if s.split("=")[0] not in ("candidates", "told")]
    line = ["train", name, "--profile", profile, "--data", str(data), "--device", "cpu"]
    line += ["--out", str(tmp_path / "checkpoints" / profile / name)]
    assert main([*line, *(w for s in small for w in ("--set", s))]) == 0
    engine = engine_of(tmp_path, profile)
    result = searched(engine, tmp_path)
    judge = engine.parts.judge.get()
    if name == "judge":
        assert judge.adapter == "judge" and list(judge.mllm.adapters) == ["judge"]
        assert result.models["judge"].startswith("Qwen3-VL-2B-Instruct@")
        assert len(result.judgements) == 3
    else:
        assert result.rationale is not None and "cot" in result.coarse
        padded = engine_of(tmp_path, profile, preprocess="targetpad")
        with pytest.raises(SpaceMismatch, match=r"'cot'.*targetpad"):
            padded.composer("cot")
    other = engine_of(tmp_path, profile, mllm=str(language_model("qwen3_5", tmp_path / "other")))
    assert other.parts.judge.get().mllm.adapters == {}
    other = VisionLanguageModel  # the same adapter under a model of another width
    wide = str(FABLES.parents[2] / "checkpoints/embedded/mllm")
    folder_ = str(tmp_path / "checkpoints" / profile / name)
    with pytest.raises(MissingCheckpoint, match=rf"'{name}'.*(does|do) not fit"):
        other.load(wide, {name: folder_})


# --- what is not there ----------------------------------------------------------------------


@pytest.mark.parametrize(("profile", "size"), [("photo", "0.6 GiB"), ("paper", "1.6 GiB")])
def test_an_empty_cache_without_a_network_says_what_to_do(tmp_path, monkeypatch, profile, size):
    use(tmp_path / "empty", monkeypatch)
    engine = engine_of(tmp_path, profile)
    for name in ("text", "union", "setr"):
        said = engine.methods()[name]
        for part in (size, '"hf download laion/CLIP-ViT', "--with encoder=FOLDER", "--profile emb"):
            assert part in said, said
        assert "\n" not in said
    with pytest.raises(MissingCheckpoint, match="hf download"):
        engine.parts.encoder.get()


def test_a_hub_that_fails_on_the_way_says_the_same(tmp_path, monkeypatch):
    use(tmp_path / "empty", monkeypatch)
    monkeypatch.setattr("cirdemo.hub.is_offline_mode", lambda: False)
    engine = engine_of(tmp_path, "photo")
    assert engine.methods()["union"] is None  # it would be fetched
    for part in (engine.parts.encoder, engine.parts.judge, engine.parts.composers["union"]):
        with pytest.raises(MissingCheckpoint, match=r'GiB.*"hf download .*--profile embedded'):
            part.get()


# --- doctor ---------------------------------------------------------------------------------


def test_doctor_says_of_each_profile_what_it_needs_and_why_not(hub, tmp_path, monkeypatch):
    from cirdemo import fitness
    from cirdemo.profiles import WEIGHTS

    monkeypatch.setattr(fitness, "_online", lambda: False)
    monkeypatch.setattr(fitness, "memory", lambda key: 11.0)
    told = fitness.fitness(Settings())
    assert list(told) == ["embedded", "photo", "paper", "remote"]
    assert told["embedded"]["runs"] and told["embedded"]["memory_gib"] < 2
    photo = told["photo"]  # its weights are in the cache
    assert photo["runs"] and photo["download_gib"] == 0
    exact = 2 * WEIGHTS["Qwen/Qwen3-VL-2B-Instruct"].parameters * 2
    exact += WEIGHTS[photo["models"]["encoder"]["source"]].parameters * 4
    assert photo["memory_gib"] == pytest.approx(1.0 + exact / 2**30, abs=0.06)
    (why,) = told["paper"]["why_not"]
    assert "GiB of memory, 11.0 GiB are free" in why
    assert fitness.fitness(Settings(quantisation="4bit"))["paper"]["runs"]
    assert fitness.fitness(Settings(reranker="none"))["photo"]["memory_gib"] < 6.0
    assert "no server is named" in told["remote"]["why_not"][0]
    there = fitness.fitness(Settings(device="cuda:7"))["photo"]["why_not"]
    assert "device 'cuda:7' is not there" in there
    use(tmp_path / "empty", monkeypatch)
    monkeypatch.setattr(fitness, "_free_disk", lambda: 5.0)
    bare = fitness.fitness(Settings())
    assert "hf download Qwen/Qwen3-VL-2B-Instruct" in " ".join(bare["photo"]["why_not"])
    assert any("8.5 GiB of disk, 5.0 GiB are free" in w for w in bare["photo"]["why_not"])
    with serving(lambda *_: as_json({})) as address:
        given = Settings(remote=address, encoder=str(Path(FABLES).parents[2] / "checkpoints"))
        assert fitness.fitness(given)["remote"]["runs"]
    assert "does not answer" in fitness.fitness(given)["remote"]["why_not"][0]
