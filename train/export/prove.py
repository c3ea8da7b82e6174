"""A merged model, proven against its base and its adapters.

What merging means: a LoRA adapter changes exactly the base's weights that it targets (W + scale * B A, PEFT), so that
every other tensor of the merged model must equal the base's bit by bit, and each targeted one must be the base's with
the changes of all adapters, in their order, as far as the precision holds them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from curate.writers.atomic import write_whole
from train.export.merge import Merge
from train.export.update import SHARE, Chain, NotComputedError, Update, expectations
from train.tensors import Weights, parts, read_index, weights_of
from train.verify import Proof, unknown
from validators.budgets.text import read_config

GIGABYTE = 10**9  # transformers 5.6.0 reads "5GB" so (huggingface_hub, utils: parse_size_to_int)
HEADER = 1 << 20
SAVED_PART = {"qwen2_5_omni": "thinker.", "qwen3_omni_moe": "thinker."}
"""The one module of these model types that LLaMA-Factory 0.9.5 trains and saves (model/loader.py: load_model)."""
FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def verify_merge(merge: Merge) -> list[Proof]:
    """The proofs about a finished merge's tensors."""
    merged = weights_of(merge.out)
    proofs = [verify_shards(merge, merged)]
    if merge.quantizes:
        return [*proofs, verify_quantized(merge), unknown("tensors", merge.out, "packed: not compared with the base's")]
    proofs.append(verify_precision(merge, merged))
    folder = merge.base_folder
    base = weights_of(folder) if folder is not None else None
    if base is None or not base.infos:
        where = f"{merge.base} is on a hub, and not in the cache here" if folder is None else f"no weights in {folder}"
        bad = not_finite(merged)
        return [
            *proofs,
            unknown("tensors equal the base's", merge.out, where),
            Proof("all numbers are finite", merge.out, not bad, ", ".join(bad[:3])),
        ]
    part = SAVED_PART.get(str(read_config(base.folder / "config.json").get("model_type")), "")
    others = len([name for name in base.infos if not name.startswith(part)])
    if others:
        why = f"{others} tensors of the base outside {part[:-1]}: LLaMA-Factory saves {part[:-1]} alone"
        proofs.append(unknown("the whole model", merge.out, f"{why}; its scripts/qwen_omni_merge.py joins them"))
    base = base.under(part)
    missing = sorted(base.infos.keys() - merged.infos.keys())
    extra = sorted(merged.infos.keys() - base.infos.keys())
    common = base.infos.keys() & merged.infos.keys()
    shapes = sorted(name for name in common if base.shape(name) != merged.shape(name))
    sides = describe(missing, extra)
    proofs.append(Proof("tensor names equal the base's", merge.out, not sides, sides or f"{len(merged.infos)} tensors"))
    proofs.append(Proof("tensor shapes equal the base's", merge.out, not shapes, ", ".join(shapes[:3])))
    if not sides and not shapes:
        proofs += proofs_of(merge, compare(base, merged, Chain(merge.adapters, base.infos)))
    return proofs


def describe(missing: list[str], extra: list[str]) -> str:
    """Names on one side only."""
    sides = [f"missing {', '.join(missing[:3])}"] if missing else []
    return "; ".join(sides + ([f"extra {', '.join(extra[:3])}"] if extra else []))


def verify_shards(merge: Merge, merged: Weights) -> Proof:
    """The files hold what their index says, and none is larger than export_size, but for a single tensor."""
    what = "shards and their index"
    files = sorted({info.file for info in merged.infos.values()})
    if not files:
        return Proof(what, merge.out, False, "no weights")
    index = read_index(merge.out)
    held = {name: info.file.name for name, info in merged.infos.items()}
    if index is None and len(files) > 1:
        return Proof(what, merge.out, False, f"{len(files)} files and no index")
    if index is not None and index != held:
        wrong = sorted(name for name in index.keys() | held.keys() if index.get(name) != held.get(name))
        return Proof(what, merge.out, False, f"{wrong[0]}: {index.get(wrong[0])} by the index, {held.get(wrong[0])}")
    limit = merge.arguments.number("export_size")
    counts = {file: sum(info.file == file for info in merged.infos.values()) for file in files}
    large = [file.name for file in files if file.stat().st_size > (limit or 0) * GIGABYTE + HEADER and counts[file] > 1]
    if large and limit is not None:
        return Proof(what, merge.out, False, f"{large[0]} is larger than export_size: {limit:g}")
    return Proof(what, merge.out, True, f"{len(files)} of at most {limit or 0:g} GB or one tensor")


def verify_quantized(merge: Merge) -> Proof:
    """config.json says the bits that were asked for."""
    written = read_config(merge.out / "config.json").get("quantization_config")
    bits = written.get("bits") if isinstance(written, dict) else None
    wanted = merge.arguments["export_quantization_bit"]
    return Proof("quantized as asked", merge.out, bits == wanted, f"{bits} bits, asked for {wanted}")


def verify_precision(merge: Merge, merged: Weights) -> Proof:
    """All weights in one precision: the one that infer_dtype names, else the one that config.json does."""
    found = sorted({name for info in merged.infos.values() if (name := floating(info.dtype))})
    config = read_config(merge.out / "config.json")
    asked = merge.arguments["infer_dtype"]
    wanted = asked if isinstance(asked, str) and asked != "auto" else config.get("dtype") or config.get("torch_dtype")
    detail = ", ".join(found) + ("" if found == [wanted] else f"; wanted {wanted}")
    return Proof("precision", merge.out, found == [wanted], detail)


def floating(dtype: str) -> str:
    """torch's name of a floating dtype, "" for another one."""
    name = FLOATS.get(dtype, dtype)
    return name if name in FLOATS.values() else ""


def not_finite(weights: Weights) -> list[str]:
    """Names of tensors that hold a NaN or an infinity."""
    return [
        name
        for name in sorted(weights.infos)
        if not all(bool(weights.rows(name, *part).isfinite().all()) for part in parts(weights.shape(name)))
    ]


@dataclass(slots=True)
class Comparison:
    """Names of tensors by what is wrong with them."""

    tensors: int = 0
    targets: int = 0
    same: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    not_computed: list[str] = field(default_factory=list)
    not_finite: list[str] = field(default_factory=list)


def compare(base: Weights, merged: Weights, chain: Chain) -> Comparison:
    """Hold every tensor against the base's, part by part."""
    found = Comparison(len(merged.infos), len(chain.targets))
    for name in sorted(merged.infos, key=lambda name: (merged.infos[name].file, name)):
        shape = merged.shape(name)
        try:
            updates: Sequence[Update] | None = chain.updates(name, shape)
        except NotComputedError as kind:
            updates = None
            found.not_computed.append(f"{name}: {kind}")
        finite = equal = True
        change = 0.0
        left: list[float] = []
        for part in parts(shape):
            before, after = base.rows(name, *part), merged.rows(name, *part)
            finite = finite and bool(after.isfinite().all())
            allowed = list(expectations(before, after, (), *part))
            equal = equal and any(bool(value.equal(after)) for value in allowed)
            if not updates:
                continue
            exact = before.float()
            for each in updates:
                exact = each.applied(exact, *part)
            change += float((exact - before.float()).double().square().sum())
            rest = [
                float((value.float() - after.float()).double().square().sum())
                for value in expectations(before, after, updates, *part)
            ]
            left = [sum(pair) for pair in zip(left or [0.0] * len(rest), rest, strict=True)]
        if not finite:
            found.not_finite.append(name)
        if name in chain.targets:
            if equal:
                found.same.append(name)
            if left and not math.sqrt(min(left)) <= SHARE * math.sqrt(change):
                found.unlike.append(name)
        elif not equal:
            found.moved.append(name)
    return found


def proofs_of(merge: Merge, found: Comparison) -> list[Proof]:
    """A comparison as proofs."""
    untouched = found.tensors - found.targets
    proofs = []
    if merge.adapters:
        order = " + ".join(folder.name for folder in merge.adapters)
        proofs = [
            Proof(
                "targeted tensors differ", merge.out, not found.same, shown(found.same) or f"{found.targets} tensors"
            ),
            Proof(
                "targeted tensors are the base's with all changes",
                merge.out,
                not found.unlike,
                shown(found.unlike) or f"base + {order}: {found.targets - len(found.not_computed)} tensors",
            ),
        ]
    if found.not_computed:
        why = f"{len(found.not_computed)} tensors, {found.not_computed[0]}"
        proofs.append(unknown("changes that are not computed here", merge.out, why))
    return [
        *proofs,
        Proof("other tensors are untouched", merge.out, not found.moved, shown(found.moved) or f"{untouched} tensors"),
        Proof("all numbers are finite", merge.out, not found.not_finite, shown(found.not_finite)),
    ]


def shown(names: Sequence[str]) -> str:
    """The first names."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def write_proof(merge: Merge, proofs: list[Proof]) -> Path:
    """Leave the proofs beside the merged model."""
    path = merge.out / "merge_proof.json"
    value = {
        "base": merge.base,
        "adapters": [str(folder) for folder in merge.adapters],
        "proofs": [
            {"what": proof.what, "passed": proof.passed, "open": proof.open, "detail": proof.detail} for proof in proofs
        ],
    }
    write_whole(path, json.dumps(value, indent=2) + "\n")
    return path
