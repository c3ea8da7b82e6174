"""What adapters make of a weight, against PEFT itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from train.export.merge import Merge
from train.export.prove import compare, verify_merge
from train.export.update import Chain
from train.tensors import weights_of
from validators.errors import UsageFault
from validators.replay.arguments import Arguments

pytestmark = pytest.mark.trainer

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "DoRA": {"use_dora": True},
    "patterns": {"alpha_pattern": {"layers.0.up": 3}, "rank_pattern": {"layers.1.up": 2}},
    "saved whole": {"modules_to_save": ["head"]},
    "embeddings": {"target_modules": ["up", "words"]},
}


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(11, 6)
        self.layers = torch.nn.ModuleList(torch.nn.ModuleDict({"up": torch.nn.Linear(6, 6)}) for _ in range(2))
        self.head = torch.nn.Linear(6, 11)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        value = self.words(ids)
        for layer in self.layers:
            value = layer["up"](value)
        return self.head(value)  # type: ignore[no-any-return]


def save(model: torch.nn.Module, folder: Path) -> None:
    folder.mkdir()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors")


def restored(folder: Path, dtype: torch.dtype) -> Small:
    model = Small()
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.to(dtype)


def adapter(base: Path, folder: Path, seed: int, **settings: Any) -> Path:
    """An adapter of this base with no number left as it began."""
    torch.manual_seed(seed)
    settings = {"r": 4, "lora_alpha": 6, "target_modules": ["up"]} | settings
    model = get_peft_model(restored(base, torch.float32), LoraConfig(**settings))  # type: ignore[arg-type]
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.requires_grad:
                value.copy_(value + 1 if "magnitude" in name else torch.randn_like(value) * 0.3)
    model.save_pretrained(str(folder))
    return folder


def merged(base: Path, adapters: list[Path], out: Path, dtype: torch.dtype) -> None:
    """As LLaMA-Factory 0.9.5 merges a chain (model/adapter.py)."""
    model: Any = restored(base, dtype)
    for folder in adapters:
        model = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    save(model, out)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_adapter_is_computed_as_peft_does(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(1)
    base, out = tmp_path / "base", tmp_path / "out"
    save(Small(), base)
    chain = [adapter(base, tmp_path / "a", 2, **KINDS[kind]), adapter(base, tmp_path / "b", 3, r=2)]
    merged(base, chain, out, dtype)
    before, after = weights_of(base), weights_of(out)
    found = compare(before, after, Chain(chain, before.infos))
    assert found.targets >= 2 and not found.not_computed
    assert found.same == found.moved == found.unlike == found.not_finite == []
    # without the second, or in another chain, it is not what came out
    assert compare(before, after, Chain(chain[:1], before.infos)).unlike
    assert compare(before, after, Chain([chain[1], chain[1]], before.infos)).unlike


def test_a_kind_that_is_not_computed_is_named(tmp_path: Path) -> None:
    base, out = tmp_path / "base", tmp_path / "out"
    save(Small(), base)
    chain = (adapter(base, tmp_path / "a", 2, lora_bias=True),)
    merged(base, list(chain), out, torch.float32)
    proofs = verify_merge(Merge(tmp_path / "m.yaml", str(base), chain, out, Arguments({})))
    told = [proof for proof in proofs if proof.open]
    assert [proof.what for proof in told] == ["changes that are not computed here"] and "lora_bias" in told[0].detail
    assert not any("all changes" in proof.what and not proof.passed for proof in proofs)


def test_shards_are_held_against_their_index(tmp_path: Path) -> None:
    base, out = tmp_path / "base", tmp_path / "out"
    save(Small(), base)
    out.mkdir()
    tensors = load_file(base / "model.safetensors")
    # the other way round than the names sort, and not as the base has them
    halves = {
        "model-00002-of-00002.safetensors": sorted(tensors)[:3],
        "model-00001-of-00002.safetensors": sorted(tensors)[3:],
    }
    for file, names in halves.items():
        save_file({name: tensors[name] for name in names}, out / file)
    merge = Merge(tmp_path / "m.yaml", str(base), (), out, Arguments({}))

    def said() -> dict[str, bool]:
        return {proof.what: proof.passed for proof in verify_merge(merge)}

    index = out / "model.safetensors.index.json"
    assert not said()["shards and their index"], "no index"
    placed = {name: file for file, names in halves.items() for name in names}
    index.write_text(json.dumps({"weight_map": placed}))
    assert said()["shards and their index"] and said()["other tensors are untouched"]
    index.write_text(json.dumps({"weight_map": placed | {"head.bias": "model-00009.safetensors"}}))
    assert not said()["shards and their index"]


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("sprung"),)


def test_a_base_of_bin_files_is_read_as_data_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    base, out = tmp_path / "base", tmp_path / "out"
    save(Small(), out)
    base.mkdir()
    tensors = load_file(out / "model.safetensors")
    torch.save(tensors, base / "pytorch_model.bin")
    before = weights_of(base)
    assert before.infos.keys() == tensors.keys()
    assert compare(before, weights_of(out), Chain((), before.infos)).moved == []
    torch.save(tensors | {"head.bias": tensors["head.bias"] + 1}, base / "pytorch_model.bin")
    before = weights_of(base)
    assert compare(before, weights_of(out), Chain((), before.infos)).moved == ["head.bias"]
    torch.save({"x": Trap()}, base / "pytorch_model.bin")
    with pytest.raises(UsageFault, match="tensors alone"):
        weights_of(base)
    assert not Path("sprung").exists()
