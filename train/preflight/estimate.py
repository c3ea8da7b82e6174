"""All figures of one run, gathered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from curate.doctor.diagnosis import Diagnosis
from curate.doctor.environment import Environment
from train.environments.environment import this_environment
from train.preflight import disk, memory, pace
from train.preflight.figures import Range
from train.preflight.machine import Machine, own_memory
from train.preflight.parameters import Parameters, count_parameters
from train.preflight.schedule import Schedule, schedule
from train.preflight.schedule import as_json as schedule_json
from train.preflight.survey import Survey
from validators.findings import Severity
from validators.replay.arguments import Arguments
from validators.report.model import Report
from validators.sources.target import CheckPlan


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take; a text in the place of a figure says why it is not known."""

    yaml: str
    machine: Machine
    schedule: Schedule | str
    pace: pace.Pace
    parameters: Parameters | str
    memory: memory.Memory | str
    choices: tuple[tuple[str, Range], ...]
    """The device's memory with other DeepSpeed settings, by their names."""
    disk: disk.Disk | str
    room: int | None
    """Memory of the smallest GPU, of the machine where it trains on the CPU; None where that is not known."""
    environment: Environment
    diagnoses: tuple[Diagnosis, ...]

    @property
    def problems(self) -> list[str]:
        """What will stop the run, or is bound to."""
        found = [item.found for item in self.diagnoses if item.severity is Severity.ERROR]
        if isinstance(self.schedule, str) and self.schedule.startswith("nothing is trained"):
            found.append(self.schedule)
        if not isinstance(self.memory, str) and self.room is not None and self.memory.total.low > self.room:
            found.append("the least memory of the estimate is more than the device has")
        if not isinstance(self.disk, str) and self.disk.too_little:
            found.append("the checkpoints do not fit on the disk")
        return found


def estimate(
    plan: CheckPlan,
    report: Report,
    survey: Survey,
    machine: Machine,
    environment: Environment,
    missing: Diagnosis | None = None,
) -> Estimate:
    """From what the check saw, the model's files and this machine; missing: why no environment here can run it."""
    from curate.doctor.needs import NEEDS, read_run

    settings = plan.settings
    arguments = Arguments(settings.raw, trainer=settings.trainer)
    told = schedule(plan, report, survey, machine)
    parameters: Parameters | str = "parameters, memory and disk need the trainer's own files"
    if this_environment() is not None:
        parameters = count_parameters(settings.model, arguments)
    held: memory.Memory | str = parameters if isinstance(parameters, str) else ""
    choices: tuple[tuple[str, Range], ...] = ()
    written: disk.Disk | str = parameters if isinstance(parameters, str) else ""
    if not isinstance(parameters, str):
        written = disk.estimate(
            arguments, told, parameters, memory.ways_of(arguments, parameters, machine.gpu_memory is not None)
        )
        held = told if isinstance(told, str) else ""
        if arguments.given("fsdp") and arguments.on("fsdp"):
            held = "fsdp is not estimated"
        elif not isinstance(told, str):
            held = memory.estimate(parameters, arguments, machine, told.batch, told.longest)
            choices = memory.choices(parameters, arguments, machine, told.batch, told.longest)
    run = read_run(Path(str(settings.file)))
    # notes are about starting the trainer by hand
    found = (item for need in NEEDS for item in need.find(environment, run))
    diagnoses = tuple(item for item in found if item.severity is not Severity.NOTE) if missing is None else (missing,)
    room = own_memory() if machine.gpu_memory is None and arguments.on("use_cpu") else machine.gpu_memory
    return Estimate(
        str(settings.file), machine, told, pace.measure(settings, survey, machine), parameters, held, choices, written,
        room, environment, diagnoses,
    )  # fmt: skip


def as_json(found: Estimate) -> Mapping[str, object]:
    """For programs: sizes in bytes, times in seconds, ranges as low and high."""
    return {
        "machine": asdict(found.machine) | {"memory": found.room},
        "schedule": schedule_json(found.schedule),
        "preprocessing": pace.as_json(found.pace),
        "parameters": {"unknown": found.parameters} if isinstance(found.parameters, str) else asdict(found.parameters),
        "memory": memory.as_json(found.memory),
        "memory_by_zero": {name: [round(amount.low), round(amount.high)] for name, amount in found.choices},
        "disk": disk.as_json(found.disk),
        "environment": [asdict(item) for item in found.diagnoses],
        "problems": found.problems,
    }
