"""An estimate and a drill in words."""

from __future__ import annotations

from collections.abc import Iterator

from curate.doctor.environment import Environment
from train.preflight import pace
from train.preflight.disk import Disk
from train.preflight.drill import Result
from train.preflight.estimate import Estimate
from train.preflight.figures import Range, size, sizes
from train.preflight.machine import Machine
from train.preflight.memory import Memory
from train.preflight.parameters import Parameters
from train.preflight.schedule import Schedule
from train.watch import duration

NAMED = ("llamafactory", "transformers", "torch", "deepspeed", "flash-attn")
ROWS_NAMED = 8


def number(value: float) -> str:
    """`12,345`; a fraction as it is."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def numbers(amount: Range) -> str:
    """A number, or from and to."""
    return number(amount.low) if amount.low == amount.high else f"{number(amount.low)} to {number(amount.high)}"


def render(found: Estimate) -> str:
    """For people: one line a figure."""
    lines: list[tuple[str, str]] = [
        *machine_lines(found.machine),
        *schedule_lines(found.schedule, found.machine),
        *pace_lines(found.pace),
        *parameter_lines(found.parameters),
        *(memory_lines(found.memory, found.room, found.machine) if found.memory != found.parameters else ()),
        *(
            [("by ZeRO", ", ".join(f"{name} {sizes(amount)}" for name, amount in found.choices))]
            if found.choices
            else []
        ),
        *disk_lines(found.disk),
        ("environment", environment_words(found.environment)),
        *((item.severity.value, f"{item.found}; {item.cure}") for item in found.diagnoses),
    ]
    return f"dry run of {found.yaml}\n" + "".join(f"  {name + ':':<15} {words}\n" for name, words in lines)


def machine_lines(machine: Machine) -> Iterator[tuple[str, str]]:
    """Processes and what they run on."""
    on = "CPU" if machine.gpu_memory is None else f"GPU of {size(machine.gpu_memory)}"
    nodes = f" on {machine.nodes} nodes" if machine.nodes > 1 else ""
    yield "processes", f"{machine.world}{nodes}, {on}{', by torchrun' if machine.torchrun else ''}"
    if machine.guessed:
        yield "note", f"one process for {machine.guessed}: set NPROC_PER_NODE and FORCE_TORCHRUN=1 for what you have"


def schedule_lines(told: Schedule | str, machine: Machine) -> Iterator[tuple[str, str]]:
    """Steps, tokens and padding."""
    if isinstance(told, str):
        yield "steps", f"not known: {told}"
        return
    packed = f" in {numbers(told.sequences)} packs" if told.sequences != told.rows else ""
    devices = f" × {machine.world} processes" if machine.world > 1 else ""
    yield "rows", f"{numbers(told.rows)} an epoch{packed}"
    yield (
        "steps",
        f"{numbers(told.steps)} in all, {numbers(told.steps_of_epoch)} an epoch × {numbers(told.epochs)} epochs; "
        f"batch {told.batch} × accumulation {told.accumulated}{devices}",
    )
    yield (
        "tokens",
        f"{numbers(told.tokens)} an epoch, {numbers(told.supervised)} of them supervised; "
        f"{numbers(told.supervised_in_all)} supervised in all",
    )
    if told.padding is not None:
        yield "padding", f"{told.padding:.1%} of the places in a batch; the longest sequence has {told.longest} tokens"
    for note in told.notes:
        yield "note", note


def pace_lines(found: pace.Pace) -> Iterator[tuple[str, str]]:
    """The preparation of the data."""
    on = f"{found.workers} worker{'s' * (found.workers > 1)}"
    low, high = duration(found.seconds.low), duration(found.seconds.high)
    rests = ", ".join(f"{part.timed} of {part.count} {part.what}" for part in found.parts)
    yield "preprocessing", f"{low} to {high} on {on}, from {rests or 'nothing'} timed here"
    if found.too_long:
        yield "warning", pace.advice(found)


def parameter_lines(found: Parameters | str) -> Iterator[tuple[str, str]]:
    """The model."""
    if isinstance(found, str):
        yield "model", f"parameters, memory and disk need the model's files: {found}"
        return
    share = found.trainable / (found.total + (found.trainable if found.adapter else 0))
    yield "model", f"{number(found.total)} parameters; {number(found.trainable)} are trained ({share:.2%})"


def memory_lines(found: Memory | str, room: int | None, machine: Machine) -> Iterator[tuple[str, str]]:
    """Of one device."""
    if isinstance(found, str):
        yield "memory", f"not known: {found}"
        return
    yield (
        "memory",
        f"{sizes(found.total)} a process: weights {sizes(found.weights)}, gradients {sizes(found.gradients)}, "
        f"optimizer {sizes(found.optimizer)}, activations {sizes(found.activations)}, logits {sizes(found.logits)}",
    )
    if found.host.high:
        yield "memory", f"offloaded to each node: {sizes(found.host)}"
    if room is not None:
        each = room if machine.gpu_memory is not None else room // machine.processes
        fits = "does not fit" if found.total.low > each else "fits" if found.total.high * 1.1 < each else "may not fit"
        yield "memory", f"{fits} in {size(each)}; libraries, the vision tower's activations and fragments come on top"


def disk_lines(found: Disk | str) -> Iterator[tuple[str, str]]:
    """What is written."""
    if isinstance(found, str):
        return
    rows = f", prepared rows {size(found.rows)}" if found.rows else ""
    merged = f"; merged into its base later, {size(found.merged)}" if found.merged else ""
    yield (
        "disk",
        f"{sizes(found.needed)}: {found.checkpoints} checkpoints of {sizes(found.checkpoint)}, the model at the end "
        f"{sizes(found.model)}{rows}{merged}; {size(found.free)} free at {found.folder}",
    )


def environment_words(environment: Environment) -> str:
    """Versions in one line."""
    packages = ((name, environment.package(name)) for name in NAMED)
    versions = ", ".join(f"{name} {package.version if package else '-'}" for name, package in packages)
    driver = environment.driver
    gpus = ", ".join(gpu.name for gpu in driver.gpus) or "no GPU"
    return f"Python {environment.python}, {versions}; {gpus}"


def render_drill(result: Result | str, told: Schedule | str, machine: Machine) -> str:
    """What the drill showed."""
    if isinstance(result, str):
        return f"drill: not run: {result}\n"
    lines = [f"drill: {len(result.steps)} batch{'es' * (len(result.steps) != 1)} of the heaviest rows went through"]
    for step in result.steps:
        what = ", ".join(f"most {load.value}" for load in step.loads)
        loss = "" if step.loss is None else f", loss {step.loss:.4g}"
        lines.append(f"  {what} ({step.weight:.0f}): {step.seconds:.1f} s{loss}; {some(step.rows)}")
    if result.peak.gpu:
        lines.append(f"  peak memory: GPU {size(result.peak.gpu)}, reserved {size(result.peak.reserved)}")
    elif result.peak.host:
        lines.append(f"  peak memory: {size(result.peak.host)} a process")
    if machine.nodes > 1:
        lines.append(
            f"  on this node alone: what ZeRO shares over {machine.nodes} nodes takes more here than in the run"
        )
    if result.fault:
        where = f" {result.where}" if result.where else ""
        lines.append(f"drill: failed{where}: {result.fault}" + (f"; {result.cure}" if result.cure else ""))
        if result.rows:
            lines.append(f"  {'row' if len(result.rows) == 1 else 'rows of the batch'}: {some(result.rows)}")
        lines += [f"  | {line}" for line in result.tail]
    elif not isinstance(told, str) and result.slowest:
        seconds = result.slowest * told.accumulated * told.steps.high
        lines.append(f"  at most {duration(seconds)} for {numbers(told.steps)} steps, were all as heavy as these")
    return "\n".join(lines) + "\n"


def some(rows: tuple[str, ...]) -> str:
    """Rows by name, not all of a large batch."""
    more = f" and {len(rows) - ROWS_NAMED} more" if len(rows) > ROWS_NAMED else ""
    return ", ".join(rows[:ROWS_NAMED]) + more
