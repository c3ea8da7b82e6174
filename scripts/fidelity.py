"""`make fidelity`: thousands of seeded rows through `check` and through the real llamafactory; writes a page of docs/.

Ends with 1 on any disagreement, on any harmed row that no rule announces, and on any error about a row that trains.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from tests.agreement.compare import Arena, Verdict
    from tests.agreement.strategies import Plan

PAGES = {"transformers-4": ROOT / "docs/fidelity.md", "transformers-5": ROOT / "docs/fidelity-transformers-5.md"}
"""The page of each locked environment (validators/llamafactory/environment/locked.py) that the rows are run in."""
PACKAGES = (
    "llamafactory",
    "transformers",
    "datasets",
    "torch",
    "torchaudio",
    "torchcodec",
    "av",
    "pillow",
    "tokenizers",
)
OUTCOMES = ("trained", "altered", "truncated", "dropped", "crash-step", "crash-load")
SHOWN = 60
SHRUNK = 25

arena: Arena | None = None


def open_arena(work: str, seed: int) -> Arena:
    """Media and models, made at the first call with this folder and found there by the others."""
    from tests.agreement.compare import Arena
    from tests.agreement.media_factory import Stock, make_stock
    from tests.agreement.strategies import FAMILIES

    folder = Path(work)
    groups = folder / "groups.txt"
    if not groups.is_file():
        stock = make_stock(folder / "media", seed)
        first = Arena(stock, folder)
        for family in FAMILIES:
            first.family(family)
        groups.write_text("\n".join("\t".join([name, *files]) for name, files in stock.groups.items()))
        return first
    lines = [line.split("\t") for line in groups.read_text().splitlines()]
    stock = Stock(folder / "media", {name: files for name, *files in lines})
    own = Arena(stock, folder)
    own.count = os.getpid() * 100_000  # workers share the folder
    return own


def start(work: str, seed: int) -> None:
    """A worker's own arena."""
    global arena  # noqa: PLW0603 (the one object that lives as long as the worker)
    arena = open_arena(work, seed)


def run(plan: Plan) -> list[Verdict]:
    """One case in a worker."""
    assert arena is not None
    return arena.run(plan)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="fidelity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--each", type=int, default=9, help="rows for each fault alone, for each model")
    parser.add_argument("--seed", type=int, default=20_260)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--environment", choices=PAGES, default="transformers-4", help="whose page is written")
    parser.add_argument("--page", type=Path, help="write there instead")
    args = parser.parse_args()
    page_file: Path = args.page or PAGES[args.environment]
    from tests.agreement.strategies import all_plans

    work = tempfile.mkdtemp(prefix="fidelity-")
    begun = time.monotonic()
    try:
        own = open_arena(work, args.seed)
        plans = all_plans(args.seed, args.rows, args.each)
        rows = sum(len(plan.rows) for plan in plans)
        say(f"{rows} rows in {len(plans)} files, seed {args.seed}")
        verdicts: list[Verdict] = []
        shown, causes_met = 0, set[str]()
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(args.workers, context, start, (work, args.seed)) as pool:
            for found in pool.map(run, plans, chunksize=3):
                verdicts += found
                for verdict in found:
                    if not verdict.agrees and verdict.cause not in causes_met:
                        causes_met.add(verdict.cause)
                        say(f"  {verdict.cause}\n    {verdict.describe()}")
                if len(verdicts) >= shown + 500:
                    shown = len(verdicts)
                    wrong = sum(not verdict.agrees for verdict in verdicts)
                    say(f"  {shown:6} rows  {wrong:5} disagree  {time.monotonic() - begun:5.0f} s")
        examples = shrunk(own, verdicts)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    took = time.monotonic() - begun
    page = "\n".join(write_page(verdicts, examples, args.seed, len(plans))) + "\n"
    page_file.write_text(page.replace(work, "WORK"), encoding="utf-8")
    say(page)
    wrong, missed, alarms = failures(verdicts)
    say(f"{len(verdicts)} rows in {took:.0f} s: {wrong} disagree, {missed} harmed unannounced, {alarms} false alarms")
    say(f"written to {page_file}")
    return 1 if wrong or missed or alarms else 0


def say(text: str) -> None:
    """A line at once, whoever reads."""
    print(text, flush=True)


def failures(verdicts: Sequence[Verdict]) -> tuple[int, int, int]:
    """Rows that disagree; harmed rows that no rule announces; errors about rows that train unharmed."""
    return (
        sum(not verdict.agrees for verdict in verdicts),
        sum(verdict.harmed and not verdict.caught for verdict in verdicts),
        sum(verdict.false_alarm for verdict in verdicts),
    )


def shrunk(own: Arena, verdicts: Sequence[Verdict]) -> dict[str, Verdict]:
    """One example of each cause, made small for the most frequent ones."""
    from tests.agreement.compare import causes

    examples: dict[str, Verdict] = {}
    for verdict in verdicts:
        if not verdict.agrees and len(str(verdict.row)) < len(str(examples.get(verdict.cause, verdict).row)) + 1:
            examples[verdict.cause] = verdict
    for cause, _ in causes(verdicts).most_common(SHRUNK):
        examples[cause] = own.shrink(examples[cause], 25)
    return examples


HEAD = """\
# Fidelity: the prediction against the trainer

Written by `make fidelity`, with transformers 4.57 (docs/fidelity.md) and, by `make fidelity ENV=transformers-5`, with
5.5 (docs/fidelity-transformers-5.md). Each row is judged twice: by `curate check`, which runs no trainer, and by the
real llamafactory (its loader, converter, template, plugin, processor and collator, row by row, on a CPU), up to and
including one training step where a step could fail. A row agrees when the outcome is the same and, where it reaches the
loss, tokens and supervised tokens are the same to the token. No disagreement is left out.

Qwen2-VL is real in all but size (random weights, a tokenizer of its own). MiniCPM's processor and its placing of
embeddings are remote code that cannot be had here: tests/agreement/minicpm_processor.py writes the published formulas
out again; LLaMA-Factory's MiniCPMVPlugin, which drives them, is real.

Two things are kept out of the files, as their truth is undefined. Addresses that FFmpeg fetches for videos and sounds:
what becomes of them is the network's affair, and MED303 names them. And a list in a .jsonl file that begins with null:
pyarrow 26.0.1 reads such a column past its buffers, and rows get values of others. `check` reports such a file; in a
.json file, which is read in another way, the fault is among those below.
"""
KINDS_OF_FILE = """\
## By kind of file

recall: one fault a row under wide limits; mixed: up to three faults, drawn settings; edge: the limit within three
tokens of where a turn or a media block ends; shape: faults that change a column's type; entry: faults of
dataset_info.json.
"""
RECALL = """\
## Recall by fault

One fault a row. changed: rows that do not train whole as they are seen. caught: by a rule of severity error. missed:
changed and not caught. false: errors about rows that train unharmed.
Met in: LF = hiyouga/LLaMA-Factory, CPM = OpenBMB/MiniCPM-V, swift = modelscope/ms-swift, ds = huggingface/datasets; a
path is the module of llamafactory that trips.
"""
SUMS = ("rows", "disagree", "counts differ", "counted to the token")


def write_page(verdicts: Sequence[Verdict], examples: dict[str, Verdict], seed: int, files: int) -> Iterator[str]:
    """docs/fidelity.md, line by line."""
    wrong, missed, alarms = failures(verdicts)
    counts = sum(verdict.miscounted for verdict in verdicts)
    yield HEAD
    yield f"- rows: {len(verdicts)} in {files} files, seed {seed}"
    yield f"- rows that disagree: **{wrong}** ({counts} of them in counts only)"
    yield f"- harmed rows that no rule announces: **{missed}**; errors about rows that train unharmed: **{alarms}**"
    yield f"- versions: {', '.join(f'{name} {version(name)}' for name in PACKAGES)}; Python {sys.version.split()[0]}"
    yield "\n## Predicted (across) and true (down)\n"
    yield from matrix(verdicts)
    yield "## By model\n"
    yield from table(["model", *SUMS], by(verdicts, "family"))
    yield KINDS_OF_FILE
    yield from table(["kind", *SUMS], by(verdicts, "purpose"))
    yield RECALL
    yield from table(["fault", "met in", "rows", "changed", "caught by", "missed", "false"], recall(verdicts))
    yield from silences(verdicts)
    yield from disagreements(verdicts, examples)


def silences(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Rows whose outcome is foretold but that no rule names, and those that a rule accuses wrongly."""
    for title, found in (
        ("Harmed rows that no rule announces, outcome foretold", [v for v in verdicts if v.harmed and not v.caught]),
        ("Errors about rows that train unharmed, outcome foretold", [v for v in verdicts if v.false_alarm]),
    ):
        groups: dict[str, list[Verdict]] = defaultdict(list)
        for verdict in found:
            if verdict.agrees:
                what = verdict.entry_fault or "+".join(verdict.faults) or "sound row"
                groups[f"{verdict.truth.outcome.value} [{what}] {' '.join(verdict.errors)}"].append(verdict)
        if groups:
            yield f"## {title}\n"
        for what, group in sorted(groups.items(), key=lambda item: -len(item[1]))[:SHOWN]:
            smallest = min(group, key=lambda verdict: len(str(verdict.row)))
            yield f"{len(group)} × {what}\n\n```\n{smallest.describe()}\n```\n"


def matrix(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """The confusion matrix."""
    pairs = Counter(
        (item.truth.outcome.value, item.predicted.outcome.value if item.predicted else "nothing") for item in verdicts
    )
    across = [*OUTCOMES, *(["nothing"] if any(said == "nothing" for _, said in pairs) else [])]
    rows = [
        [true, *[pairs[true, said] or "" for said in across], sum(pairs[true, said] for said in across)]
        for true in OUTCOMES
    ]
    yield from table(["true", *across, "all"], rows)


def disagreements(verdicts: Sequence[Verdict], examples: dict[str, Verdict]) -> Iterator[str]:
    """All causes, the most frequent first and with an example."""
    from tests.agreement.compare import causes

    found = causes(verdicts).most_common()
    if found:
        yield f"## Disagreements by cause ({len(found)})\n"
    for cause, count in found[:SHOWN]:
        yield f"{count} × {cause}\n\n```\n{examples[cause].describe()}\n```\n"
    for cause, count in found[SHOWN:]:
        yield f"- {count} × {cause}"


def table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """A markdown table and an empty line."""
    yield f"| {' | '.join(map(str, head))} |"
    yield f"|{'|'.join('---' for _ in head)}|"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"
    yield ""


def by(verdicts: Sequence[Verdict], key: str) -> list[list[Any]]:
    """Rows, disagreements and counts for each value of a field."""
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        groups[getattr(verdict, key)].append(verdict)
    return [
        [
            name,
            len(group),
            sum(not verdict.agrees for verdict in group),
            sum(verdict.miscounted for verdict in group),
            sum(verdict.truth.tokens is not None and verdict.agrees for verdict in group),
        ]
        for name, group in sorted(groups.items())
    ]


def recall(verdicts: Sequence[Verdict]) -> list[list[Any]]:
    """One line a fault, sound rows first; a last line for rows with several faults."""
    from tests.agreement.faults import ENTRY_FAULTS, FAULTS

    groups: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.purpose != "recall":
            if len(verdict.faults) > 1:
                groups["(two or three together)"].append(verdict)
        elif verdict.entry_fault:
            groups[verdict.entry_fault].append(verdict)
        elif verdict.faults or not verdict.file_failed:
            groups["+".join(verdict.faults) or "(sound rows)"].append(verdict)
    sources = {name: fault.source for name, fault in FAULTS.items()}
    sources |= {name: source for name, (source, _) in ENTRY_FAULTS.items()}
    order = ["(sound rows)", *FAULTS, *ENTRY_FAULTS, "(two or three together)"]
    lines: list[list[Any]] = []
    for name in order:
        group = groups[name]
        if group:
            harmed = [verdict for verdict in group if verdict.harmed]
            codes = Counter(code for verdict in harmed for code in verdict.caught)
            missed = sum(not verdict.caught for verdict in harmed)
            most = [f"{code} {count}" for code, count in codes.most_common(4)]
            alarms = sum(verdict.false_alarm for verdict in group)
            lines.append([name, sources.get(name, ""), len(group), len(harmed), ", ".join(most), missed, alarms])
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
