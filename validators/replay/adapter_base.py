"""Whether an adapter belongs to a base: by hashes where its run wrote them down, else by shapes; never by a name alone.

The one judgement of `curate check` (adapter-of-another-base, adapter-targets-missing) and of `curate export`.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path

from validators.budgets.text import read_config
from validators.errors import UsageFault
from validators.probes.safetensors import TensorInfo, tensors_of
from validators.replay.adapter import Adapter, candidates, from_layer, module_of
from validators.replay.arguments import Arguments

RECORD = "run.json"
"""What `curate train` leaves beside an adapter: its `base` has the path, and the hashes of the files that lay here."""
CONFIG = "config.json"
OTHER_HUBS = ("USE_MODELSCOPE_HUB", "USE_OPENMIND_HUB")
"""LLaMA-Factory 0.9.5, extras/misc.py: use_modelscope, use_openmind."""
RESIZED = ("embed", "lm_head", "wte")
"""Tensors whose rows a larger vocabulary adds to when the base is loaded (model/model_utils/embedding.py)."""


class Match(Enum):
    """How an adapter stands to a base."""

    SAME = "the base of the training, by hash"
    FITS = "named so, and the shapes fit"
    OTHER = "the shapes fit, and it is not known to be the base of the training"
    UNFIT = "a module is missing, or has another shape"
    UNKNOWN = "the tensors cannot be read here"


@dataclass(frozen=True, slots=True)
class BaseVerdict:
    """The judgement, and what it rests on in words."""

    match: Match
    words: str


def judge_base(adapter: Adapter, model: str, arguments: Arguments) -> BaseVerdict:
    """Whether the adapter was trained on this base, a folder or a name on a hub.

    Shapes that do not fit decide against any base. Then the hashes in the record of the run decide, and where there
    are none, or the record is not this adapter's own, the name says how sure the answer is.
    """
    folder = find_folder(model, arguments)
    if folder is None:
        return BaseVerdict(Match.UNKNOWN, f"{model} is on a hub, and not in the cache here")
    try:
        tensors = tensors_of(folder)
        unfit = misfits(adapter, tensors) if tensors and not quantized(folder) else []
        changed = changed_files(adapter, folder)
    except (UsageFault, OSError) as fault:
        return BaseVerdict(Match.UNKNOWN, f"not read: {fault}")
    if unfit:
        return BaseVerdict(Match.UNFIT, unfit[0] + (f", and {len(unfit) - 1} more" if len(unfit) > 1 else ""))
    if changed == []:
        return BaseVerdict(Match.SAME, "by hash")
    if changed and record_is_of(adapter):
        return BaseVerdict(Match.OTHER, f"other files than in the training, of the same shapes: {', '.join(changed)}")
    if not tensors:
        return BaseVerdict(Match.UNKNOWN, f"no safetensors files in {model}")
    if not adapter.base:
        return BaseVerdict(Match.OTHER, "it names no base; the shapes fit")
    if same_name(adapter.base, model):
        return BaseVerdict(Match.FITS, "by name and shapes")
    return BaseVerdict(Match.OTHER, f"trained on {adapter.base}; the shapes fit")


def find_folder(name: str, arguments: Arguments) -> Path | None:
    """A model's or adapter's folder, or its snapshot in Hugging Face's cache; None where neither is here."""
    if Path(name).is_dir():
        return Path(name)
    if any(os.environ.get(key, "0").lower() in ("1", "true") for key in OTHER_HUBS):
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    cache, revision = arguments["cache_dir"], arguments["model_revision"]
    for known in (CONFIG, "adapter_config.json"):
        try:
            path = try_to_load_from_cache(
                name, known, str(cache) if cache else None, str(revision) if revision else None
            )
        except HFValidationError:
            return None
        if isinstance(path, str):
            return Path(path).parent
    return None


def quantized(folder: Path) -> bool:
    """Whether a model's tensors may be packed, so that their shapes say nothing."""
    return "quantization_config" in read_config(folder / CONFIG)


def misfits(adapter: Adapter, base: Mapping[str, TensorInfo]) -> list[str]:
    """The modules that the adapter changes and that the base does not have, or has with another shape, in words.

    A module that the base may have under several names is held against all of them. Experts are left out:
    transformers keeps them in one tensor in memory and in many on disk, or the reverse.
    """
    turned = bool(adapter.config.get("fan_in_fan_out"))
    known = {end for name in base if (end := from_layer(name))}
    absent: list[str] = []
    wrong: list[str] = []
    for target, parts in parts_of(adapter).items():
        if "expert" in target:
            continue
        held = candidates(target, base)
        end = from_layer(target)
        if not held and end and end not in known:
            absent.append(f"the base has no {target}")
        elif held:
            wanted = shape_of(parts, turned)
            if not any(fits(base[name].shape, wanted, name) for name in held):
                wrong.append(f"{held[0]} is {list(base[held[0]].shape)} in the base, {shown(wanted)} by the adapter")
    return absent + wrong


def parts_of(adapter: Adapter) -> dict[str, dict[str, tuple[int, ...]]]:
    """The weights that the adapter changes: name inside PEFT's wrapper -> part (lora_A, …, whole) -> shape."""
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, info in tensors_of(adapter.folder).items():
        target, part = module_of(name)
        found.setdefault(target, {})[part] = info.shape
    return found


def shape_of(parts: Mapping[str, tuple[int, ...]], turned: bool) -> tuple[int | None, ...]:
    """The shape of the weight that these parts change, None for a length that they do not tell.

    W is [out, in], A is [r, in] and B is [out, r] (PEFT 0.18.1, tuners/lora/layer.py); of an embedding A is [r, rows]
    and B is [columns, r]. turned: W is kept as [in, out].
    """
    if "whole" in parts:
        return parts["whole"]
    embeds = "lora_embedding_A" in parts or "lora_embedding_B" in parts
    down, up = (parts.get(f"lora_{'embedding_' if embeds else ''}{side}") for side in "AB")
    wide = down[1] if down and len(down) > 1 else None
    high = up[0] if up and len(up) > 1 else None
    return (wide, high) if turned or embeds else (high, wide)


def fits(shape: tuple[int, ...], wanted: tuple[int | None, ...], name: str) -> bool:
    """Whether a weight has the lengths that are known; of embeddings, whose rows may be added to, the others."""
    if len(shape) < 2 or len(wanted) < 2:
        return len(shape) != len(wanted) or shape == wanted
    first = 1 if any(part in name for part in RESIZED) else 0
    pairs = list(zip(shape, wanted, strict=False))[first:]
    return all(length is None or length == held for held, length in pairs)


def shown(wanted: tuple[int | None, ...]) -> str:
    """A shape with `?` for what is not told."""
    return f"[{', '.join('?' if length is None else str(length) for length in wanted)}]"


def changed_files(adapter: Adapter, folder: Path) -> list[str] | None:
    """What of the base's config and weights is not as the record of the run has it; None without such a record.

    Weights are known by their contents, whatever their files are called.
    """
    trained = recorded(adapter).get("files")
    if not isinstance(trained, Mapping) or not trained or not all(isinstance(each, str) for each in trained.values()):
        return None
    now = base_fingerprint(folder)
    before = Counter(value for name, value in trained.items() if name != CONFIG)
    after = Counter(value for name, value in now.items() if name != CONFIG)
    changed = sorted(name for name, value in now.items() if name != CONFIG and value in after - before)
    changed += sorted(name for name, value in trained.items() if name != CONFIG and value in before - after)
    if CONFIG in trained and trained[CONFIG] != now.get(CONFIG):
        changed.append(CONFIG)
    return list(dict.fromkeys(changed))


def recorded(adapter: Adapter) -> Mapping[str, object]:
    """The base in the record of the run: of the folder, or of the run that a checkpoint folder lies in; else empty."""
    folders = [adapter.folder]
    if adapter.folder.resolve().name.startswith("checkpoint-"):
        folders.append(adapter.folder.resolve().parent)
    for folder in folders:
        base = read_config(folder / RECORD).get("base")
        if isinstance(base, Mapping):
            return base
    return {}


def record_is_of(adapter: Adapter) -> bool:
    """Whether the record tells of this adapter's training: both name the same base."""
    path = recorded(adapter).get("path")
    return not adapter.base or (isinstance(path, str) and same_name(adapter.base, path))


def same_name(one: str, other: str) -> bool:
    """Whether two names may stand for one model: the same folder, or the same last part."""
    return one == other or Path(one).resolve() == Path(other).resolve() or tail(one) == tail(other)


def tail(name: str) -> str:
    """The last part of a path or hub name, in small letters; of a hub's cache, the name that it stands for."""
    parts = [part for part in name.replace("\\", "/").split("/") if part]
    cached = [part.rpartition("--")[2] for part in parts if part.startswith("models--")]
    return (cached or parts or [""])[-1].lower()


def base_fingerprint(folder: Path) -> dict[str, str]:
    """Hashes of the config and weights of a local base model; empty for one on a hub."""
    if not folder.is_dir():
        return {}
    return {path.name: sha256(path) for path in hashed_files(folder)}


def hashed_files(folder: Path) -> Iterator[Path]:
    """A model's config and weights."""
    yield from (path for path in sorted([*folder.glob("*.safetensors"), folder / CONFIG]) if path.is_file())


def sha256(path: Path) -> str:
    """A file's hash, taken once in a process as long as the file does not change."""
    state = path.stat()
    return _sha256(path, state.st_size, state.st_mtime_ns, state.st_ino)


@lru_cache(maxsize=1024)
def _sha256(path: Path, size: int, changed: int, inode: int) -> str:
    """The hash of a file in this state."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
