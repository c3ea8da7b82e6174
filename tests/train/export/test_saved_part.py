"""A merge of a model of which the trainer saves one module: held against that module, and the rest is named."""

from __future__ import annotations

import json
from pathlib import Path

from train.export.merge import Merge
from train.export.prove import verify_merge
from train.verify import Proof
from validators.replay.arguments import Arguments


def proofs_of(tmp_path: Path, base_type: str, changed: float) -> dict[str, Proof]:
    """The proofs of a save without adapters: a base of a thinker and a talker, of which the thinker was saved."""
    import torch
    from safetensors.torch import save_file

    base, out = tmp_path / "base", tmp_path / "out"
    base.mkdir()
    out.mkdir()
    weight = torch.arange(6.0).reshape(2, 3)
    whole = {"thinker.model.weight": weight, "talker.model.weight": weight + 1}
    save_file(whole, base / "model.safetensors")
    save_file({"model.weight": weight + changed}, out / "model.safetensors")
    (base / "config.json").write_text(json.dumps({"model_type": base_type}))
    (out / "config.json").write_text(json.dumps({"dtype": "float32"}))
    merge = Merge(Path("merge.yaml"), str(base), (), out, Arguments({"export_size": 5}))
    return {proof.what: proof for proof in verify_merge(merge)}


def test_the_thinker_is_held_against_the_base_s_thinker(tmp_path: Path) -> None:
    found = proofs_of(tmp_path, "qwen2_5_omni", 0.0)
    assert found["tensor names equal the base's"].passed and found["other tensors are untouched"].passed
    assert found["the whole model"].open and "1 tensors of the base outside thinker" in found["the whole model"].detail


def test_a_change_of_the_thinker_is_seen(tmp_path: Path) -> None:
    assert not proofs_of(tmp_path, "qwen2_5_omni", 1.0)["other tensors are untouched"].passed


def test_other_models_are_saved_whole(tmp_path: Path) -> None:
    found = proofs_of(tmp_path, "qwen2_vl", 0.0)
    assert not found["tensor names equal the base's"].passed and "the whole model" not in found
