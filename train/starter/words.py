"""A plan as the text of a train yaml and of a merge yaml, with a comment where a reader would ask why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from train.starter.plan import Plan
from validators.model import MediaKind
from validators.report.escaping import printable
from validators.settings import FORK, FORK_KEYS, TrainerLoader, TrainerSettings

COLUMN = 44
"""Where comments begin."""
WIDTH = 120
DEFAULTS = TrainerSettings()


@dataclass(frozen=True, slots=True)
class Line:
    """A key with its value; one that is not active stands in a comment, ready to be used."""

    key: str
    value: object
    comment: str = ""
    active: bool = True


def train_yaml(plan: Plan) -> str:
    """The train yaml."""
    sections = {
        "model": model_lines(plan),
        "method": method_lines(plan),
        "dataset": dataset_lines(plan),
        "media": chain(media_lines(plan), packing_lines(plan)),
        "output": output_lines(plan),
        "train": train_lines(plan),
        "eval": eval_lines(plan),
    }
    return render(plan.head, sections)


def merge_yaml(plan: Plan) -> str:
    """The merge yaml of a LoRA run: adapter and base are those of its train yaml."""
    sections = {
        "model": [
            Line("model_name_or_path", plan.model, "the base of the training, unquantized"),
            Line("adapter_name_or_path", plan.output_dir, "output_dir of the train yaml, or a checkpoint in it"),
            Line("template", plan.template),
            Line("finetuning_type", "lora"),
            *([Line("trust_remote_code", True)] if plan.own_code else []),
        ],
        "export": [
            Line("export_dir", plan.export_dir),
            Line("export_size", plan.export_size, "GB of a file"),
            Line("export_device", "cpu", "auto merges on the GPU"),
            Line("export_legacy_format", False, "safetensors"),
        ],
    }
    return render(
        (f"Merges the adapter of {plan.output_dir} into {plan.model}: `curate export` on this file.",), sections
    )


def model_lines(plan: Plan) -> Iterator[Line]:
    """### model"""
    yield Line("model_name_or_path", plan.model, plan.model_words)
    yield Line("trust_remote_code", True, "runs code that the model's repository brings", plan.own_code)
    if plan.takes:
        yield Line("freeze_vision_tower", True, "false trains what looks at the pictures too")
        yield Line("freeze_multi_modal_projector", True, "false trains what joins pictures and words")
    yield Line("print_param_status", True, "lists every weight, and whether it learns", plan.method == "full")
    if plan.flash:
        yield Line("flash_attn", "fa2", "needs the flash-attn package; auto works without")
    else:
        faster = "fa2 is faster on a GPU, once flash-attn is installed"
        yield Line("flash_attn", "auto", "fa2 breaks with this transformers" if plan.flash_breaks else faster)


def method_lines(plan: Plan) -> Iterator[Line]:
    """### method"""
    yield Line("stage", "sft")
    yield Line("do_train", True)
    yield Line("finetuning_type", plan.method)
    if plan.method == "lora":
        every = plan.lora_target == "all"
        other = "q_proj,v_proj: fewer weights, as MiniCPM's guide has it" if every else "all: every linear layer"
        yield Line("lora_target", plan.lora_target, other)
        yield Line("lora_rank", 8, "higher learns more, and takes more memory")
        yield Line("lora_alpha", 16, "the usual: twice the rank", active=False)
        yield Line("quantization_bit", 4, "QLoRA: a quarter of the weights' memory; needs bitsandbytes", active=False)
    if plan.deepspeed is not None:
        yield Line("deepspeed", plan.deepspeed, plan.zero.meaning)


def dataset_lines(plan: Plan) -> Iterator[Line]:
    """### dataset"""
    yield Line("dataset", ",".join(plan.datasets), plan.dataset_words)
    if plan.evaluation:
        yield Line("eval_dataset", ",".join(plan.evaluation), "looked at, never trained on")
    yield Line("dataset_dir", plan.dataset_dir, "holds dataset_info.json")
    if plan.media_dir is not None:
        yield Line("media_dir", plan.media_dir, "media paths start here")
    yield Line("template", plan.template)
    if plan.reasons:
        yield Line("enable_thinking", False, "for answers without thoughts", active=False)
    yield Line("cutoff_len", plan.cutoff_len, plan.cutoff_words)
    trial = plan.max_samples if plan.max_samples is not None else 1000
    yield Line("max_samples", trial, "at most so many rows of each dataset: for a trial", plan.max_samples is not None)
    yield Line("overwrite_cache", True, "rows are prepared anew when data have changed")
    yield Line("preprocessing_num_workers", plan.workers, "processes that read media and count tokens")
    if plan.tokenized_path:
        yield Line(
            "tokenized_path", plan.tokenized_path, "keeps prepared rows: remove it when data change", active=False
        )


def media_lines(plan: Plan) -> Iterator[Line]:
    """### media"""
    usual = {
        MediaKind.IMAGE: [("image_max_pixels", "larger pictures are scaled down to it; small print may need more")],
        MediaKind.VIDEO: [
            ("video_max_pixels", "of each frame"),
            ("video_fps", "frames of a second that are taken"),
            ("video_maxlen", "at most so many frames of a video"),
        ],
        MediaKind.AUDIO: [("audio_sampling_rate", "what the model was trained with")],
    }
    for kind, knobs in usual.items():
        if kind not in plan.takes:
            continue
        for knob, meaning in knobs:
            value, comment = plan.limits.get(knob, (getattr(DEFAULTS, knob), meaning))
            if knob == "image_max_pixels" and plan.ignores_image_limit:
                yield Line(knob, value, "this model's plugin takes pictures as they are", active=False)
            else:
                yield Line(knob, value, comment, kind in plan.kinds or knob in plan.limits)


def packing_lines(plan: Plan) -> Iterator[Line]:
    """Several frames in a block of tokens, for the one model that was trained so."""
    if plan.packs_frames:
        yield Line("enable_high_fps", True, "several frames of a video share one block of tokens", active=False)
        yield Line("packing_maxlen", 3, "at most so many, 1 to 6", active=False)
        yield Line("double_frame_duration", 30, "seconds: shorter videos give twice the frames", active=False)
        yield Line("time_scale", 0.1, "seconds of one step of time", active=False)


def output_lines(plan: Plan) -> Iterator[Line]:
    """### output"""
    yield Line("output_dir", plan.output_dir)
    overwriting = "an earlier run there stops this one" if not plan.overwrite else "writes over an earlier run"
    yield Line("overwrite_output_dir", plan.overwrite, overwriting)
    yield Line("logging_steps", 1 if plan.steps is None or plan.steps <= 200 else 10)
    if plan.save_steps is not None:
        yield Line("save_steps", plan.save_steps)
    else:
        yield Line("save_strategy", "epoch", "save_steps: 100 saves by steps")
    yield Line("save_total_limit", plan.save_total_limit, "older checkpoints are removed")
    resuming = (
        "small checkpoints, from which no run can go on"
        if plan.save_only_model
        else "true: small checkpoints, but no --resume"
    )
    yield Line("save_only_model", plan.save_only_model, resuming)
    yield Line("plot_loss", True, "training_loss.png")
    yield Line("report_to", "none", "wandb, tensorboard, swanlab …, where installed")


def train_lines(plan: Plan) -> Iterator[Line]:
    """### train"""
    devices = max(plan.gpus, 1)
    total = plan.batch * plan.accumulation * devices
    yield Line("per_device_train_batch_size", plan.batch)
    yield Line(
        "gradient_accumulation_steps", plan.accumulation,
        f"{total} row{'s' * (total != 1)} a step{f' on {devices} GPUs' if devices > 1 else ''}",
    )  # fmt: skip
    yield Line("learning_rate", plan.rate)
    steps = "" if plan.steps is None else f"{plan.steps} steps"
    yield Line("num_train_epochs", plan.epochs, steps)
    yield Line("max_steps", 10, "a trial that ends soon", active=False)
    yield Line("lr_scheduler_type", "cosine")
    yield Line("warmup_ratio", 0.1)
    if plan.gpus == 0:
        yield Line("use_cpu", True, "no GPU: `curate init --gpus N` writes for a machine that has some")
        yield Line("bf16", True, "on GPUs since Ampere; fp16 on older ones", active=False)
    elif plan.precision != "fp32":
        older = "Ampere and later; fp16 on older GPUs" if plan.precision == "bf16" else "GPUs before Ampere"
        yield Line(plan.precision, True, older)
    yield Line("disable_gradient_checkpointing", True, "faster, with memory to spare", active=False)
    yield Line("dataloader_num_workers", 4, "processes that feed the GPU", active=plan.gpus > 0)
    waits = "seconds; others wait so long while the first prepares rows"
    yield Line("ddp_timeout", 180000000, waits, active=plan.waits)
    yield Line("seed", 42)


def eval_lines(plan: Plan) -> Iterator[Line]:
    """### eval"""
    yield Line("do_eval", bool(plan.evaluation))
    if not plan.evaluation:
        yield Line("val_size", 0.05, "keeps a part of the rows for evaluation, with eval_strategy: epoch", active=False)
        return
    yield Line("eval_strategy", "epoch" if plan.save_steps is None else "steps")
    if plan.save_steps is not None:
        yield Line("eval_steps", plan.save_steps)
    yield Line("per_device_eval_batch_size", 1)


def wrapped(text: str) -> list[str]:
    """A sentence in lines that fit behind a #."""
    from textwrap import wrap

    return wrap(printable(text), WIDTH - 4, break_long_words=False, break_on_hyphens=False)


def render(head: Iterable[str], sections: Mapping[str, Iterable[Line]]) -> str:
    """The whole file."""
    parts = ["".join(f"# {printable(line)}\n" if line else "#\n" for line in head)]
    for title, lines in sections.items():
        text = "".join(shown(line) for line in lines)
        if text:
            parts.append(f"### {title}\n{text}")
    return "\n".join(parts) if parts[0] else "\n".join(parts[1:])


def shown(line: Line) -> str:
    """A line, with its comment behind it, or above it where both are too long for one."""
    text = f"{'' if line.active else '# '}{line.key}: {scalar(line.value)}"
    if not line.comment:
        return f"{text}\n"
    comment = printable(line.comment)
    joined = f"{text:<{COLUMN}}  # {comment}"
    return f"{joined}\n" if len(joined) <= WIDTH else f"# {comment}\n{text}\n"


def scalar(value: object) -> str:
    """A value as the trainer's own YAML reader takes it."""
    import yaml

    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        mantissa, _, exponent = f"{value:e}".partition("e")
        return repr(value) if 1e-3 <= value < 1e6 else f"{float(mantissa)}e{int(exponent)}"
    if not isinstance(value, str):
        return str(value)
    try:
        plain = yaml.load(f"key: {value}", TrainerLoader) == {"key": value}
    except yaml.YAMLError:
        plain = False
    return value if plain else json.dumps(value, ensure_ascii=False)


def fork_words() -> str:
    """What to say of the keys of the guide that only a branch of the trainer has."""
    return (
        f"{', '.join(FORK_KEYS)}: MiniCPM-V's guide names them, and they exist in {FORK} only. `curate train` adds "
        "them to the released trainer where a yaml has them: up to packing_maxlen frames then share one block of 64 "
        "tokens."
    )
