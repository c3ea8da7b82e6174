"""The options by which a dataset is read as one training would read it, and what they stand for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from curate.commands.configured import add_environment, folder_of, with_defaults
from validators.config import find_config
from validators.engine import CheckOptions, run_of
from validators.errors import UsageFault
from validators.policy import Layer, Policy, policy_of
from validators.report.escaping import printable
from validators.rules.rule import RunView
from validators.settings import TrainerSettings, read_yaml, settings_of
from validators.sources.target import CheckPlan, DatasetPlan, merged, resolve
from validators.thresholds import thresholds_of

TARGET = "a train yaml, a dataset_info.json[:name], a data file of conversations, or a build folder"
YAML_SUFFIXES = (".yaml", ".yml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument(
        "--trainer", type=Path, metavar="FILE", help="a train yaml to count tokens by, where the target is none"
    )
    parser.add_argument("--template", help="chat template, where the target names none")
    parser.add_argument("--model", help="model folder or hub name, for tokenizer and processor settings")
    parser.add_argument("--tokenizer", help="a tokenizer.json or the folder that holds one")
    parser.add_argument("--cutoff-len", type=int, help="cutoff_len, where the target names none")
    parser.add_argument("--media-dir", help="the folder that media paths start from")
    add_environment(parser)


def find_run(target: str, args: argparse.Namespace) -> RunView:
    """What is known before the first row; UsageFault where there is no dataset to read."""
    given = CheckOptions(
        template=args.template,
        model=args.model,
        tokenizer=args.tokenizer,
        cutoff_len=args.cutoff_len,
        media_dir=args.media_dir,
        environment=args.env,
    )
    config = find_config(folder_of(target))
    if args.trainer is None:
        given = with_defaults(given, config, target)
    overrides = TrainerSettings(
        template=given.template, model=given.model, tokenizer=given.tokenizer, environment=given.environment or ""
    )
    if given.cutoff_len is not None:
        overrides = replace(overrides, cutoff_len=given.cutoff_len)
    if args.trainer is not None:
        if Path(target).suffix in YAML_SUFFIXES:
            raise UsageFault(f"--trainer {args.trainer}", f"{target} is a train yaml itself", "one of the two")
        overrides = merged(settings_of(read_yaml(args.trainer), str(args.trainer)), overrides)
    limits = thresholds_of((name, value, f"{config.file}: thresholds.{name}") for name, value in config.thresholds)
    return readable(run_of(resolve(target, overrides, given.media_dir), replace(given, thresholds=limits)))


def find_datasets(target: str) -> RunView:
    """The same for reading alone: nothing is counted by a trainer."""
    options = with_defaults(CheckOptions(), find_config(folder_of(target)), target)
    return readable(run_of(resolve(target, TrainerSettings(), options.media_dir), CheckOptions()))


def find_policy(target: str) -> Policy:
    """What the configuration near the target wants reported."""
    return policy_of(find_config(folder_of(target)), Layer())


def named(plan: CheckPlan, name: str | None) -> tuple[DatasetPlan, ...]:
    """The dataset of this name, or all without one."""
    found = tuple(dataset for dataset in plan.datasets if name in (None, dataset.entry.name))
    if not found:
        known = ", ".join(dataset.entry.name for dataset in plan.datasets)
        raise UsageFault(f"--dataset {name}", "no such dataset is read", f"one of {known}")
    return found


def readable(run: RunView) -> RunView:
    """The run, if it has a dataset; UsageFault with what is wrong with its entries where it has none."""
    if not run.plan.datasets:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in not_read(run.plan))
        raise UsageFault(run.plan.target, reasons or "it names no dataset", "a dataset that can be read")
    return run


def not_read(plan: CheckPlan) -> Iterator[tuple[str, str]]:
    """Names of datasets that the target has and that are not read, and why."""
    for unknown in plan.undefined:
        near = f"; did you mean {unknown.nearest[0]!r}?" if unknown.nearest else ""
        yield unknown.name, f"no such name in {unknown.info_file}{near}"
    for bad in plan.bad_entries:
        yield bad.name, f"{bad.found}; expected {bad.expected}"
    for name in plan.passed_over:
        yield name, "on a hub, or preference data"


def warn_not_read(plan: CheckPlan) -> None:
    """Say on stderr what is not read."""
    for name, reason in not_read(plan):
        sys.stderr.write(f"curate: not read: {printable(name)}: {printable(reason)}\n")
