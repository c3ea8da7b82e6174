"""`curate check`: judge targets and say so."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from curate.commands import configured
from curate.writers.atomic import write_whole
from validators.engine import CheckOptions
from validators.report import json as json_report
from validators.report import text as text_report
from validators.report.model import Report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "target",
        nargs="+",
        help="a train yaml, a dataset_info.json[:name], a .json/.jsonl of conversations, or a build folder",
    )
    parser.add_argument("--output-format", choices=("text", "json"), default="text")
    parser.add_argument("--template", help="chat template, where the target names none")
    parser.add_argument("--model", help="model folder or hub name, for tokenizer and processor settings")
    parser.add_argument("--tokenizer", help="a tokenizer.json or the folder that holds one")
    parser.add_argument("--cutoff-len", type=int, help="cutoff_len, where the target names none")
    parser.add_argument("--media-dir", help="the folder that media paths start from")
    configured.add_arguments(parser)
    parser.add_argument("--advise", action="store_true", help="the largest media limits that cut nothing, always")
    parser.add_argument(
        "--rows", type=Path, metavar="FILE", help="write each row's outcome and token counts to FILE, as JSON lines"
    )
    parser.add_argument(
        "--verify-with-trainer",
        type=int,
        default=0,
        metavar="N",
        help="compare the predictions for N rows of each dataset with the installed llamafactory's own doing",
    )
    parser.add_argument("--full", action="store_true", help="print every finding, however many are alike")
    parser.add_argument(
        "--skip-unrelated",
        action="store_true",
        help="pass over .json and .jsonl files that hold no conversations",
    )


def run(args: argparse.Namespace) -> int:
    """Check each target; the worst exit code."""
    checker = configured.checker(args)
    options = CheckOptions(
        template=args.template,
        model=args.model,
        tokenizer=args.tokenizer,
        cutoff_len=args.cutoff_len,
        media_dir=args.media_dir,
        advise=args.advise,
        keep_rows=args.verify_with_trainer > 0 or args.rows is not None,
    )
    render: Mapping[str, Callable[[Report], str]] = {
        "text": lambda report: text_report.render(report, full=args.full),
        "json": json_report.render,
    }
    worst = 0
    rows: list[str] = []
    for target in args.target:
        if args.skip_unrelated and is_unrelated(Path(target)):
            continue
        report = checker.check(target, options)
        sys.stdout.write(render[args.output_format](report))
        worst = max(worst, report.exit_code)
        rows += json_report.row_lines(report)
        if args.verify_with_trainer > 0:
            # named, not imported: this room must not depend on train, which stands above it
            confirmation = importlib.import_module("train.confirm").confirm(
                Path(target), report, args.verify_with_trainer
            )
            sys.stdout.flush()
            sys.stderr.write(confirmation.text())
            worst = max(worst, 1 if confirmation.disagreements else 0)
    checker.finish()
    if args.rows is not None:
        write_whole(args.rows, "".join(rows))
    return worst


def is_unrelated(path: Path) -> bool:
    """Whether a JSON file's first row shows that it is no conversation data; broken files are not passed over."""
    from validators.sources.rows import SourceFault, iter_rows

    if path.suffix not in (".json", ".jsonl"):
        return False
    try:
        first = next(iter_rows(path), None)
    except SourceFault:
        return False
    value = None if first is None else first.value
    return not (isinstance(value, dict) and ("messages" in value or "conversations" in value))
