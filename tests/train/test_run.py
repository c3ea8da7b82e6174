"""The real trainer on the demo: what the runs leave behind, and that no damage to it passes for sound."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.train.conftest import Workshop
from train.export.answer import answer, verify_answer
from train.export.files import restore
from train.export.merge import Merge, check_merge
from train.export.prove import verify_merge
from train.verify import Proof, verify_losses, verify_run, verify_weights
from validators.errors import UsageFault
from validators.replay.adapter import targets_of
from validators.replay.arguments import Arguments
from validators.settings import read_yaml

pytestmark = pytest.mark.trainer
Tensors = dict[str, torch.Tensor]


def failed(proofs: list[Proof]) -> list[str]:
    return [proof.what for proof in proofs if not proof.passed]


def test_lora_leaves_a_proven_adapter(workshop: Workshop, lora: str) -> None:
    out = workshop.folder / "runs/tiny-lora"
    said = lora.partition("verified:\n")[2].splitlines()
    assert [line.split(":")[0].split()[-1] for line in said] == ["adapter", "losses", "plot", "record"]
    assert all(line.strip().startswith("ok") for line in said)
    assert "reach the loss" in lora and "training with LLaMA-Factory 0.9.5, transformers " in lora
    assert (out / "training_loss.png").read_bytes().startswith(b"\x89PNG")
    record = json.loads((out / "run.json").read_text())
    weights = (workshop.folder / "build/tiny-qwen2vl/model.safetensors").read_bytes()
    assert record["base"]["files"]["model.safetensors"] == hashlib.sha256(weights).hexdigest()
    assert record["base"]["bytes"] > len(weights)
    files = {name: item["files"] for name, item in record["data"].items()}
    data = workshop.folder / "build/demo/demo_image.json"
    assert files["demo_image"] == {"build/demo/demo_image.json": hashlib.sha256(data.read_bytes()).hexdigest()}
    assert {name: item["reaching"] for name, item in record["data"].items()} == {"demo_image": 8, "demo_video": 4}
    assert record["versions"]["llamafactory"] == "0.9.5"
    losses = [json.loads(line).get("loss") for line in (out / "trainer_log.jsonl").read_text().splitlines()]
    logged = [loss for loss in losses if loss is not None]
    assert "curate runs runs/tiny-lora --html FILE" in lora
    assert record["outcome"] == "finished" and len(record["attempts"]) == 1
    result = record["result"]
    assert (result["steps"], result["total_steps"], result["last_loss"]) == (18, 18, logged[-1])
    assert result["checkpoints"] == ["checkpoint-6", "checkpoint-12", "checkpoint-18"]
    assert result["tokens_per_second"] > 0


def test_all_rows_that_were_promised_are_trained_on(lora: str) -> None:
    """12 rows reach the loss, 3 epochs of 2 rows a step: the trainer's own words."""
    assert "demo_image: 8 rows in → 8 reach the loss" in lora and "demo_video: 4 rows in → 4 reach the loss" in lora
    assert "Num examples = 12" in lora and "Total optimization steps = 18" in lora


def test_the_merge_is_proven(workshop: Workshop, merged: str) -> None:
    proofs = json.loads((workshop.folder / "runs/tiny-merged/merge_proof.json").read_text())["proofs"]
    assert [proof["what"] for proof in proofs] == [
        "files of the base",
        "shards and their index",
        "precision",
        "tensor names equal the base's",
        "tensor shapes equal the base's",
        "targeted tensors differ",
        "targeted tensors are the base's with all changes",
        "other tensors are untouched",
        "all numbers are finite",
        "processor loads",
        "the merged model loads",
        "the merged model answers",
    ]
    assert proofs[-1]["detail"] == "4 tokens to a picture, finite"
    assert not any(proof["open"] for proof in proofs)
    assert all(proof["passed"] for proof in proofs)
    assert "FAIL" not in merged


def test_full_sft_with_zero_2_on_two_processes(workshop: Workshop, full: str) -> None:
    out = workshop.folder / "runs/tiny-full"
    assert (
        failed(verify_run(read_yaml(workshop.folder / "train/recipes/tiny_full.yaml") | {"output_dir": str(out)})) == []
    )
    assert "world size: 2" in full and "Total optimization steps = 12" in full
    partitions = {path.name for path in out.glob("checkpoint-12/global_step12/*optim_states.pt")}
    assert partitions == {f"zero_pp_rank_{rank}_mp_rank_00_optim_states.pt" for rank in (0, 1)}
    before = load_file(workshop.folder / "build/tiny-qwen2vl/model.safetensors")
    after = load_file(out / "model.safetensors")
    changed = {name for name in before if not torch.equal(before[name].to(after[name].dtype), after[name])}
    assert any(".layers." in name for name in changed), "the language model learned"
    assert not any("visual.blocks" in name for name in changed), "freeze_vision_tower held"


@pytest.fixture
def copy(workshop: Workshop, merged: str, tmp_path: Path) -> Merge:
    """The merge's three folders, to be damaged."""
    base, adapter, out = tmp_path / "base", tmp_path / "adapter", tmp_path / "out"
    shutil.copytree(workshop.folder / "build/tiny-qwen2vl", base)
    shutil.copytree(workshop.folder / "runs/tiny-lora", adapter)
    shutil.copytree(workshop.folder / "runs/tiny-merged", out)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(base)}))
    return Merge(tmp_path / "merge.yaml", str(base), (adapter,), out, Arguments({}))


def base_of(merge: Merge) -> Path:
    folder = merge.base_folder
    assert folder is not None
    return folder


def change(file: Path, how: Callable[[Tensors], Any]) -> None:
    tensors = load_file(file)
    how(tensors)
    save_file(tensors, file, {"format": "pt"})


def target(tensors: Mapping[str, torch.Tensor]) -> str:
    return next(name for name in sorted(tensors) if name.endswith("layers.0.self_attn.q_proj.weight"))


def test_an_undamaged_copy_passes(copy: Merge) -> None:
    proofs = [*check_merge(copy), *restore(copy), *verify_merge(copy), *verify_answer(copy)]
    assert failed(proofs) == [] and not any(proof.open for proof in proofs)


DAMAGES: dict[str, tuple[Callable[[Tensors, Tensors], Any], str]] = {
    "a foreign tensor moved": (
        lambda out, base: out["model.embed_tokens.weight"][0].add_(1.0),
        "other tensors are untouched",
    ),
    "a target left as it was": (
        lambda out, base: out.update({target(out): base[target(out)].to(out[target(out)].dtype).clone()}),
        "targeted tensors differ",
    ),
    "a target half changed": (
        lambda out, base: out[target(out)].sub_((out[target(out)] - base[target(out)]) / 2),
        "targeted tensors are the base's with all changes",
    ),
    "another precision": (lambda out, base: out.update({target(out): out[target(out)].half()}), "precision"),
    "a tensor gone": (lambda out, base: out.pop(target(out)), "tensor names equal the base's"),
    "a tensor too many": (lambda out, base: out.update(x=torch.zeros(1)), "tensor names equal the base's"),
    "a shape changed": (
        lambda out, base: out.update({target(out): out[target(out)][:-1].clone()}),
        "tensor shapes equal the base's",
    ),
    "not a number": (lambda out, base: out[target(out)][0].fill_(float("nan")), "all numbers are finite"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_tensors_do_not_pass(damage: str, copy: Merge) -> None:
    how, what = DAMAGES[damage]
    base = load_file(base_of(copy) / "model.safetensors")
    (file,) = copy.out.glob("*.safetensors")
    change(file, lambda tensors: how(tensors, base))
    assert what in failed(verify_merge(copy))


def test_a_missing_config_does_not_pass(copy: Merge) -> None:
    (copy.out / "config.json").unlink()
    assert "files of the base" in failed(restore(copy))


def test_a_processor_that_does_not_load_does_not_pass(copy: Merge) -> None:
    for file in (*copy.out.glob("*processor_config.json"), copy.out / "tokenizer_config.json"):
        file.write_text("{")
    assert answer(str(copy.out), whole=False)["processor"]


def test_a_model_that_gives_no_numbers_does_not_pass(copy: Merge) -> None:
    (file,) = copy.out.glob("*.safetensors")
    change(file, lambda tensors: tensors["lm_head.weight"].fill_(torch.nan))
    found = answer(str(copy.out), whole=True)
    assert (found["processor"], found["model"]) == ("", "") and "not finite" in str(found["answer"])
    change(file, lambda tensors: tensors.pop("lm_head.weight"))
    assert "missing: lm_head.weight" in str(answer(str(copy.out), whole=True)["model"])


def test_weights_cut_short_do_not_pass(copy: Merge) -> None:
    (file,) = copy.out.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(UsageFault, match="a whole safetensors file"):
        verify_merge(copy)
    assert not verify_weights(copy.out, adapter=False).passed


def test_an_adapter_of_another_base_is_refused(copy: Merge) -> None:
    change(base_of(copy) / "model.safetensors", lambda tensors: tensors[target(tensors)].add_(1.0))
    assert failed(check_merge(copy)) == ["base is the one that was trained on"]
    (copy.adapters[0] / "adapter_config.json").write_text('{"base_model_name_or_path": "org/other"}')
    assert "adapter names this base" in failed(check_merge(copy))


def test_an_adapter_whose_targets_the_base_lacks_is_refused(copy: Merge) -> None:
    file = copy.adapters[0] / "adapter_model.safetensors"
    tensors = load_file(file)
    save_file({name.replace("layers.0", "layers.9"): value for name, value in tensors.items()}, file)
    assert "adapter's targets are the base's tensors" in failed(check_merge(copy))
    assert any("layers.9" in name for name in targets_of(copy.adapters[0]))


def test_losses_that_are_missing_or_not_finite_do_not_pass(copy: Merge) -> None:
    log = copy.adapters[0] / "trainer_log.jsonl"
    assert verify_losses(copy.adapters[0]).passed
    log.write_text('{"loss": NaN}\n')
    assert not verify_losses(copy.adapters[0]).passed
    log.write_text('{"epoch": 1}\n')
    assert not verify_losses(copy.adapters[0]).passed
    log.unlink()
    assert not verify_losses(copy.adapters[0]).passed


def test_an_adapter_with_a_nan_does_not_pass(copy: Merge) -> None:
    assert verify_weights(copy.adapters[0], adapter=True).passed
    change(
        copy.adapters[0] / "adapter_model.safetensors", lambda tensors: next(iter(tensors.values())).fill_(torch.nan)
    )
    assert not verify_weights(copy.adapters[0], adapter=True).passed
