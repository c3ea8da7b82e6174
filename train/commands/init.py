"""`curate init BUILD --model NAME`: a train yaml, its DeepSpeed file and a merge yaml, with everything inferred."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from curate.progress import Progress
from curate.writers.atomic import write_whole
from train.starter.data import Asked, choose_data
from train.starter.machine import USUAL_MEMORY, Machine, choose_machine
from train.starter.measure import Measured, measure
from train.starter.model import Model, NotTrainable, choose_model
from train.starter.places import Places
from train.starter.plan import Plan, make_plan
from train.starter.words import fork_words, merge_yaml, train_yaml, wrapped
from train.starter.zero import FOR_MODEL, Zero
from validators.errors import UsageFault
from validators.findings import Finding
from validators.report.escaping import printable

TRAIN, MERGE = "train.yaml", "merge.yaml"
SHOWN = 5
"""Rows or datasets that are named one by one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("target", help="a build folder, or a dataset_info.json[:name]")
    parser.add_argument(
        "--model", required=True, help="hub name, also in short (minicpm-v-4.5), or a local model folder"
    )
    parser.add_argument("--method", choices=("lora", "full"), default="lora", help="what is trained")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: runs/MODEL-METHOD)")
    parser.add_argument(
        "--dataset", metavar="NAMES", help="train on these, separated by commas (default: all that fit)"
    )
    parser.add_argument(
        "--eval", metavar="NAMES", help="evaluate with these (default: NAME_eval, NAME_val … beside NAME)"
    )
    parser.add_argument("--media-dir", type=Path, metavar="DIR", help="the folder that media paths start from")
    parser.add_argument("--template", metavar="NAME", help="chat template, where the model's is not known or not meant")
    parser.add_argument("--gpus", type=int, metavar="N", help="GPUs of the run (default: those of this machine)")
    parser.add_argument(
        "--gpu-memory", type=float, metavar="GB", help="memory of one GPU, for the choice of ZeRO stage"
    )
    parser.add_argument("--precision", choices=("bf16", "fp16", "fp32"), help="number format (default: by the GPU)")
    parser.add_argument("--zero", choices=tuple(Zero), help="DeepSpeed's ZeRO stage (default: by model and GPUs)")
    parser.add_argument("--absolute", action="store_true", help="whole paths, instead of paths from this folder")
    parser.add_argument("--force", action="store_true", help="overwrite yamls that are there")


@dataclass(frozen=True, slots=True)
class Written:
    """The files of an experiment: name in its folder -> text, the train yaml last."""

    folder: Path
    files: Mapping[str, str]


def run(args: argparse.Namespace) -> int:
    """Write what can train; 1 where there is something that cannot, 2 where the call says too little."""
    if args.gpus is not None and args.gpus < 0:
        raise UsageFault(f"--gpus {args.gpus}", "a negative number", "0 for the CPU, or a number of GPUs")
    if args.gpu_memory is not None and not args.gpu_memory > 0:
        raise UsageFault(f"--gpu-memory {args.gpu_memory}", "no memory", "a number of GB above 0")
    places = Places(Path.cwd(), args.absolute)
    try:
        model = choose_model(args.model, args.template, places)
        if model.quantized and args.method == "full":
            raise NotTrainable(f"{model.name} is quantized: --method lora, or the model in its own precision")
    except NotTrainable as reason:
        sys.stderr.write(f"nothing written: {reason}\n")
        return 1
    out: Path = args.out if args.out is not None else Path("runs") / f"{model.slug}-{args.method}"
    where = places.named(out)
    if not args.force:
        refuse_overwriting(Path(where))
    asked = Asked(names(args.dataset), names(args.eval), args.media_dir)
    data = choose_data(args.target, model.template, asked)
    measured = measure(data, model, frozenset((*asked.train, *asked.evaluation)), Progress())
    if not measured.rows:
        return say_nothing_trains(measured)
    machine = choose_machine(args.gpus, args.gpu_memory, args.precision)
    zero = Zero(args.zero) if args.zero is not None else None
    heading = head(args.target, model, measured, args.method, args.absolute)
    plan = make_plan(model, measured, machine, args.method, zero, Path(where), places, heading)
    written = Written(Path(where), texts(plan, model))
    write(written)
    lines = (*summary(plan, measured, model, machine), *next_steps(written, model))
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))
    return 1 if model.blocked or measured.errors or measured.cut else 0


def names(text: str | None) -> tuple[str, ...]:
    """`a, b` as names."""
    return tuple(dict.fromkeys(name.strip() for name in (text or "").split(",") if name.strip()))


def refuse_overwriting(out: Path) -> None:
    """UsageFault where a yaml of an earlier call would be lost."""
    for name in (TRAIN, MERGE, *(zero.file_name for zero in Zero if zero is not Zero.NONE)):
        if (out / name).exists():
            raise UsageFault(out / name, "is there already", "a new folder", "name another with --out, or use --force")


def say_nothing_trains(measured: Measured) -> int:
    """Why there is nothing to write."""
    sys.stderr.write("nothing written: no row reaches the loss\n")
    for name, reason in measured.data.left_out:
        sys.stderr.write(f"  {printable(f'{name}: {reason}')}\n")
    for line in codes((*measured.errors, *measured.cut)):
        sys.stderr.write(f"  {line}\n")
    return 1


def texts(plan: Plan, model: Model) -> dict[str, str]:
    """File name -> text, in the order in which they are written."""
    files: dict[str, str] = {}
    if plan.deepspeed is not None:
        files[plan.zero.file_name] = plan.zero.text
    if plan.method == "lora" and not model.quantized:
        files[MERGE] = merge_yaml(plan)
    files[TRAIN] = train_yaml(plan)
    return files


def write(written: Written) -> None:
    """Each file whole or not at all."""
    try:
        written.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageFault(written.folder, f"cannot be made: {error.strerror}", "a folder for the yamls") from error
    for name, text in written.files.items():
        write_whole(written.folder / name, text)


def head(target: str, model: Model, measured: Measured, method: str, absolute: bool) -> tuple[str, ...]:
    """The lines at the top of the train yaml: what it is, and what a reader must know before the run."""
    lines = [
        f"{model.name}, {'LoRA' if method == 'lora' else 'all of the language model'}, on {target}: `curate init`."
    ]
    if not absolute:
        lines.append("Paths run from the folder in which it was called; run the trainer there.")
    if model.blocked:
        lines += ["", *wrapped(f"NOT TRAINABLE HERE: {model.blocked}.")]
    if model.known:
        lines += ["", *wrapped(f"Known trouble: {model.known}.")]
    if model.others:
        lines += wrapped(f"Other templates for this type of model: {', '.join(model.others)}.")
    lines += [part for each in left_out(measured) for part in wrapped(each)]
    if measured.cut:
        lines += wrapped(f"Cut even at the model's longest input: {rows_named(measured.cut)}.")
    if measured.errors:
        lines += wrapped(f"The data have errors ({', '.join(codes(measured.errors))}): `curate check` names the rows.")
    if model.template.plugin == "MiniCPMVPlugin":
        lines += wrapped(fork_words())
    return tuple(lines)


def left_out(measured: Measured) -> list[str]:
    """What is not trained on, and why."""
    return [f"Left out: {name} ({reason})." for name, reason in measured.data.left_out]


def rows_named(findings: tuple[Finding, ...]) -> str:
    """The first rows, and how many more."""
    rows = list(dict.fromkeys(f"{each.dataset} row {each.place.row}" for each in findings))
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return ", ".join(rows[:SHOWN]) + more


def codes(findings: tuple[Finding, ...]) -> list[str]:
    """How often each code was found."""
    counted = Counter(f"{each.code} {each.name}" for each in findings)
    return [f"{count} × {code}" for code, count in sorted(counted.items())]


def summary(plan: Plan, measured: Measured, model: Model, machine: Machine) -> list[str]:
    """What was inferred, for the screen."""
    lines = [f"{model.name}: template {plan.template}{', its own code' if plan.own_code else ''}"]
    trained = f"{', '.join(plan.datasets)}: {measured.rows} rows"
    lines.append(f"  trains on {trained}" + (f"; evaluates with {', '.join(plan.evaluation)}" * bool(plan.evaluation)))
    lines.append(f"  cutoff_len {plan.cutoff_len}: {plan.cutoff_words}")
    lines += [f"  {knob} {value:g}: {reason}" for knob, (value, reason) in plan.limits.items()]
    hardware = f"{machine.gpus} GPU{'s' * (machine.gpus != 1)}, {machine.precision}" if machine.gpus else "CPU"
    lines.append(f"  {hardware}{' (this machine)' if machine.seen else ''}; {plan.steps} steps")
    if plan.deepspeed is not None:
        lines.append(f"  {plan.zero.meaning}")
    short = plan.parameters is not None and 2 * plan.parameters > FOR_MODEL * 1e9 * machine.memory
    if machine.gpus == 1 and plan.method == "lora" and short and plan.zero is Zero.NONE:
        lines.append(f"  too large for {machine.memory:g} GB unless quantization_bit: 4 is set")
    if machine.gpus and plan.zero is not Zero.NONE and machine.memory == USUAL_MEMORY:
        lines.append(f"  for GPUs of {USUAL_MEMORY:g} GB: --gpu-memory says another size")
    lines += [f"  {line[0].lower()}{line[1:].removesuffix('.')}" for line in left_out(measured)]
    if model.chat:
        lines.append(f"  a base model: {model.chat} is the one that was taught to chat")
    if measured.cut:
        lines.append(f"  cut all the same: {rows_named(measured.cut)}")
    if measured.errors:
        lines.append(f"  errors in the data: {', '.join(codes(measured.errors))}")
    if model.known:
        lines.append(f"  known trouble: {model.known}")
    if model.blocked:
        lines.append(f"  NOT TRAINABLE HERE: {model.blocked}")
    return lines


def next_steps(written: Written, model: Model) -> list[str]:
    """The commands that follow."""
    files, folder = written.files, written.folder
    lines = [f"wrote {', '.join(str(folder / name) for name in files)}", "next:"]
    lines += [f"  curate check {folder / TRAIN}", f"  curate train {folder / TRAIN} --dry-run"]
    lines.append(f"  curate train {folder / TRAIN}")
    if MERGE in files:
        lines.append(f"  curate export {folder / MERGE}")
    else:
        reason = f"full fine-tuning leaves the whole model in {folder / 'output'}"
        if model.quantized:
            reason = f"{folder / 'output'} is used beside the quantized base, which takes no adapter in"
        lines.append(f"  nothing to merge: {reason}")
        if (folder / MERGE).exists():
            lines.append(f"  {folder / MERGE} is of an earlier call, and merges nothing of this one")
    return lines
