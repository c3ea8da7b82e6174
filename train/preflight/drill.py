"""The worst batches of a run through the real trainer, before the long run: out of memory shows in minute one.

Rows that are the heaviest in one way or another are written as a dataset of their own beside which everything is the
run's: model, settings, batch, processes. Each batch is one optimizer step; the one with the most tokens comes again at
the end, when the optimizer's state is there and the machine is warm.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, groupby, islice
from pathlib import Path
from typing import Any

import yaml

from train import trainer
from train.preflight import drilled
from train.preflight.machine import Machine
from train.preflight.survey import Load, Survey
from train.watch import SIGNS, Watcher
from validators.replay.arguments import Arguments
from validators.settings import TrainerSettings
from validators.sources.dataset_info import FILE_NAME, read_info
from validators.sources.target import CheckPlan, DatasetPlan

MOST_ROWS = 512
"""Of one batch over all devices; beyond that the same rows come again."""
LINES = 12
LIGHTER = (
    "lower per_device_train_batch_size, cutoff_len or the limits of pixels and frames; or train on fewer processes"
)
# What a run does beside its steps, and what would bring the rows into another order.
REMOVED = (
    "eval_dataset", "tokenized_path", "max_samples", "interleave_probs", "preprocessing_num_workers",
    "resume_from_checkpoint", "dataloader_prefetch_factor", "early_stopping_steps", "push_to_hub", "run_name",
    "hub_model_id", "load_best_model_at_end", "use_swanlab", "num_train_epochs", "eval_steps", "buffer_size",
    "eval_on_start", "predict_with_generate", "do_predict", "group_by_length", "train_sampling_strategy",
    "dataloader_persistent_workers", "auto_find_batch_size", "warmup_ratio", "accelerator_config",
)  # fmt: skip
REPLACED: Mapping[str, object] = {
    "overwrite_output_dir": True, "overwrite_cache": True, "save_strategy": "no", "eval_strategy": "no", "val_size": 0,
    "do_eval": False, "logging_steps": 1, "logging_strategy": "steps", "logging_nan_inf_filter": False,
    "report_to": "none", "plot_loss": False, "mix_strategy": "concat", "streaming": False, "disable_shuffling": True,
    "dataloader_num_workers": 0, "dataloader_drop_last": False, "warmup_steps": 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the run: its dataset, its number there, and where it lies."""

    dataset: str
    number: int
    file: str = ""
    row: int = 0

    @property
    def words(self) -> str:
        """`data/train.json row 412`."""
        return f"{self.file} row {self.row}"


@dataclass(frozen=True, slots=True)
class DrillBatch:
    """Rows that go through the trainer in one step, over all devices, and in what they are the heaviest."""

    loads: tuple[Load, ...]
    weight: float
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A batch that went through: seconds for one forward and backward, loss (None where none was logged)."""

    loads: tuple[Load, ...]
    weight: float
    rows: tuple[str, ...]
    seconds: float
    loss: float | None


@dataclass(frozen=True, slots=True)
class Peak:
    """Bytes that the fullest process held: itself, and of its GPU what was allocated and what reserved for that."""

    host: int = 0
    gpu: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """How the drill ended; `fault` is empty where all is well."""

    steps: tuple[Step, ...]
    peak: Peak = Peak()
    fault: str = ""
    cure: str = ""
    where: str = ""
    rows: tuple[str, ...] = ()
    """Rows that the fault may come from: one, or a batch."""
    tail: tuple[str, ...] = ()

    @property
    def slowest(self) -> float:
        """Seconds of the slowest step; the first, in which everything is new, counts only where it is alone."""
        return max((step.seconds for step in self.steps[1:] or self.steps), default=0.0)


def plan_batches(survey: Survey, size: int) -> list[DrillBatch]:
    """The batches to drill: `size` rows each, the heaviest of each kind; one batch where they are the same rows."""
    found: dict[frozenset[tuple[str, int]], DrillBatch] = {}
    for load in Load:
        heavy = survey.worst(load)[:size]
        if not heavy:
            continue
        rows = tuple(Row(item.dataset, item.row) for item in heavy)
        key = frozenset((row.dataset, row.number) for row in rows)
        known = found.get(key)
        loads = (*known.loads, load) if known else (load,)
        found[key] = DrillBatch(loads, *((known.weight, known.rows) if known else (heavy[0].weight, rows)))
    batches = [
        DrillBatch(
            batch.loads,
            batch.weight,
            # rows of one dataset together: each change of dataset is one more to load
            tuple(sorted(islice(cycle(batch.rows), size), key=lambda row: row.dataset)),
        )
        for batch in found.values()
    ]
    return [*batches, *batches[:1]]


def located(batches: Sequence[DrillBatch], plan: CheckPlan) -> tuple[list[DrillBatch], dict[Row, Any]]:
    """The batches with the places of their rows, and each row's value as it is loaded."""
    wanted = {(row.dataset, row.number) for batch in batches for row in batch.rows}
    found: dict[tuple[str, int], tuple[Row, Any]] = {}
    for dataset in plan.datasets:
        name = dataset.entry.name
        numbers = {number for of, number in wanted if of == name}
        if numbers and not dataset.evaluates:
            found |= {(name, row.number): (row, value) for row, value in read_rows(dataset, numbers)}
    places = [
        DrillBatch(batch.loads, batch.weight, tuple(found[row.dataset, row.number][0] for row in batch.rows))
        for batch in batches
    ]
    return places, dict(found.values())


def read_rows(dataset: DatasetPlan, numbers: set[int]) -> Iterator[tuple[Row, Any]]:
    """Some rows of a dataset."""
    loader = dataset.loader()
    for chunk in loader.chunks():
        for number in sorted(numbers.intersection(range(chunk.start, chunk.start + len(chunk)))):
            file, row = loader.locate(number)
            (raw,) = chunk.part(number - chunk.start, number - chunk.start + 1).raw_rows()
            yield Row(dataset.entry.name, number, str(file), row), raw.value


def write_dataset(folder: Path, batches: Sequence[DrillBatch], values: Mapping[Row, Any], plan: CheckPlan) -> list[str]:
    """The rows in the batches' order as datasets with the entries of their own; the datasets' names."""
    datasets = {dataset.entry.name: dataset for dataset in plan.datasets if not dataset.evaluates}
    info: dict[str, Any] = {}
    for name, rows in groupby((row for batch in batches for row in batch.rows), key=lambda row: row.dataset):
        entry = dict(read_info(Path(str(datasets[name].info_file)))[name])  # type: ignore[call-overload]
        for key in ("num_samples", "split", "subset", "folder"):
            entry.pop(key, None)
        drill_name = f"drill_{len(info)}"
        entry["file_name"] = write_rows(folder, drill_name, [values[row] for row in rows])
        info[drill_name] = entry
    (folder / FILE_NAME).write_text(json.dumps(info), encoding="utf-8")
    return list(info)


def write_rows(folder: Path, name: str, rows: list[Any]) -> str:
    """Rows as JSON; as Parquet where they hold bytes. The file's name."""
    try:
        text = json.dumps(rows)
    except TypeError:
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
        return f"{name}.parquet"
    (folder / f"{name}.json").write_text(text, encoding="utf-8")
    return f"{name}.json"


def drill_settings(
    plan: CheckPlan, folder: Path, names: Sequence[str], steps: int, rows: int, accumulated: int
) -> dict[str, object]:
    """The run's yaml, for the drill's rows and steps."""
    own = {key: value for key, value in plan.settings.raw.items() if key not in REMOVED}
    return {
        **own,
        **REPLACED,
        "dataset": ",".join(names),
        "dataset_dir": str(folder),
        "media_dir": str(plan.datasets[0].media_dir.absolute()),
        "output_dir": str(folder / "out"),
        "max_steps": steps,
        "gradient_accumulation_steps": accumulated,
        # one lot: in a later one the first medium of its kind would stop the run
        "preprocessing_batch_size": rows + 1,
    }  # fmt: skip


def drill(plan: CheckPlan, survey: Survey, machine: Machine, batch: int) -> Result | str:
    """Run it; in words why that is not possible."""
    settings = plan.settings
    size = batch * machine.processes
    planned = plan_batches(survey, min(size, MOST_ROWS))
    if not planned:
        return "no row to drill with"
    batches, values = located(planned, plan)
    if size > MOST_ROWS:
        batches = [DrillBatch(item.loads, item.weight, tuple(islice(cycle(item.rows), size))) for item in batches]
    if settings.packing or settings.neat_packing:
        # one step: how rows are packed is the trainer's to say, and all packs are equally long
        rows = tuple(islice(cycle(row for item in batches for row in item.rows), pack_rows(size, survey, settings)))
        batches = [DrillBatch(tuple(load for item in batches[:-1] for load in item.loads), settings.cutoff_len, rows)]
    accumulated = fixed_accumulation(settings)
    if accumulated > 1:
        batches = [DrillBatch(item.loads, item.weight, item.rows * accumulated) for item in batches]
    folder = Path(tempfile.mkdtemp(prefix="mmcurate-drill-"))
    try:
        names = write_dataset(folder, batches, values, plan)
        rows_in_all = sum(len(item.rows) for item in batches)
        raw = drill_settings(plan, folder, names, len(batches), rows_in_all, accumulated)
        file = folder / "drill.yaml"
        file.write_text(yaml.safe_dump(raw), encoding="utf-8")
        watcher = Watcher(every=math.inf)
        variables = {drilled.METER_FOLDER: str(folder), "HF_DATASETS_CACHE": str(folder / "cache")}
        if machine.torchrun:
            variables |= {"FORCE_TORCHRUN": "1", "NNODES": "1", "NPROC_PER_NODE": str(machine.processes)}
        outcome = trainer.run(
            ["train", str(file)],
            raw,
            watcher,
            program=[sys.executable, "-P", drilled.__file__],
            variables=variables,
            echo=False,
        )
        events = {int(path.stem.split("_")[1]): read_events(path) for path in folder.glob("events_*.jsonl")}
        return judged(outcome, watcher, events, batches, machine.processes * accumulated, accumulated)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fixed_accumulation(settings: TrainerSettings) -> int:
    """Batches of a step: one, unless the DeepSpeed file insists on a number."""
    file = Arguments(settings.raw, trainer=settings.trainer).deepspeed
    value = file.value("gradient_accumulation_steps") if file is not None else None
    return value if isinstance(value, int) and value > 1 else 1


def pack_rows(size: int, survey: Survey, settings: TrainerSettings) -> int:
    """So many rows that they fill one pack for each place of the batch, whatever is packed with what."""
    shortest = min((item.weight for item in survey.heaviest[Load.TOKENS]), default=1.0)
    return size * max(math.ceil(2 * settings.cutoff_len / max(shortest, 1.0)), 1)


def read_events(path: Path) -> list[dict[str, Any]]:
    """A process's events; a line that was cut off is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def judged(
    outcome: trainer.Outcome,
    watcher: Watcher,
    events: Mapping[int, list[dict[str, Any]]],
    batches: Sequence[DrillBatch],
    shares: int,
    accumulated: int,
) -> Result:
    """What the events and the end of the process say; each batch goes to the model in so many shares."""
    first = events.get(0, [])
    begun = [event["at"] for event in first if event["event"] == "step begins"]
    ended = [event for event in first if event["event"] == "step ends"]
    losses = [event["loss"] for event in first if event["event"] == "loss"]
    steps = tuple(
        Step(
            batch.loads,
            batch.weight,
            tuple(dict.fromkeys(row.words for row in batch.rows)),
            (end["at"] - start) / accumulated,
            losses[number] if number < len(losses) else None,
        )
        for number, (batch, start, end) in enumerate(zip(batches, begun, ended, strict=False))
    )
    each = [event for seen in events.values() for event in seen]
    peak = Peak(*(max((event.get(name, 0) for event in each), default=0) for name in ("host", "gpu", "reserved")))
    if outcome.code != 0:
        where, rows = place(events, batches, shares, shares // accumulated)
        known = next((known for known in SIGNS if known.name in watcher.seen and known.name != "dropped row"), None)
        if outcome.code in (-9, 137) or (known is not None and known.name == "host memory"):
            fault, cure = "the machine's memory is full", LIGHTER
        else:
            fault, cure = (known.words, known.cure) if known else (outcome.last_error(), "")
        return Result(
            steps, peak, fault=fault, cure=cure, where=where,
            rows=rows, tail=outcome.tail[-LINES:],
        )  # fmt: skip
    odd = [step for step in steps if step.loss is not None and not math.isfinite(step.loss)]
    if odd:
        return Result(steps, peak, fault=f"the loss is {odd[0].loss}", where="in the step", rows=odd[0].rows)
    if len(steps) < len(batches):
        return Result(steps, peak, fault=f"{len(steps)} of {len(batches)} batches came to a step")
    return Result(steps, peak)


def place(
    events: Mapping[int, list[dict[str, Any]]], batches: Sequence[DrillBatch], shares: int, processes: int
) -> tuple[str, tuple[str, ...]]:
    """Where the trainer stopped, and the rows it was at; of several processes the one that is furthest behind."""
    rows = [row for batch in batches for row in batch.rows]
    each = max(len(rows) // max(len(batches) * shares, 1), 1)
    for name, words in (("row", "while a row was prepared"), ("batch", "while a batch was put together")):
        for rank, seen in sorted(events.items()):
            open_ = [event for event in seen if event["event"] == f"{name} begins"]
            if len(open_) > sum(event["event"] == f"{name} ends" for event in seen):
                number = open_[-1]["number"]
                if name == "row":
                    return words, tuple(row.words for row in rows[number : number + 1])
                at = (number * processes + rank) * each
                return words, tuple(dict.fromkeys(row.words for row in rows[at : at + each]))
    begun = min((sum(event["event"] == "step begins" for event in seen) for seen in events.values()), default=0)
    ended = min((sum(event["event"] == "step ends" for event in seen) for seen in events.values()), default=0)
    if begun > ended and ended < len(batches):
        return "in the step", tuple(dict.fromkeys(row.words for row in batches[ended].rows))
    return ("before the first batch", ()) if not ended else ("after the last step", ())


def as_json(result: Result | str) -> Mapping[str, object]:
    """For programs."""
    return {"unknown": result} if isinstance(result, str) else asdict(result) | {"passed": not result.fault}
