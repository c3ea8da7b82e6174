"""What is said of a run before it starts, against what the real trainer, deepspeed and torch do."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from curate.doctor.gpu import Driver, Gpu
from tests.train.conftest import Workshop
from train.preflight import disk, memory
from train.preflight.figures import Range, exactly
from train.preflight.machine import Machine, find_machine
from train.preflight.memory import Memory, Ways, layers, ways_of
from train.preflight.options import look
from train.preflight.parameters import Parameters, Shape, count_parameters
from train.preflight.schedule import Schedule
from validators.replay.arguments import Arguments
from validators.replay.steps import batches
from validators.settings import read_yaml

pytestmark = pytest.mark.trainer
HERE = Path(__file__).parent
ALONE = Machine(1, 1, None, False)

SCHEDULES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "a part is held out": {"val_size": 0.3, "gradient_accumulation_steps": 2},
    "rows are held out, and epochs are no whole number": {"val_size": 3, "num_train_epochs": 2.5},
    "the last batch is dropped": {"dataloader_drop_last": True, "per_device_train_batch_size": 5, "mask_history": True},
    "cut, and trained on questions": {"train_on_prompt": True, "cutoff_len": 150},
    "packed": {"packing": True, "cutoff_len": 500},
    "packed in lots": {
        "packing": True, "neat_packing": True, "cutoff_len": 400, "preprocessing_batch_size": 6,
        "mix_strategy": "interleave_over",
    },
    "tokenized before": {"tokenized_path": "rows", "val_size": 2, "dataset": "demo_video"},
    "datasets take turns": {"mix_strategy": "interleave_over"},
    "datasets are drawn": {"mix_strategy": "interleave_under", "interleave_probs": "0.4,0.6", "seed": 3},
    "steps are given": {"max_samples": 3, "max_steps": 7},
    "rows are dropped": {"dataset": "dropped", "dataset_dir": "own", "val_size": 0.25, "seed": 5},
    "rows are dropped and packed": {
        "dataset": "dropped", "dataset_dir": "own", "packing": True, "cutoff_len": 60, "preprocessing_batch_size": 7,
        "preprocessing_num_workers": 2,
    },
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "two targets": {},
    "all": {"lora_target": "all", "lora_rank": 4},
    "all, vision too": {"lora_target": "all", "freeze_vision_tower": False},
    "with the head": {"additional_target": "lm_head"},
    "full": {"finetuning_type": "full"},
    "full, all parts": {
        "finetuning_type": "full", "freeze_vision_tower": False, "freeze_multi_modal_projector": False,
    },
    "full, the projector alone": {
        "finetuning_type": "full", "freeze_language_model": True, "freeze_multi_modal_projector": False,
    },
    "the last layer": {"finetuning_type": "freeze", "freeze_trainable_layers": 1},
}  # fmt: skip


def chat(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def own_data(folder: Path, rows: list[dict[str, Any]], name: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(rows))
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    info = {"file_name": f"{name}.json", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags}
    file = folder / "dataset_info.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(known | {name: info}))


def write(shop: Workshop, name: str, changes: dict[str, Any]) -> Path:
    settings = read_yaml(shop.folder / "train/recipes/tiny_lora.yaml") | {"output_dir": f"runs/{name}"} | changes
    path = shop.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture(scope="module")
def answers(workshop: Workshop) -> dict[str, list[Any]]:
    """What the real trainer says of all SCHEDULES and MODELS, in one process."""
    chance = random.Random(2)
    rows = [chat(f"Say {number}.", "word " * chance.randint(1, 25)) for number in range(31)]
    for number in (0, 4, 5, 17, 29):
        rows[number]["messages"].append({"role": "user", "content": "And then?"})  # no answer: dropped
    own_data(workshop.folder / "own", rows, "dropped")
    base = read_yaml(workshop.folder / "train/recipes/tiny_lora.yaml")
    request = {
        "schedules": [base | changes for changes in SCHEDULES.values()],
        "models": [base | changes for changes in MODELS.values()],
    }
    (workshop.folder / "request.json").write_text(json.dumps(request))
    done = subprocess.run(
        [sys.executable, "-P", HERE / "real_schedule.py", "request.json", "answer.json"],
        cwd=workshop.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    found: dict[str, list[Any]] = json.loads((workshop.folder / "answer.json").read_text())
    return found


def test_steps_and_tokens_are_the_trainer_s(
    workshop: Workshop, answers: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop.folder)
    for (name, changes), real in zip(SCHEDULES.items(), answers["schedules"], strict=True):
        told = look(write(workshop, "schedule", changes).relative_to(workshop.folder)).schedule
        assert isinstance(told, Schedule), f"{name}: {told}"
        # plain packing marks its padding as text
        padded = "packing" in changes and "neat_packing" not in changes
        said = {
            "examples": told.sequences,
            "tokens": exactly(real["examples"] * changes["cutoff_len"]) if padded else told.tokens,
            "supervised": told.supervised,
            "steps_of_epoch": told.steps_of_epoch,
            "steps": told.steps,
        }
        assert said == {key: exactly(value) for key, value in real.items()}, name
    assert len({real["examples"] for real in answers["schedules"]}) > 7


def test_parameters_are_the_trainer_s(
    workshop: Workshop, answers: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workshop.folder)
    base = read_yaml(Path("train/recipes/tiny_lora.yaml"))
    for (name, changes), (trained, every) in zip(MODELS.items(), answers["models"], strict=True):
        found = count_parameters("build/tiny-qwen2vl", Arguments(base | changes))
        assert isinstance(found, Parameters), f"{name}: {found}"
        assert found.trainable == trained, name
        assert found.total + (found.trainable if found.adapter else 0) == every, name


def test_the_share_of_each_process_is_accelerate_s() -> None:
    from accelerate.data_loader import BatchSamplerShard
    from torch.utils.data import BatchSampler

    for rows in range(1, 24):
        for batch, devices in ((1, 1), (2, 2), (3, 2), (4, 3)):
            for drop_last in (False, True):
                sampler = BatchSampler(range(rows), batch, drop_last)
                real = {len(BatchSamplerShard(sampler, devices, rank)) for rank in range(devices)}
                assert real == {batches(rows, batch, devices, drop_last)}, (rows, batch, devices, drop_last)


def zero(tmp_path: Path, stage: int, *offloaded: str) -> Arguments:
    file = tmp_path / "zero.json"
    file.write_text(json.dumps({"zero_optimization": {"stage": stage} | {key: {"device": "cpu"} for key in offloaded}}))
    return Arguments({"deepspeed": str(file), "finetuning_type": "full", "bf16": True})


@pytest.mark.parametrize("gpus", [1, 8])
def test_states_under_zero_are_deepspeed_s_own_estimate(gpus: int, tmp_path: Path) -> None:
    from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs
    from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs

    total, largest = 7_000_000_000, 545_000_000
    model = Parameters(total, total, False, total, largest, None, True)
    machine = Machine(gpus, 1, 80 << 30, True)

    def states(stage: int, *offloaded: str) -> Memory:
        return memory.estimate(model, zero(tmp_path, stage, *offloaded), machine, 1, 1)

    for offloaded in (False, True):
        host, gpu = estimate_zero2_model_states_mem_needs(total, gpus, 1, cpu_offload=offloaded)
        told = states(2, *(("offload_optimizer",) if offloaded else ()))
        assert told.states.low == told.states.high == pytest.approx(gpu)
        assert told.host.high == pytest.approx(host) if offloaded else told.host.high == 0
    for names in ((), ("offload_optimizer",), ("offload_optimizer", "offload_param")):
        host, gpu, _ = estimate_zero3_model_states_mem_needs(
            total, largest, gpus, 1, cpu_offload=bool(names), cpu_offload_params=len(names) == 2
        )
        told = states(3, *names)
        assert told.states.low == told.states.high == pytest.approx(gpu)
        assert told.host.high == pytest.approx(host) if names else told.host.high == 0


@pytest.mark.parametrize("half", [False, True])
def test_activations_are_what_torch_keeps_for_the_gradient(half: bool) -> None:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    shape, batch, length = Shape(256, 1024, 4, 2000, 4), 2, 256
    config = Qwen2Config(
        hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4,
        vocab_size=2000,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).to(torch.bfloat16 if half else torch.float32).train()
    own = {value.untyped_storage().data_ptr() for value in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        kept[value.untyped_storage().data_ptr()] = value
        return value

    ids = torch.randint(0, 2000, (batch, length))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        model(input_ids=ids, labels=ids)
    held = sum(value.untyped_storage().nbytes() for place, value in kept.items() if place not in own)
    log_softmax = batch * length * 2000 * 4
    ways = Ways(None, False, False, half, False, None, False, exactly(8), False)
    told = layers(shape, batch, length, ways, adapter=False)
    assert told.low <= held - log_softmax <= told.high
    assert told.high < 1.5 * told.low


def test_a_quantized_base_takes_a_quarter_and_adapters_take_all_their_states() -> None:
    model = Parameters(8_000_000_000, 40_000_000, True, 7_000_000_000, 600_000_000, None, True)
    arguments = Arguments({"finetuning_type": "lora", "bf16": True})
    plain = memory.estimate(model, arguments, ALONE, 1, 1)
    assert plain.weights.low == 16e9 + 160e6 and plain.gradients.low == 160e6 and plain.optimizer.low == 320e6
    four_bits = Arguments({**arguments.raw, "quantization_bit": 4})
    four = memory.estimate(model, four_bits, ALONE, 1, 1)
    assert 3.5e9 + 2e9 < four.weights.low < four.weights.high < 4.0e9 + 2e9 + 3e8
    zero_two = memory.held(model, replace(ways_of(four_bits, model, False), zero=2), four_bits, ALONE, 1, 1)
    assert zero_two.weights.high == pytest.approx(four.weights.high, rel=0.05)


def test_the_files_of_a_real_run_are_as_large_as_told(workshop: Workshop, lora: str) -> None:
    out = workshop.folder / "runs/tiny-lora"
    real = sum((out / "checkpoint-18" / name).stat().st_size for name in ("adapter_model.safetensors", "optimizer.pt"))
    arguments = Arguments(read_yaml(workshop.folder / "train/recipes/tiny_lora.yaml"))
    parameters = count_parameters(str(workshop.folder / "build/tiny-qwen2vl"), arguments)
    assert isinstance(parameters, Parameters)
    told = disk.estimate(arguments, "not known", parameters, ways_of(arguments, parameters, gpu=False))
    assert isinstance(told, disk.Disk)
    # names and shapes come on top of the numbers: here the numbers are few
    assert told.checkpoint == exactly(12 * parameters.trainable)
    assert told.checkpoint.low < real < told.checkpoint.high + 12_000
    assert f"trainable params: {parameters.trainable:,} ||" in lora


def test_processes_are_the_launcher_s(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_TORCHRUN", "NPROC_PER_NODE", "NNODES", "CUDA_VISIBLE_DEVICES", "USE_RAY"):
        monkeypatch.delenv(name, raising=False)
    two = Driver("1", gpus=(Gpu("a", (8, 0), 80), Gpu("b", (8, 0), 40)))
    monkeypatch.setattr("train.trainer.accelerators", lambda: 0)
    assert find_machine({}, Driver()) == Machine(1, 1, None, False)
    assert find_machine({"deepspeed": "x"}, Driver()) == Machine(1, 1, None, True)
    monkeypatch.setattr("train.trainer.accelerators", lambda: 2)
    assert find_machine({}, two) == Machine(2, 1, 40, True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert find_machine({}, two) == Machine(1, 1, 80, False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    monkeypatch.setenv("NNODES", "4")
    assert find_machine({}, two).world == 8
    monkeypatch.setenv("NPROC_PER_NODE", "1")
    assert find_machine({}, two).world == 4


def test_a_good_run_passes_its_drill_and_nothing_is_written(workshop: Workshop) -> None:
    path = write(workshop, "good", {"num_train_epochs": 4})
    said = workshop.curate("train", path.name, "--dry-run", "--drill", "--output-format", "json")
    value = json.loads(said[said.index("\n{\n") if not said.startswith("{") else 0 :])
    assert value["check"]["refusal"] == "" and value["problems"] == []
    assert value["schedule"]["steps"] == {"low": 24, "high": 24}
    assert value["preprocessing"]["seconds"]["low"] > 0
    assert value["memory"]["total"][0] < value["memory"]["total"][1] < value["machine"]["memory"]
    drill = value["drill"]
    assert drill["passed"] and drill["fault"] == ""
    loads = [tuple(step["loads"]) for step in drill["steps"]]
    assert loads[0] == loads[-1] == ("tokens",) and {"images", "video frames"} <= {
        load for each in loads for load in each
    }
    first = drill["steps"][0]
    assert first["rows"] == ["build/demo/demo_video.json row 1", "build/demo/demo_video.json row 2"]
    assert all(step["seconds"] > 0 and 5 < step["loss"] < 8 for step in drill["steps"])
    assert drill["peak"]["host"] > 200 << 20
    assert not (workshop.folder / "runs/good").exists()


def test_a_drill_runs_under_torchrun_and_deepspeed(workshop: Workshop) -> None:
    said = workshop.curate("train", "train/recipes/tiny_full.yaml", "--dry-run", "--drill", NPROC_PER_NODE="2")
    assert re.search(r"processes: +2, CPU, by torchrun", said)
    assert re.search(r"steps: +12 in all, 6 an epoch × 2 epochs; batch 1 × accumulation 1 × 2 processes", said)
    assert "batches of the heaviest rows went through" in said and "drill: failed" not in said
    assert re.search(r"most tokens .*\(384\): .*demo_video.json row 1, build/demo/demo_video.json row 2", said)


def test_a_row_that_does_not_fit_stops_the_run_before_it_begins(workshop: Workshop) -> None:
    """The longest row needs an attention matrix of more memory than the process may have."""
    chance = random.Random(1)
    rows = [chat(f"Say {number}.", "word " * chance.randint(3, 30)) for number in range(6)]
    rows[4] = chat("Count.", " ".join(str(chance.randint(0, 10**9)) for _ in range(2500)))
    own_data(workshop.folder / "own", rows, "long")
    changes = {"dataset": "long", "dataset_dir": "own", "cutoff_len": 32768, "flash_attn": "disabled"}
    path = write(workshop, "large", changes)
    command = f"ulimit -v 12000000; exec {sys.executable} -P -m curate.cli train {path.name} --drill"
    done = subprocess.run(["bash", "-c", command], cwd=workshop.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "drill: failed in the step: the machine's memory is full; lower per_device_train_batch_size" in done.stdout
    assert re.search(r"rows of the batch: own/long.json row 4, own/long.json row \d$", done.stdout, re.MULTILINE)
    assert "not trained: the drill failed; --no-drill trains all the same" in done.stdout
    assert not (workshop.folder / "runs/large").exists()


def test_a_batch_that_the_collator_refuses_is_named(workshop: Workshop) -> None:
    """The check knows such rows and refuses them; asked to go on, the drill stops where the long run would."""
    path = write(workshop, "cut", {"cutoff_len": 60, "dataset": "demo_image", "per_device_train_batch_size": 1})
    said = workshop.curate("train", path.name, "--force", "--drill", code=1)
    assert "drill: failed while a batch was put together: a row's media tokens were cut by cutoff_len" in said
    assert re.search(r"^  row: build/demo/demo_image.json row \d+$", said, re.MULTILINE)
    assert not (workshop.folder / "runs/cut").exists()


def test_ranges_add_up() -> None:
    assert Range(1, 2) + exactly(3) == Range(4, 5) and Range(1, 2).times(2) == Range(2, 4)
