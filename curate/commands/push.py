"""`curate push`: send a build to the Hugging Face Hub, after a check that finds no error."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from curate.commands.configured import check_configured
from curate.writers.built import read_build, verify_files
from validators.errors import UsageFault
from validators.report.text import render


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("build", type=Path, help="the target folder of a curate build")
    parser.add_argument("repo", help="org/name of the dataset repository; made if it is missing")
    parser.add_argument("--dry-run", action="store_true", help="list what would be sent, send nothing")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--endpoint", help="the Hub's address (default: HF_ENDPOINT, then the public Hub)")
    parser.add_argument("--message", default="Push with curate", help="the commit's message")


def run(args: argparse.Namespace) -> int:
    """Check, stage, send."""
    from curate.writers.hub import check_repo_id, connect, send, stage

    if not args.build.is_dir():
        raise UsageFault(args.build, "no such folder", "the target folder of a curate build")
    check_repo_id(args.repo)
    build = read_build(args.build)
    report = check_configured(str(args.build))
    if report.findings:
        sys.stderr.write(render(report))
    if report.refusal:
        sys.stderr.write(f"curate push: nothing was sent: {report.refusal}\n")
        return 1
    api = None if args.dry_run else connect(args.endpoint)
    verify_files(build)
    with tempfile.TemporaryDirectory(prefix="curate-push-") as name:
        folder = Path(name)
        staged = stage(build, args.repo, folder, say)
        listing = [(item.path, item.bytes, item.rows) for item in staged.files]
        if api is None:
            listing.append(("README.md", len(staged.readme().encode()), None))
            sys.stdout.write(table(listing))
            sys.stdout.write(f"{summary(listing)} would go to {args.repo}; nothing was sent\n")
            return 0
        say(f"sending {summary(listing)} to {api.endpoint}/datasets/{args.repo}")
        url = send(api, staged, folder, args.private, args.message)
    sys.stdout.write(f"{url}\n")
    return 0


def say(text: str) -> None:
    """Progress, for people."""
    sys.stderr.write(f"{text}\n")


def table(listing: list[tuple[str, int, int | None]]) -> str:
    """One line a file: bytes, rows, path."""
    lines = [f"{size:>12,}  {'' if rows is None else rows:>8}  {path}" for path, size, rows in sorted(listing)]
    return "\n".join([f"{'bytes':>12}  {'rows':>8}  path", *lines]) + "\n"


def summary(listing: list[tuple[str, int, int | None]]) -> str:
    """`12 files, 3.4 MB`."""
    return f"{len(listing)} files, {sum(size for _, size, _ in listing) / 1e6:.1f} MB"
