"""`curate train --dry-run` and `--drill`: the options, and what they do."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from curate.commands.configured import check_configured
from curate.doctor.diagnosis import Diagnosis
from curate.doctor.environment import Environment, take_snapshot
from curate.progress import Progress
from train.preflight.drill import MOST_ROWS, Result, drill
from train.preflight.drill import as_json as drill_json
from train.preflight.estimate import as_json, estimate
from train.preflight.machine import Machine, find_machine
from train.preflight.schedule import Schedule, schedule
from train.preflight.survey import Survey
from train.preflight.words import render, render_drill
from validators.engine import CheckOptions
from validators.replay.arguments import Arguments
from validators.report.model import Report
from validators.report.text import render as render_report
from validators.settings import TrainerSettings
from validators.sources.target import CheckPlan, resolve

SCHEMA = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what the run will take: steps, tokens, time, memory, disk; train not",
    )
    parser.add_argument(
        "--drill",
        action=argparse.BooleanOptionalAction,
        help="send the heaviest rows through the trainer before the run, a step for each kind of load; without a word: "
        "where there is a GPU",
    )
    parser.add_argument(
        "--output-format", choices=("text", "json"), default="text", help="of --dry-run: words, or JSON for programs"
    )


@dataclass(frozen=True, slots=True)
class Preflight:
    """A checked run, and what the check saw of it."""

    plan: CheckPlan
    report: Report
    survey: Survey
    machine: Machine
    environment: Environment
    missing: Diagnosis | None = None
    """Why there is no environment that the run can be started in."""

    @property
    def schedule(self) -> Schedule | str:
        """Its steps."""
        return schedule(self.plan, self.report, self.survey, self.machine)


def look(yaml: Path, named: str | None = None, missing: Diagnosis | None = None) -> Preflight:
    """Check a train yaml as `curate check --env NAMED` does, and keep what the estimates need."""
    plan = resolve(str(yaml), TrainerSettings(environment=named or ""), None)
    environment = take_snapshot()
    machine = find_machine(plan.settings.raw, environment.driver)
    survey = Survey(plan.settings, min(batch_of(plan.settings) * machine.processes, MOST_ROWS))
    options = CheckOptions(
        environment=named, progress=Progress(), watch=survey.see, processes=machine.world, plugins=True
    )
    report = check_configured(str(yaml), options)
    return Preflight(plan, report, survey, machine, environment, missing)


def batch_of(settings: TrainerSettings) -> int:
    """per_device_train_batch_size."""
    return Arguments(settings.raw, trainer=settings.trainer).whole("per_device_train_batch_size", 8)


def drills(args: argparse.Namespace, found: Preflight) -> bool:
    """Whether the run is to be drilled."""
    if args.drill is not None:
        return bool(args.drill)
    return not args.dry_run and found.machine.gpu_memory is not None and not isinstance(found.schedule, str)


def run_drill(found: Preflight) -> Result | str:
    """The heaviest rows through the trainer; in words why that is not possible."""
    told = found.schedule
    if isinstance(told, str):
        return told
    return drill(found.plan, found.survey, found.machine, told.batch)


def passes_drill(args: argparse.Namespace, found: Preflight) -> bool:
    """Drill before a run where that is wanted, and say how it went."""
    if not drills(args, found):
        return True
    sys.stdout.write("drill: the heaviest rows go through the trainer first; --no-drill leaves that out\n")
    sys.stdout.flush()
    result = run_drill(found)
    sys.stdout.write(render_drill(result, found.schedule, found.machine))
    return isinstance(result, str) or not result.fault


def dry_run(args: argparse.Namespace, found: Preflight) -> int:
    """Say what the run will take; 1 where it would not start, or would not come to its end."""
    told = estimate(found.plan, found.report, found.survey, found.machine, found.environment, found.missing)
    report = found.report
    result: Result | str | None = None
    if args.output_format == "text":
        sys.stdout.write(render_report(report) + render(told))
        sys.stdout.flush()
    if drills(args, found) and not report.refusal and found.missing is None:
        result = run_drill(found)
    failed = isinstance(result, Result) and bool(result.fault)
    problems = [*([report.refusal] if report.refusal else []), *told.problems]
    if args.output_format == "json":
        check = {
            "refusal": report.refusal,
            "errors": report.errors,
            "warnings": report.warnings,
            "rows": report.trained_in,
            "lost": report.lost,
        }
        value = {"schema": SCHEMA, "yaml": told.yaml, "check": check, **as_json(told)}
        value["problems"] = problems
        if result is not None:
            value["drill"] = drill_json(result)
        sys.stdout.write(json.dumps(value, indent=2) + "\n")
    else:
        if result is not None:
            sys.stdout.write(render_drill(result, found.schedule, found.machine))
        sys.stdout.write(f"would not be trained: {'; '.join(problems)}\n" if problems else "nothing was trained\n")
    return 1 if problems or failed else 0
