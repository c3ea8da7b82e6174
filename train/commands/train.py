"""`curate train x.yaml`: check, train with LLaMA-Factory, verify what came out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from curate.commands.configured import check_configured
from train import trainer
from train.record import write_record
from train.resume import last_checkpoint
from train.verify import Proof, verify_run
from train.watch import Watcher
from validators.errors import UsageFault
from validators.report.model import Report
from validators.report.text import render
from validators.settings import PLUGIN, TrainerSettings, read_yaml
from validators.sources.target import resolve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("yaml", type=Path, help="a LLaMA-Factory train yaml")
    parser.add_argument("--force", action="store_true", help="train although the check found errors")
    parser.add_argument("--resume", action="store_true", help="go on from the last whole checkpoint in output_dir")


def run(args: argparse.Namespace) -> int:
    """Refuse what cannot train, train the rest, and prove it."""
    settings = read_yaml(args.yaml)
    if "export_dir" in settings or "output_dir" not in settings:
        raise UsageFault(args.yaml, "no output_dir", "a train yaml (`curate export` takes merge yamls)")
    trainer.refuse_fork_keys(str(args.yaml), settings)
    overrides = []
    if args.resume:
        checkpoint = last_checkpoint(Path(str(settings["output_dir"])))
        say(f"going on from {checkpoint}\n")
        # overwrite_output_dir would remove the log of what was trained so far
        overrides = [f"resume_from_checkpoint={checkpoint}", "overwrite_output_dir=false"]
    report = check_configured(str(args.yaml))
    say(render(report))
    if report.refusal and not args.force:
        say(f"not trained: {report.refusal}; --force trains all the same\n")
        return 1
    added = f" and {PLUGIN}" if trainer.unknown_fork_keys(settings) else ""
    say(f"training with llamafactory {trainer.installed_version()}{added}: {args.yaml}\n")
    watcher = watcher_of(report, settings)
    outcome = trainer.run(["train", str(args.yaml), *overrides], settings, watcher)
    if watcher.seen:
        say(f"seen in the trainer's output: {'; '.join(watcher.summary())}\n")
    if outcome.code != 0:
        say(f"llamafactory-cli train ended with {outcome.code}: {outcome.last_error()}\n")
        return 1
    proofs = verify_run(settings)
    if all(proof.passed for proof in proofs):
        plan = resolve(str(args.yaml), TrainerSettings(), None)
        record = write_record(Path(str(settings["output_dir"])), args.yaml, settings, plan)
        proofs.append(Proof("record", record, True, "settings, base and data by hash"))
    say("verified:\n" + "".join(f"  {proof.line()}\n" for proof in proofs))
    return 0 if all(proof.passed for proof in proofs) else 1


def watcher_of(report: Report, settings: Mapping[str, object]) -> Watcher:
    """A watcher that knows how many tokens an epoch has, where all rows to train on were counted."""
    trained = [dataset for dataset in report.datasets if not dataset.evaluates]
    whole = all(dataset.counted >= dataset.reaching for dataset in trained)
    epochs = settings.get("num_train_epochs", 3.0)
    return Watcher(
        tokens=sum(dataset.tokens for dataset in trained) if whole else 0,
        epochs=float(epochs) if isinstance(epochs, int | float) else 3.0,
    )


def say(text: str) -> None:
    """Words to the screen at once: the trainer writes to the same one."""
    sys.stdout.write(text)
    sys.stdout.flush()
