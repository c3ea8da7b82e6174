"""The record of a run, begun before the trainer starts and ended with what it left behind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from train.environments.environment import running
from train.resume import checkpoints, going_on
from train.runs import facts
from train.runs.losses import STATE, read_losses, written
from train.runs.record import NAME, RunFile
from train.trackers import trackers_of
from train.watch import Watcher
from validators.report.model import Report
from validators.settings import TrainerSettings
from validators.sources.target import resolve


def begin(file: Path, settings: Mapping[str, object], overrides: list[str], report: Report, forced: bool) -> RunFile:
    """Write run.json into the run's output folder. `overrides`: what the command line adds, as `key=value`.

    Hashes all data files and the base model, so that the record is of what was there when the run began.
    """
    out = Path(str(settings["output_dir"]))
    given = dict(each.split("=", 1) for each in overrides)
    plan = resolve(str(file), TrainerSettings(), None)
    about: dict[str, object] = {
        "output_dir": str(out),
        "folder": str(Path.cwd()),
        "settings": facts.settings_of_run(file, settings, overrides),
        "launcher": facts.launcher(),
        "trackers": list(trackers_of(settings)),
        "environment": running().as_json(),
        "versions": facts.versions(),
        "git": facts.git_state(Path.cwd()),
        "base": facts.base_of(settings),
        "data": facts.data_of(plan, report),
        "check": facts.check_of(report, forced),
    }
    record = RunFile(out / NAME)
    record.start(about, going_on({**settings, **given}))
    return record


def result_of(record: RunFile, watcher: Watcher) -> dict[str, object]:
    """What a run left so far: steps, losses, speed, checkpoints, and the signs that its output held.

    An earlier run's files, which overwrite_output_dir leaves where they are, are not counted.
    """
    out = record.path.parent
    losses = read_losses(out, record.since)
    return {
        "steps": losses.step,
        "total_steps": losses.total,
        "first_loss": losses.trained[0][1] if losses.trained else None,
        "last_loss": losses.last,
        "last_eval_loss": losses.evaluated[-1][1] if losses.evaluated else None,
        "tokens_per_second": watcher.tokens_per_second,
        "checkpoints": [
            folder.name for _, folder in sorted(checkpoints(out)) if written(folder / STATE) >= record.since
        ],
        "signs": dict(watcher.seen),
        "explained": watcher.explained(),
    }
