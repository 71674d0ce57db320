"""Weights and settings from a folder: taken by exact lists, or refused with the entry's name.

Nothing here unpickles, imports by a name from a file, or lets a file say how much memory to take:
safetensors bounds offsets, not the number of tensors, and PEFT and transformers act on settings
that a folder brings along. So a folder may only say what this program would have said itself.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from peft import LoraConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor

from cirdemo import prompts
from cirdemo.types import MissingCheckpoint

HEADER_BYTES = 8 << 20  # of a safetensors header; that of a 7-billion-parameter shard has 100 kB
TENSORS = 5_000  # in one file; the largest model here has 1,200
DTYPES = frozenset("F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL F8_E4M3 F8_E5M2".split())
RANKS = range(1, 257)  # of a LoRA adapter
LARGEST = 65_536  # of a size in a configuration; the largest vocabulary here has 49,408
SETTINGS_BYTES = 1 << 20  # of a JSON file
TEMPLATE_CHARACTERS = 64_000
LOOPS = 4  # inside one another in a chat template
# lists that say which code to run; refused wherever they stand, whatever they hold
CODE_KEYS = re.compile(
    r"auto_map(ping)?|trust_remote_code|custom_pipelines?|.*_internal|megatron_.*"
)
PLAIN = {"megatron_core": "megatron.core", "auto_mapping": None, "megatron_config": None}
# of adapter_config.json: what a recipe may choose; any other entry must be as PEFT's own default
CHOSEN = frozenset(
    "r lora_alpha lora_dropout target_modules bias base_model_name_or_path inference_mode "
    "use_rslora peft_version task_type revision qalora_group_size".split()
)
TARGET = re.compile(r"[\w.*\\|()?+-]{1,400}")
REPEATED = re.compile(r"[*+?]\)?[*+]")  # a pattern that takes exponential time


def check_file(path: Path, role: str) -> dict[str, tuple[int, ...]]:
    """The names and shapes in a safetensors file, told by its content whatever its name.

    Raises:
        MissingCheckpoint: It is none, or larger than any model here needs.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(8)
            (length,) = struct.unpack("<Q", start)
            if length > min(HEADER_BYTES, size - 8):
                raise ValueError(f"its header claims {length:,} bytes")
            header = json.loads(stream.read(length))
        found = {name: told for name, told in header.items() if name != "__metadata__"}
        if len(found) > TENSORS:
            raise ValueError(f"it holds {len(found):,} tensors, at most {TENSORS:,} are taken")
        for name, told in found.items():
            if told["dtype"] not in DTYPES:
                raise ValueError(f"{name!r} is of kind {told['dtype']!r}")
        return {name: tuple(int(n) for n in told["shape"]) for name, told in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as fault:
        raise MissingCheckpoint(
            f"{path.name} of {role!r} in {path.parent} is not a safetensors file that can be "
            f"taken: {fault}. Save the weights as safetensors; no other kind is read."
        ) from fault


def load_exact(
    path: Path, role: str, wanted: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, Tensor]:
    """The tensors of a file that holds these names and shapes, and no others; all finite.

    Without `wanted` the network that they are put into compares names and shapes.

    Raises:
        MissingCheckpoint: A name is missing, extra or of another shape, or a value is not finite.
    """
    found = check_file(path, role)
    wanted = found if wanted is None else wanted
    wrong = ""
    if lost := sorted(wanted.keys() - found.keys()):
        wrong = f"{lost[0]!r} is missing"
    elif more := sorted(found.keys() - wanted.keys()):
        wrong = f"{more[0]!r} belongs to no layer"
    elif other := [n for n in sorted(found) if found[n] != tuple(wanted[n])]:
        wrong = f"{other[0]!r} has shape {found[other[0]]}, wanted {tuple(wanted[other[0]])}"
    weights = {} if wrong else _load(path, role)
    if odd := [n for n, t in weights.items() if t.is_floating_point() and not _finite(t)]:
        wrong = f"{odd[0]!r} holds values that are not finite"
    if wrong:
        raise MissingCheckpoint(
            f"The weights of {role!r} in {path.parent} do not fit: {wrong}. Train it again with "
            f'"python -m cirdemo train {role}", or pick another method or profile.'
        )
    return weights


def _load(path: Path, role: str) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except Exception as fault:  # safetensors has its own; offsets that overlap or lead out
        raise MissingCheckpoint(
            f"{path.name} of {role!r} in {path.parent} is damaged ({fault}). "
            "Fetch or train it anew."
        ) from fault


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def read_settings(path: Path, role: str) -> dict[str, Any]:
    """A JSON object of settings that names no code to run.

    Raises:
        MissingCheckpoint: It is none, too long, or has such an entry; the text names it.
    """
    try:
        if path.stat().st_size > SETTINGS_BYTES:
            raise ValueError("it is longer than 1 MB")
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")
        _no_code(found)
    except (OSError, ValueError, RecursionError) as fault:
        raise MissingCheckpoint(
            f"{path.name} of {role!r} in {path.parent} cannot be used: {fault}. Remove the entry, "
            "or fetch or train the folder anew."
        ) from fault
    return found


def _no_code(value: object) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            default = PLAIN.get(str(key), inner) == inner and key in PLAIN
            if CODE_KEYS.fullmatch(str(key)) and not default:
                raise ValueError(f"its entry {key!r} names code")
            _no_code(inner)
    elif isinstance(value, list):
        for inner in value:
            _no_code(inner)


def adapter_config(folder: Path, role: str) -> LoraConfig:
    """The LoRA settings of a folder, made here from the entries that a recipe may choose.

    Raises:
        MissingCheckpoint: An entry is none that a recipe chooses, or out of bounds; it is named.
    """
    found = read_settings(folder / "adapter_config.json", role)
    usual = LoraConfig().to_dict()
    wrong = ""
    for key, value in found.items():
        blank = value in (None, False, {}, [])
        default = key in usual and value == getattr(usual[key], "value", usual[key])
        if key not in CHOSEN and key not in ("peft_type",) and not blank and not default:
            wrong = wrong or f"its entry {key!r} is none that this program uses"
    if found.get("peft_type") != "LORA":
        wrong = wrong or "its 'peft_type' is not LORA"
    rank, alpha = found.get("r"), found.get("lora_alpha", 8)
    if type(rank) is not int or rank not in RANKS:
        wrong = wrong or f"its rank 'r' is {rank!r}, not 1 to {RANKS[-1]}"
    if type(alpha) not in (int, float) or not 0 < alpha <= 4096:
        wrong = wrong or f"its 'lora_alpha' is {alpha!r}"
    targets = found.get("target_modules")
    names = [targets] if isinstance(targets, str) else targets
    if not isinstance(names, list) or not 0 < len(names) <= 64 or not all(map(_is_target, names)):
        wrong = wrong or "its 'target_modules' name no layers"
    if wrong:
        raise MissingCheckpoint(
            f"adapter_config.json of {role!r} in {folder} cannot be used: {wrong}. Train it with "
            f'"python -m cirdemo train {role}", or remove the entry.'
        )
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=targets,
        use_rslora=found.get("use_rslora") is True,
        inference_mode=True,
    )


def _is_target(name: object) -> bool:
    return isinstance(name, str) and bool(TARGET.fullmatch(name)) and not REPEATED.search(name)


def add_adapter(model: Any, folder: Path, role: str) -> PeftModel:
    """A model with a folder's LoRA adapter beside those it has.

    Raises:
        MissingCheckpoint: The settings or the weights are not exactly those of such an adapter.
    """
    config = adapter_config(folder, role)
    try:
        if isinstance(model, PeftModel):
            model.add_adapter(role, config)
        else:
            model = PeftModel(model, config, adapter_name=role)
    except (ValueError, RuntimeError, re.error) as fault:  # no layer of such a name
        raise MissingCheckpoint(
            f"The adapter {role!r} at {folder} does not fit the model: "
            f"{(str(fault).splitlines() or [''])[0][:200]} Train it with "
            f'"python -m cirdemo train {role}".'
        ) from fault
    mine = get_peft_model_state_dict(model, adapter_name=role, save_embedding_layers=False)
    wanted = {name: tuple(tensor.shape) for name, tensor in mine.items()}
    weights = load_exact(folder / "adapter_model.safetensors", role, wanted)
    set_peft_model_state_dict(model, weights, adapter_name=role)
    return model


def check_model_folder(folder: Path, role: str) -> None:
    """Refuse a model's folder whose settings name code or whose weights are not safetensors.

    Raises:
        MissingCheckpoint: The text names the file.
    """
    for path in sorted(folder.glob("*.json")):
        if path.name not in ("tokenizer.json", "vocab.json") and "index" not in path.name:
            read_settings(path, role)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights and (other := sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt"))):
        raise MissingCheckpoint(
            f"{other[0].name} in {folder} may run code when it is read. Save the weights as "
            "safetensors; no other kind is read."
        )
    for path in weights:
        check_file(path, role)


def check_template(text: str) -> None:
    """Refuse a chat template that could take long or make much.

    transformers renders it in a sandbox, which stops escapes and bounds neither time nor memory.

    Raises:
        MissingCheckpoint: It is too long, multiplies texts, counts far or nests loops.
    """
    wrong = "it is too long" if len(text) > TEMPLATE_CHARACTERS else ""
    if not wrong:
        try:
            tree = ImmutableSandboxedEnvironment(
                extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"]
            ).parse(text.replace("{% generation %}", "").replace("{% endgeneration %}", ""))
            wrong = _costly(tree)
        except Exception as fault:  # jinja2 has its own
            wrong = f"it cannot be read ({type(fault).__name__})"
    if wrong:
        raise MissingCheckpoint(
            f"The chat template of this model is refused: {wrong}. Use the one it was published "
            "with."
        )


def _costly(tree: nodes.Node, depth: int = 0) -> str:
    for node in tree.iter_child_nodes():
        if isinstance(node, (nodes.Mul, nodes.Pow, nodes.Include, nodes.Import, nodes.Extends)):
            return "it multiplies or includes"
        if isinstance(node, nodes.Call) and getattr(node.node, "name", "") == "range":
            return "it counts by itself"
        if isinstance(node, nodes.Filter) and node.name in ("center", "indent", "wordwrap"):
            return "it fills up texts"
        inner = depth + isinstance(node, nodes.For)
        if inner > LOOPS or (wrong := _costly(node, inner)):
            return wrong if inner <= LOOPS else "it nests loops"
    return ""


def control_tokens(tokenizer: Any) -> re.Pattern[str]:
    """A pattern of a tokenizer's control tokens, which no user's text may hold."""
    added = getattr(tokenizer, "added_tokens_decoder", None) or {}
    names = {prompts.EMBED, *map(str, getattr(tokenizer, "all_special_tokens", ()))}
    names |= {str(token) for token in added.values() if getattr(token, "special", True)}
    marks = sorted((n for n in names if n[:1] in "<[" and len(n) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, marks)) or r"(?!)")


def plain(text: str, control: re.Pattern[str]) -> str:
    """A text without control tokens; what a removal uncovers goes too."""
    while (bare := control.sub(" ", text)) != text:
        text = bare
    return text
