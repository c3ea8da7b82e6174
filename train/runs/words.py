"""Runs and their comparison as text and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from curate.views.lines import Line
from train.runs.compare import Comparison, Difference, shown_steps
from train.runs.losses import Losses
from train.runs.read import Run
from train.watch import duration
from validators.report.escaping import encodable, printable
from validators.sources.target import mapping

HEADINGS = ("started", "outcome", "run", "model", "method", "data", "steps", "loss", "time")
STYLES = {"finished": "green", "failed": "red", "broken off": "red", "interrupted": "yellow", "running": "cyan"}
BLOCKS = "▁▂▃▄▅▆▇█"
CURVE = 24
MOST_CHARS = 60


def list_lines(runs: Sequence[Run]) -> Iterator[Line]:
    """One line a run, under headings."""
    yield from table([HEADINGS, *(cells(run) for run in runs)], style_of=1)


def cells(run: Run) -> tuple[str, ...]:
    """A run in the list's columns."""
    return (
        started(run),
        printable(run.outcome, MOST_CHARS),
        printable(str(run.folder), MOST_CHARS),
        model(run),
        method(run),
        printable(", ".join(name for name, item in run.data.items() if not mapping(item).get("evaluates")), MOST_CHARS),
        steps(run.losses),
        loss(run.losses.last),
        duration(run.seconds) if run.seconds else "",
    )


def started(run: Run) -> str:
    """When it was started last, in UTC."""
    return f"{datetime.fromtimestamp(run.started, UTC):%Y-%m-%d %H:%M}" if 0 < run.started < 1e11 else ""


def model(run: Run) -> str:
    """The base model's own name."""
    return printable(Path(str(run.settings.get("model_name_or_path", ""))).name, MOST_CHARS)


def method(run: Run) -> str:
    """`sft lora 8`, `sft full`, with DeepSpeed's config where there is one."""
    settings = run.settings
    if not settings:
        return ""
    kind = str(settings.get("finetuning_type", "lora"))
    rank = f" {settings.get('lora_rank', 8)}" if kind == "lora" else ""
    config = settings.get("deepspeed")
    zero = f" {Path(config).stem.removesuffix('_config')}" if isinstance(config, str) else ""
    return printable(f"{settings.get('stage', 'sft')} {kind}{rank}{zero}", MOST_CHARS)


def steps(losses: Losses) -> str:
    """`18/18`."""
    return f"{losses.step}/{losses.total}" if losses.total else str(losses.step or "")


def loss(value: float | None) -> str:
    """A loss to four digits."""
    return "" if value is None else f"{value:.4g}"


def comparison_lines(found: Comparison) -> Iterator[Line]:
    """Two runs side by side."""
    sides = (found.a, found.b)
    rows = [("", *(printable(str(side.folder), MOST_CHARS) for side in sides))]
    for name, of in (("outcome", 1), ("model", 3), ("method", 4), ("steps", 6), ("last loss", 7), ("time", 8)):
        rows.append((name, *(cells(side)[of] for side in sides)))
    faults = [printable(str(side.record.get("fault") or ""), MOST_CHARS) for side in sides]
    if any(faults):
        rows.append(("fault", *faults))
    rows.append(("curve", *(curve(side.losses) for side in sides)))
    yield from table(rows)
    for title, parts in (
        ("settings", found.settings),
        ("data", found.data),
        ("circumstances", found.circumstances),
    ):
        yield []
        yield [(title, "bold"), ("" if parts else ": no difference", "")]
        yield from table([difference_cells(each) for each in parts])
    yield []
    yield [("loss at the same steps", "bold"), ("" if found.losses else ": none in common", "")]
    rows = [(f"step {step}", loss(a), loss(b), f"{b - a:+.4g}") for step, a, b in shown_steps(found.losses)]
    yield from table(rows)


def difference_cells(each: Difference) -> tuple[str, ...]:
    """One thing that differs."""
    return printable(each.what, MOST_CHARS), value(each.a), value(each.b)


def value(item: object) -> str:
    """A value as it stands in a yaml, cut."""
    text = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False, default=str)
    return printable(text, MOST_CHARS)


def table(rows: Sequence[tuple[str, ...]], style_of: int | None = None) -> Iterator[Line]:
    """Rows in columns; the cell `style_of` is coloured by what it says."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield [
            (cell.ljust(width) + "  ", STYLES.get(cell, "") if number == style_of else "")
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]


def curve(losses: Losses, width: int = CURVE) -> str:
    """A run's losses as blocks from the lowest to the highest, each the mean of a stretch; "" for none."""
    finite = [loss for _, loss in losses.trained if math.isfinite(loss)]
    count = min(width, len(finite))
    if not count:
        return ""
    parts = [finite[number * len(finite) // count : (number + 1) * len(finite) // count] for number in range(count)]
    means = [sum(part) / len(part) for part in parts]
    low, high = min(means), max(means)
    return "".join(BLOCKS[int((mean - low) / (high - low) * 7.999) if high > low else 0] for mean in means)


def document(runs: Sequence[Run]) -> str:
    """Runs as JSON: a list of records, each with its folder, outcome and losses."""
    return dumped({"format": 1, "runs": [as_object(run) for run in runs]})


def comparison_document(found: Comparison) -> str:
    """A comparison as JSON."""
    parts = {
        name: [{"what": each.what, "a": each.a, "b": each.b} for each in differing]
        for name, differing in (
            ("settings", found.settings),
            ("data", found.data),
            ("circumstances", found.circumstances),
        )
    }
    losses = [{"step": step, "a": number(a), "b": number(b)} for step, a, b in found.losses]
    return dumped({"format": 1, "a": as_object(found.a), "b": as_object(found.b), **parts, "losses": losses})


def as_object(run: Run) -> dict[str, object]:
    """One run; its record as it is written, under `record`."""
    return {
        "folder": str(run.folder),
        "outcome": run.outcome,
        "started": started(run),
        "model": model(run),
        "method": method(run),
        "steps": run.losses.step,
        "total_steps": run.losses.total,
        "last_loss": number(run.losses.last),
        "seconds": run.seconds,
        "losses": [[step, number(loss)] for step, loss in run.losses.trained],
        "eval_losses": [[step, number(loss)] for step, loss in run.losses.evaluated],
        "record": dict(run.record),
    }


def number(value: float | None) -> float | str | None:
    """A number as JSON can hold it: NaN and infinities as text."""
    return value if value is None or math.isfinite(value) else str(value)


def dumped(value: object) -> str:
    """JSON, for programs."""
    return encodable(json.dumps(value, ensure_ascii=False, indent=2, default=str)) + "\n"
