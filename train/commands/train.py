"""`curate train x.yaml`: check, train with LLaMA-Factory, verify what came out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from curate.commands.configured import add_environment
from curate.doctor import diagnosis
from train import trainer
from train.builds import lock_words
from train.cluster import Cluster
from train.environments.choose import enter, wanted_for
from train.environments.environment import running
from train.preflight import options as preflight
from train.resume import last_checkpoint
from train.runs.begin import begin, result_of
from train.runs.losses import read_losses
from train.runs.record import RunFile
from train.runs.words import curve
from train.trackers import refuse_without_login
from train.verify import Proof, verify_run
from train.watch import QUIET, Watcher
from validators.errors import UsageFault
from validators.report.model import Report
from validators.report.text import render
from validators.settings import read_yaml


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_environment(parser)
    parser.add_argument("yaml", type=Path, help="a LLaMA-Factory train yaml")
    parser.add_argument("--force", action="store_true", help="train although the check found errors")
    parser.add_argument("--resume", action="store_true", help="go on from the last whole checkpoint in output_dir")
    preflight.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Refuse what cannot train, train the rest, and prove it."""
    settings = read_yaml(args.yaml)
    if "export_dir" in settings or "output_dir" not in settings:
        raise UsageFault(args.yaml, "no output_dir", "a train yaml (`curate export` takes merge yamls)")
    missing = None
    try:
        enter(wanted_for(str(args.yaml), settings, args.env), args.words, args.force)
        trainer.refuse_fork_keys(str(args.yaml), settings)
    except UsageFault as fault:
        if not args.dry_run:  # an estimate can be had without the trainer
            raise
        missing = diagnosis.error(fault.found, f"the run needs {fault.expected}", fault.cure, fault.where)
    refuse_without_login(settings, os.environ, Path.home())
    overrides = []
    if args.resume:
        checkpoint = last_checkpoint(Path(str(settings["output_dir"])))
        say(f"going on from {checkpoint}\n")
        # overwrite_output_dir would remove the log of what was trained so far
        overrides = [f"resume_from_checkpoint={checkpoint}", "overwrite_output_dir=false"]
    words = ["train", str(args.yaml), *overrides]
    cluster = trainer.find_cluster(settings, words)
    found = preflight.look(args.yaml, args.env, missing)
    if args.dry_run:
        return preflight.dry_run(args, found)
    report = found.report
    # each node checks: the same data is refused on all of them at once, and none waits for the others
    say(
        render(report)
        if cluster.leads or report.refusal
        else f"{cluster.words()}: checked; the node that leads reports\n"
    )
    if report.refusal and not args.force:
        say(f"not trained: {report.refusal}; --force trains all the same\n")
        return 1
    if cluster.leads and not preflight.passes_drill(args, found):
        say("not trained: the drill failed; --no-drill trains all the same\n")
        return 1
    place = f", {cluster.words()}" if cluster.nodes > 1 else ""
    added = "".join(f" and train.plugins.{name}" for name in trainer.added_to(settings))
    say(f"training with {running().words()}{added}: {args.yaml}{place}\n")
    if settings.get("deepspeed") and (left := lock_words(QUIET)):
        say(f"curate: {left}\n")
    watcher = watcher_of(report, settings)
    if not cluster.leads:
        return followed(cluster, trainer.run(words, settings, watcher))
    record = begin(args.yaml, settings, overrides, report, args.force)
    try:
        outcome = trainer.run(words, settings, watcher)
    except KeyboardInterrupt:
        record.end("interrupted", "", result_of(record, watcher))
        raise
    return ended(record, settings, watcher, outcome)


def followed(cluster: Cluster, outcome: trainer.Outcome) -> int:
    """Say how a node ended that keeps no record and verifies nothing, for the output may lie on another; its code."""
    if outcome.code != 0:
        say(f"{cluster.words()}: llamafactory-cli train ended with {outcome.code}: {outcome.last_error()}\n")
        return 1
    say(f"{cluster.words()}: ended well; the node that leads verifies and keeps the record\n")
    return 0


def ended(record: RunFile, settings: Mapping[str, object], watcher: Watcher, outcome: trainer.Outcome) -> int:
    """Verify what the trainer left, write down how it ended, and say so; the exit code."""
    if watcher.seen:
        say(f"seen in the trainer's output: {'; '.join(watcher.summary())}\n")
    result = result_of(record, watcher)
    if outcome.code != 0:
        fault = f"llamafactory-cli train ended with {outcome.code}: {outcome.last_error()}"
        record.end("failed", fault, result)
        say(f"{fault}\n")
        return 1
    proofs = verify_run(settings)
    failed = [proof.line() for proof in proofs if not proof.passed]
    record.end("failed" if failed else "finished", "; ".join(failed), result)
    proofs.append(Proof("record", record.path, True, "settings, base and data by hash"))
    drawn = curve(read_losses(record.path.parent, record.since))
    say(f"loss {drawn}  curate runs {record.path.parent} --html FILE draws it\n" if drawn else "")
    say("verified:\n" + "".join(f"  {proof.line()}\n" for proof in proofs))
    return 1 if failed else 0


def watcher_of(report: Report, settings: Mapping[str, object]) -> Watcher:
    """A watcher that knows how many tokens an epoch has, where all rows to train on were counted."""
    trained = [dataset for dataset in report.datasets if not dataset.evaluates]
    whole = all(dataset.counted >= dataset.reaching for dataset in trained)
    epochs, most = settings.get("num_train_epochs", 3.0), settings.get("max_steps")
    limited = isinstance(most, int) and most > 0  # then num_train_epochs says nothing
    return Watcher(
        tokens=sum(dataset.tokens for dataset in trained) if whole and not limited else 0,
        epochs=float(epochs) if isinstance(epochs, int | float) else 3.0,
    )


def say(text: str) -> None:
    """Words to the screen at once: the trainer writes to the same one."""
    sys.stdout.write(text)
    sys.stdout.flush()
