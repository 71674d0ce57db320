"""`build_engine`: the only module that makes concrete parts."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cirdemo.captions import Captions
from cirdemo.config import Settings, use_threads
from cirdemo.engine import Engine
from cirdemo.gallery.own import Home, Own
from cirdemo.methods import COT, DATASETS, DPO, FUSIONS, METHODS, MODES
from cirdemo.parts import Part, Parts
from cirdemo.profiles import ON_ENCODER, PROFILES
from cirdemo.registry import load
from cirdemo.shelves import Shelves
from cirdemo.sources import Sources
from cirdemo.types import (
    CirError,
    Composer,
    Dataset,
    Encoder,
    Fusion,
    MissingCheckpoint,
    Reranker,
    SpaceMismatch,
)

if TYPE_CHECKING:
    from PIL import Image

    from cirdemo.gallery.store import Gallery
    from cirdemo.models.mllm import VisionLanguageModel
    from cirdemo.models.preprocessing import Preprocessing

log = logging.getLogger(__name__)


def build_engine(settings: Settings) -> Engine:
    """The engine of a profile; loads nothing until a query needs it."""
    use_threads(settings.threads)
    return Engine(_Builder(settings).parts())


def preprocessing(settings: Settings) -> Preprocessing:
    """What the profile's encoder does to pictures, from its configuration; loads no weights.

    Raises:
        MissingCheckpoint: The configuration is not here and cannot be fetched.
    """
    return _Builder(settings).preprocessing()


def make_encoder(settings: Settings) -> Encoder:
    """The encoder alone, in another process; one thread, as many such processes run at once."""
    return build_engine(replace(settings, threads=1)).parts.encoder.get()


def _fusion(name: str, *members: tuple[str, ...]) -> Fusion:
    """A fusion, of the members it is given or its own."""
    fusion: Fusion = METHODS.load(name)(*members)
    return fusion


class _Builder:
    """Makes the parts of one profile; each model is loaded once and shared."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.profile, self.sources = PROFILES[settings.profile], Sources(settings)
        self.encoder: Part[Encoder] = Part(self._encoder, lambda: self.sources.missing("encoder"))
        self.mllm: Part[VisionLanguageModel] = Part(
            self._mllm, lambda: self.sources.missing("mllm")
        )
        self.captions: Part[Captions] = Part(lambda: Captions(self.mllm.get()))

    def parts(self) -> Parts:
        """All parts, none of them loaded."""
        home = self.settings.assets / "galleries"
        names = [n for n in DATASETS if (home / n).is_dir()]
        datasets = {n: Part(functools.partial(self._dataset, n)) for n in names}
        shipped = {n: Part(functools.partial(self._gallery, n, datasets[n])) for n in names}
        own = Own(self.settings.galleries or self.settings.cache / "own-galleries")
        return Parts(
            encoder=self.encoder,
            make_encoder=functools.partial(make_encoder, self.settings),
            composers={n: self._composer(n) for n in METHODS if n not in FUSIONS},
            fusions={n: functools.partial(_fusion, n) for n in FUSIONS},
            galleries=Shelves(shipped, own, self._own_gallery),
            own=own,
            manifests=self.settings.assets / "fetch",
            datasets=datasets,
            judge=Part(
                self._judge,
                lambda: self.sources.missing("mllm") or self.sources.missing("judge"),
            ),
            captioner=Part(self._captioner, lambda: self.sources.missing("mllm")),
            heatmaps=self._heatmaps,
            unknown_words=self._unknown_words,
            is_familiar=lambda image: self.encoder.get().is_familiar(image),  # type: ignore[attr-defined]
            about={
                "profile": self.settings.profile,
                "purpose": self.profile.purpose,
                "data": str(self.settings.data or ""),
                "judge": self.sources.of("judge") if self.sources.tuned("judge") else "",
            },
        )

    # --- models ----------------------------------------------------------------------------

    def _encoder(self) -> Encoder:
        source = self.sources.require("encoder")
        encoder: Encoder
        if not self.sources.ships("encoder") and load("cirdemo.models.blip2:is_blip2")(source):
            encoder = load("cirdemo.models.blip2:Blip2Encoder")(source, device=self.settings.device)
            return encoder
        encoder = load("cirdemo.models.encoders:OpenClipEncoder")(
            source, device=self.settings.device, target_pad=self.settings.preprocess == "targetpad"
        )
        return encoder

    def preprocessing(self) -> Preprocessing:
        source = self.sources.of("encoder")
        found: Preprocessing
        if not self.sources.ships("encoder") and load("cirdemo.models.blip2:is_blip2")(source):
            found = load("cirdemo.models.blip2:preprocessing_of")(source)
            return found
        found = load("cirdemo.models.encoders:preprocessing_of")(
            source, target_pad=self.settings.preprocess == "targetpad"
        )
        return found

    def _mllm(self) -> VisionLanguageModel:
        source = self.sources.require("mllm")
        if self.settings.remote:
            remote: VisionLanguageModel = load("cirdemo.models.remote:RemoteModel")(self.settings)
            return remote
        adapters = {r: self.sources.of(r) for r in self.profile.adapters if self.sources.tuned(r)}
        model: VisionLanguageModel = load("cirdemo.models.mllm:VisionLanguageModel").load(
            source, adapters, self._placement("mllm")
        )
        return model

    def _placement(self, role: str) -> Any:
        """Where a language model runs; the shipped ones are small and read one size of picture."""
        settings = self.settings
        own = self.sources.ships(role)
        return load("cirdemo.models.loading:Placement")(
            device=settings.device,
            dtype="float32" if own and settings.dtype == "auto" else settings.dtype,
            device_map=settings.device_map,
            attention=settings.attention,
            quantisation=settings.quantisation,
            pixels=0 if own else settings.pixels,
        )

    def _judge(self) -> Reranker:
        """The server's, the adapter's, the reranking model's, or the language model as it is."""
        if (reason := self.sources.missing("judge")) is not None:
            raise MissingCheckpoint(reason)
        judge: Reranker
        if self.settings.remote:
            judge = load("cirdemo.rerank:RemoteJudge")(
                self.mllm.get(), prior=self.settings.judge_prior, captions=self.captions.get()
            )
            return judge
        given = self.settings.reranker not in ("", "none")
        if self.sources.of("reranker") and (given or not self.sources.tuned("judge")):
            model = load("cirdemo.models.mllm:VisionLanguageModel").load(
                self.sources.require("reranker"), {}, self._placement("reranker")
            )
            judge = load("cirdemo.rerank:RerankerJudge")(model, prior=self.settings.judge_prior)
            return judge
        tuned = self.sources.tuned("judge")
        folder = Path(self.sources.of("judge")) if tuned else Path()
        judge = load("cirdemo.rerank:YesNoJudge")(
            self.mllm.get(),
            adapter="judge" if tuned else None,
            calibration=load("cirdemo.rerank:Calibration").load(folder) if tuned else None,
            prior=self.settings.judge_prior,
            captions=self.captions.get(),
        )
        return judge

    def _composer(self, name: str) -> Part[Composer]:
        def make() -> Composer:
            kind = METHODS.load(name)
            encoder = self.encoder.get()
            if name in MODES:
                writer = load("cirdemo.describe:MLLMWriter")(self.mllm.get(), self.captions.get())
                composer: Composer = kind(name, writer, encoder)
            elif name in COT:
                self._check_space(self.sources.require("cot"), encoder.space)
                # an adapter of the user's own was taught its own way of captioning
                told = self.captions.get() if self.profile.shipped else None
                reasoner = load("cirdemo.reason:Reasoner")(self.mllm.get(), told)
                composer = kind(reasoner, space=encoder.space)
            elif name in (*ON_ENCODER, "oti"):
                composer = self._on_encoder(name, encoder)
            else:
                composer = kind(encoder)
            return composer

        roles = dict.fromkeys(COT, ("encoder", "mllm", "cot")) | dict.fromkeys(
            MODES, ("encoder", "mllm")
        )
        roles |= {n: ("encoder", n) for n in ON_ENCODER}
        needs = roles.get(name, ("encoder",))
        return Part(make, lambda: next(filter(None, map(self.sources.missing, needs)), None))

    def _check_space(self, folder: str, space: str) -> None:
        """Refuse an adapter `cot` whose vectors were trained for another encoder."""
        meta = Path(folder) / "meta.json"
        facts = json.loads(meta.read_text(encoding="utf-8")) if meta.is_file() else {}
        trained = facts.get("encoder")
        if isinstance(trained, str) and trained != space:
            raise SpaceMismatch(
                f"The adapter 'cot' at {folder} was trained for the space {trained!r}, the encoder "
                f"is of {space!r}. Use that encoder, or train the adapter again."
            )

    def _on_encoder(self, name: str, encoder: Any) -> Composer:
        """A method that opens the encoder up, with its own weights where it has some."""
        kind, made = METHODS.load(name), "cirdemo.models.trained:"
        folder = self.sources.require(name) if name in ON_ENCODER else ""
        composer: Composer
        if name == "qformer":
            composer = kind(encoder, load(made + "load_qformer")(folder, encoder.space))
        elif name in DPO:
            tuned = load(made + "load_tuned_tower")
            composer = kind(encoder, tuned(encoder.model, folder, name, encoder.space))
        else:
            tower = load("cirdemo.models.fusion:TextTower")(encoder.model)
            phi = (load(made + "load_inverter")(folder, encoder.space),) if folder else ()
            composer = kind(encoder, tower, *phi)
        return composer

    def _captioner(self) -> Callable[[Sequence[Image.Image]], list[str]]:
        model: Any = self.mllm.get()
        if not hasattr(model, "caption"):
            raise CirError("This language model has no way to caption a picture.")
        caption: Callable[[Sequence[Image.Image]], list[str]] = model.caption
        return caption

    def _heatmaps(self, encoder: Encoder, image: Image.Image, texts: Any, image_id: str) -> Any:
        return load("cirdemo.explain.heatmaps:similarity_maps")(encoder, image, texts, image_id)

    def _unknown_words(self, text: str) -> tuple[str, ...]:
        """Words that the encoder or, where it is there, the language model has never seen."""
        words: list[str] = list(self.encoder.get().unknown_words(text))  # type: ignore[attr-defined]
        if self.sources.missing("mllm") is None:
            with contextlib.suppress(CirError):  # told by the stage that needs the model
                words += self.mllm.get().unknown_words(text)
        return tuple(dict.fromkeys(words))

    # --- galleries -------------------------------------------------------------------------

    def _dataset(self, name: str) -> Dataset:
        dataset: Dataset = DATASETS.load(name)(self.settings.assets / "galleries" / name)
        return dataset

    def _own_gallery(self, home: Home) -> Gallery:
        gallery: Gallery = load("cirdemo.gallery.opened:open_own")(home, self.encoder.get().space)
        return gallery

    def _gallery(self, name: str, dataset: Part[Dataset]) -> Gallery:
        """The shipped vectors if they are of the encoder's space, else vectors built once here."""
        encoder = self.encoder.get()
        safe = "".join(c if c.isalnum() else "-" for c in encoder.space)
        shipped = self.settings.checkpoints / self.settings.profile / "galleries" / name
        built = self.settings.cache / "galleries" / safe / name
        open_gallery = load("cirdemo.gallery.store:Gallery").open
        for folder in (shipped, built):
            if folder.is_dir():
                try:
                    gallery: Gallery = open_gallery(folder, dataset.get())
                    if gallery.space == encoder.space:
                        return gallery
                    log.info("%s is of space %s, not %s", folder, gallery.space, encoder.space)
                except CirError as error:
                    log.warning("%s", error)
        log.info("building gallery %s in %s", name, built)
        gallery = load("cirdemo.gallery.build:build")(
            dataset.get(), encoder, built, lambda done, of: log.info("%d of %d", done, of)
        )
        return gallery
