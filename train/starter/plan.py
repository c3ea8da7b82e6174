"""From what was chosen and measured to every value of a train and a merge yaml."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from train.starter.machine import Machine
from train.starter.measure import Measured
from train.starter.model import Model
from train.starter.places import Places
from train.starter.zero import Zero, choose_zero
from validators.model import MediaKind
from validators.replay.arguments import Arguments
from validators.rules.schedule import most_steps

WANTED_BATCH = 16
"""Rows of one step, of all GPUs together, where there are rows enough."""
STEPS_AN_EPOCH = 8
"""At least so many: fewer rows make a smaller batch."""
SHORT = 2048
"""Tokens: up to this cutoff_len, two rows go to a GPU at once."""
RATES = {"lora": 1.0e-4, "full": 1.0e-5}
"""llamafactory 0.9.5: examples/train_lora and examples/train_full."""
EPOCHS = 3.0
SAVED_EVERY = 100
MOST_WORKERS = 16
ROWS_A_WORKER = 64
"""A worker process takes seconds to start: fewer rows are not worth one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every value of the yamls that is not the same for all; the defaults are what `curate init` gives."""

    model: str
    template: str
    own_code: bool
    takes: frozenset[MediaKind]
    """The modalities of the template."""
    method: str
    datasets: tuple[str, ...]
    dataset_dir: str
    output_dir: str
    export_dir: str
    cutoff_len: int
    head: tuple[str, ...] = ()
    """Lines at the top, without their #."""
    cutoff_words: str = ""
    model_words: str = ""
    dataset_words: str = ""
    evaluation: tuple[str, ...] = ()
    media_dir: str | None = None
    kinds: frozenset[MediaKind] = frozenset()
    """The modalities of the data."""
    limits: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    """Media limits other than the trainer's default, each with its reason."""
    reasons: bool = False
    """Whether the template has thoughts."""
    ignores_image_limit: bool = False
    lora_target: str = "all"
    max_samples: int | None = None
    workers: int = 1
    batch: int = 1
    accumulation: int = 1
    rate: float = RATES["lora"]
    epochs: float = EPOCHS
    steps: int | None = None
    save_steps: int | None = None
    """None: save at the end of each epoch."""
    save_total_limit: int = 3
    save_only_model: bool = False
    overwrite: bool = False
    precision: str = "bf16"
    gpus: int = 1
    flash: bool = False
    flash_breaks: bool = False
    """Whether FlashAttention breaks with the transformers of the run."""
    waits: bool = False
    """Whether processes wait for one another: ddp_timeout is set."""
    parameters: float | None = None
    zero: Zero = Zero.NONE
    deepspeed: str | None = None
    tokenized_path: str = ""
    export_size: int = 5

    @property
    def packs_frames(self) -> bool:
        """Whether the model was trained on several frames in a block of tokens: MiniCPM-V 4.5."""
        return self.template == "minicpm_v" and "4_5" in self.model.replace(".", "_")


def make_plan(
    model: Model,
    measured: Measured,
    machine: Machine,
    method: str,
    zero: Zero | None,
    out: Path,
    places: Places,
    head: tuple[str, ...],
) -> Plan:
    """Everything inferred."""
    data = measured.data
    stage = zero if zero is not None else choose_zero(model.parameters, method, machine.gpus, machine.memory)
    devices = max(machine.gpus, 1)
    batch, accumulation = batch_of(measured.rows, devices, measured.cutoff_len, method)
    steps = steps_of(measured.rows, devices * batch, accumulation)
    breaks = model.trainer.has("flash-attention-without-sink")
    return Plan(
        model=model.name,
        template=model.template.name,
        own_code=model.own_code,
        takes=frozenset(kind for kind in MediaKind if model.template.accepts(kind)),
        method=method,
        datasets=data.train,
        dataset_dir=places.named(data.folder),
        output_dir=places.named(out / "output"),
        export_dir=places.named(out / "merged"),
        cutoff_len=measured.cutoff_len,
        head=head,
        cutoff_words=cutoff_words(measured, model),
        model_words=size_words(model),
        evaluation=data.evaluation,
        media_dir=None if data.media_dir is None else places.named(data.media_dir),
        kinds=data.kinds,
        limits={knob: (each.value, f"{each.default} would go beyond the model's longest input")
                for knob, each in measured.lowered.items()},
        reasons=model.template.is_reasoning,
        ignores_image_limit=model.template.plugin == "MiniCPMV4_6Plugin",
        lora_target="q_proj,v_proj" if model.template.name in ("minicpm_v", "minicpm_o") else "all",
        workers=max(1, min(MOST_WORKERS, os.cpu_count() or 1, measured.rows // ROWS_A_WORKER)),
        batch=batch,
        accumulation=accumulation,
        rate=RATES[method],
        steps=steps,
        save_steps=SAVED_EVERY if steps is not None and steps > EPOCHS * SAVED_EVERY else None,
        save_only_model=method == "full",
        precision=machine.precision,
        gpus=machine.gpus,
        flash=machine.flash and not breaks,
        flash_breaks=breaks,
        waits=machine.gpus > 1,
        parameters=model.parameters,
        zero=stage,
        deepspeed=None if stage is Zero.NONE else places.named(out / stage.file_name),
        tokenized_path=places.named(out / "tokenized"),
    )  # fmt: skip


def batch_of(rows: int, devices: int, cutoff_len: int, method: str) -> tuple[int, int]:
    """Rows at once on each device, and how many times before a step."""
    most = max(1, min(WANTED_BATCH, rows // STEPS_AN_EPOCH))
    wanted = 1 << (most.bit_length() - 1)
    batch = min(2 if cutoff_len <= SHORT and method == "lora" else 1, max(1, wanted // devices))
    return batch, max(1, wanted // (batch * devices))


def steps_of(rows: int, batch: int, accumulation: int) -> int | None:
    """Steps of the whole run, as the trainer counts them."""
    settings = {
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": accumulation,
        "num_train_epochs": EPOCHS,
    }
    return most_steps(Arguments(settings), rows)


def cutoff_words(measured: Measured, model: Model) -> str:
    """Why cutoff_len is what it is."""
    if measured.cut:
        rows = len({(each.dataset, each.place.row) for each in measured.cut})
        return f"the model's longest input; cut all the same: {rows} row{'s' * (rows != 1)}"
    if not measured.exact:
        return "a bound by bytes: without the model's tokenizer here, rows are not counted"
    if measured.cutoff_len == model.positions and measured.longest is not None:
        return f"the model's longest input; the longest row has {measured.longest} tokens"
    return f"cuts nothing: the longest row has {measured.longest} tokens"


def size_words(model: Model) -> str:
    """The model's size, for a comment."""
    if model.parameters is None:
        return ""
    if model.parameters < 1e8:
        return f"{model.parameters / 1e6:.1f} million parameters"
    return f"{model.parameters / 1e9:.1f} billion parameters"
