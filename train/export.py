"""A merge, refused where adapter and base do not belong together, and proven where it was done.

What merging means: a LoRA adapter changes exactly the base's weights that it targets (W + scale * B A, PEFT), so that
every other tensor of the merged model must equal the base's bit by bit, and each targeted one must differ.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from train.runs.facts import base_fingerprint
from train.runs.record import NAME as RECORD
from train.runs.record import read_record
from train.tensors import not_finite, values
from train.verify import Proof
from validators.errors import UsageFault
from validators.probes.safetensors import TensorInfo, tensors_of
from validators.replay.adapter import CONFIG, Adapter, find_target, targets_of
from validators.rules.config import PROCESSOR_FILES
from validators.sources.target import mapping

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
OPTIONAL_FILES = ("generation_config.json", "chat_template.jinja")


@dataclass(frozen=True, slots=True)
class Merge:
    """What a merge yaml asks for."""

    file: Path
    base: Path
    adapter: Path
    out: Path


def read_merge(file: Path, settings: Mapping[str, object]) -> Merge:
    """The three folders of a merge yaml; UsageFault where one is not named, or base or adapter is not there."""

    def folder(key: str) -> Path:
        value = settings.get(key)
        if not isinstance(value, str) or not value:
            raise UsageFault(file, f"{key} is {value!r}", "a path")
        return Path(value)

    merge = Merge(file, folder("model_name_or_path"), folder("adapter_name_or_path"), folder("export_dir"))
    if not (merge.adapter / CONFIG).is_file():
        raise UsageFault(file, f"no adapter in {merge.adapter}", "a folder with adapter_config.json", "train it first")
    if not tensors_of(merge.adapter):
        raise UsageFault(file, f"no adapter weights in {merge.adapter}", "adapter_model.safetensors")
    if merge.out.resolve() in (merge.base.resolve(), merge.adapter.resolve()):
        raise UsageFault(file, f"export_dir {merge.out} is the base or the adapter", "a folder of its own")
    return merge


def check_adapter(merge: Merge) -> list[Proof]:
    """Whether the adapter was trained on this base, by name, by tensors, and by the run's own record."""
    adapter = Adapter(merge.adapter)
    same = adapter.names(str(merge.base))
    proofs = [Proof("adapter names this base", merge.adapter, same, "" if same else f"it names {adapter.base!r}")]
    if not merge.base.is_dir():
        return proofs  # a hub model: its tensors are known only once it is here
    lost = adapter.lost_targets(tensors_of(merge.base))
    detail = f"{', '.join(lost[:3])} not in the base" if lost else f"{len(targets_of(merge.adapter))} targets"
    proofs.append(Proof("adapter's targets are the base's tensors", merge.adapter, not lost, detail))
    record = merge.adapter / RECORD
    trained_on = mapping(mapping((read_record(record) or {}).get("base")).get("files"))
    if trained_on:  # empty for a base that lay on a hub
        now = base_fingerprint(merge.base)
        changed = sorted(name for name in trained_on.keys() | now.keys() if trained_on.get(name) != now.get(name))
        proofs.append(
            Proof(
                "base is the one that was trained on",
                record,
                not changed,
                f"changed: {', '.join(changed)}" if changed else "by hash",
            )
        )
    return proofs


def verify_merge(merge: Merge) -> list[Proof]:
    """The proofs of a finished merge."""
    base, merged = tensors_of(merge.base), tensors_of(merge.out)
    missing, extra = sorted(base.keys() - merged.keys()), sorted(merged.keys() - base.keys())
    shapes = [name for name in base.keys() & merged.keys() if base[name].shape != merged[name].shape]
    names = Proof(
        "tensor names equal the base's",
        merge.out,
        not missing and not extra,
        describe(missing, extra) or f"{len(merged)} tensors",
    )
    proofs = [
        verify_files(merge),
        names,
        Proof("tensor shapes equal the base's", merge.out, not shapes, ", ".join(shapes[:3])),
    ]
    if names.passed and not shapes:
        proofs += verify_values(merge, base, merged)
    proofs.append(verify_processor(merge.out))
    return proofs


def describe(missing: list[str], extra: list[str]) -> str:
    """Names on one side only."""
    parts = [f"missing {', '.join(missing[:3])}"] if missing else []
    return "; ".join(parts + ([f"extra {', '.join(extra[:3])}"] if extra else []))


def verify_files(merge: Merge) -> Proof:
    """Config, weights, tokenizer and processor files as the base has them."""
    wanted = ["config.json", *TOKENIZER_FILES]
    wanted += [name for name in OPTIONAL_FILES if (merge.base / name).is_file()]
    missing = [name for name in wanted if not (merge.out / name).is_file()]
    base_processes = any((merge.base / name).is_file() for name in PROCESSOR_FILES)
    if base_processes and not any((merge.out / name).is_file() for name in PROCESSOR_FILES):
        missing.append(" or ".join(PROCESSOR_FILES))
    return Proof(
        "files of the base", merge.out, not missing, f"missing {', '.join(missing)}" if missing else "all there"
    )


def verify_values(merge: Merge, base: Mapping[str, TensorInfo], merged: Mapping[str, TensorInfo]) -> list[Proof]:
    """Targeted tensors differ from the base, all others equal it in the merged model's own precision."""
    import torch

    targets = {find_target(name, base) for name in targets_of(merge.adapter)}
    same: list[str] = []
    changed: list[str] = []
    for (name, before), (_, after) in zip(values(base), values(merged), strict=True):
        equal = torch.equal(before.to(after.dtype), after)
        if name in targets and equal:
            same.append(name)
        if name not in targets and not equal:
            changed.append(name)
    bad = not_finite(merged)
    return [
        Proof("targeted tensors differ", merge.out, not same, ", ".join(same[:3]) or f"{len(targets)} tensors"),
        Proof(
            "other tensors are untouched",
            merge.out,
            not changed,
            ", ".join(changed[:3]) or f"{len(base) - len(targets)} tensors",
        ),
        Proof("all numbers are finite", merge.out, not bad, ", ".join(bad[:3])),
    ]


def verify_processor(folder: Path) -> Proof:
    """The merged folder's processor loads, in a process of its own and without any network."""
    code = "import sys, transformers as t; t.AutoProcessor.from_pretrained(sys.argv[1], local_files_only=True)"
    result = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    lines = result.stderr.strip().splitlines()
    return Proof(
        "processor loads",
        folder,
        result.returncode == 0,
        "" if result.returncode == 0 else lines[-1] if lines else "failed",
    )


def write_proof(merge: Merge, proofs: list[Proof]) -> Path:
    """Leave the proofs beside the merged model."""
    path = merge.out / "merge_proof.json"
    value = [{"what": proof.what, "passed": proof.passed, "detail": proof.detail} for proof in proofs]
    path.write_text(
        json.dumps({"base": str(merge.base), "adapter": str(merge.adapter), "proofs": value}, indent=2) + "\n"
    )
    return path
