"""`curate export merge.yaml`: check, merge adapters into their base, prove the merge."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from curate.commands.configured import add_environment, check_configured
from train import trainer
from train.environments.choose import enter, wanted_for
from train.export.answer import verify_answer
from train.export.files import restore
from train.export.merge import check_merge, read_merge
from train.export.prove import verify_merge, write_proof
from train.export.vllm import verify_vllm
from train.verify import Proof
from validators.engine import CheckOptions
from validators.report.text import render
from validators.settings import read_yaml


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_environment(parser)
    parser.add_argument("yaml", type=Path, help="a LLaMA-Factory merge yaml")
    parser.add_argument(
        "--vllm",
        action="store_true",
        help="also hold the merged model's architecture and tensor names against what vLLM loads",
    )


def run(args: argparse.Namespace) -> int:
    """Merge only what belongs together, and prove the result."""
    settings = read_yaml(args.yaml)
    enter(wanted_for(str(args.yaml), settings, args.env), args.words)
    trainer.refuse_fork_keys(str(args.yaml), settings)
    merge = read_merge(args.yaml, settings)
    report = check_configured(str(args.yaml), CheckOptions(environment=args.env))
    proofs = check_merge(merge)
    say(render(report) + lines("before the merge", proofs))
    if report.refusal or not all(proof.passed for proof in proofs):
        return 1
    outcome = trainer.run(["export", str(args.yaml)], settings)
    if outcome.code != 0:
        say(f"llamafactory-cli export ended with {outcome.code}: {outcome.last_error()}\n")
        return 1
    proofs = [*restore(merge), *verify_merge(merge), *verify_answer(merge)]
    proofs += verify_vllm(merge) if args.vllm else []
    proofs.append(Proof("proof", write_proof(merge, proofs), True))
    say(lines("verified", proofs))
    return 0 if all(proof.passed for proof in proofs) else 1


def lines(title: str, proofs: list[Proof]) -> str:
    """Proofs under a title."""
    return f"{title}:\n" + "".join(f"  {proof.line()}\n" for proof in proofs)


def say(text: str) -> None:
    """Words to the screen at once: the trainer writes to the same one."""
    sys.stdout.write(text)
    sys.stdout.flush()
