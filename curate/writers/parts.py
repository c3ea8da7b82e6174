"""The parts of a build: each source read, each pass of steps, each mixture, each output. One that is there is kept."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import time_ns
from typing import Any

import numpy as np
import polars as pl

from curate.build import SAME, LedgerEntry
from curate.media.keeper import Keeper, Mode
from curate.recipe import DatasetRecipe, MixRecipe, Recipe, Source
from curate.steps.run import Named, StepCount, Table, View, run_pass
from curate.steps.step import Note, Surroundings
from curate.steps.tokens import counting
from curate.work.plain import plain
from curate.work.stages import Stage, Stages
from curate.work.states import Watch
from curate.work.work import code
from curate.writers.form import Form
from curate.writers.layout import Layout
from curate.writers.losses import SourceCount
from curate.writers.making import (
    LEDGER,
    ROWS,
    Progress,
    Reject,
    join_streams,
    mix_rows,
    plain_count,
    read_rows,
    write_dataset,
    write_entry,
    write_rejects,
)
from curate.writers.media_record import recall_media, write_media
from curate.writers.outputs import DataFile
from validators.errors import UsageFault
from validators.model import MediaKind
from validators.settings import read_yaml, settings_of

MEDIA, FACTS, NUMBERS = "media.jsonl", "facts.json", "rows.npy"
OUT, REJECTS = "out", "rejects.jsonl"
DRAWING = ("sample",)
"""Steps that drop rows by chance: nobody looks for faults in those."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Canonical rows on disk: those of a file, or some of them by a file of their numbers; and the hash of both."""

    path: Path
    content: str
    numbers: Path | None = None
    base: str = ""
    """The hash of the file alone, where there are numbers."""

    @property
    def view(self) -> View:
        """The rows as steps take them."""
        return View(self.path, pl.Series(np.load(self.numbers)) if self.numbers is not None else None)


@dataclass(frozen=True, slots=True)
class Read:
    """A source's or a dataset's rows: how many, and what became of the others."""

    rows: Stream
    ledgers: tuple[Path, ...]
    kept: int
    changed: int
    dropped: Counter[str]
    left: Mapping[str, str]
    sources: tuple[SourceCount, ...]


@dataclass(frozen=True, slots=True)
class Passed:
    """What a pass of steps made: the rows of each output, and each step's counts."""

    outputs: Mapping[str, Stream]
    ledger: Path
    rejects: Path
    counts: tuple[StepCount, ...]


@dataclass(frozen=True, slots=True)
class Mixed:
    """A mixture: its rows, those of each dataset, and the units that a dataset lacked for its share."""

    name: str
    rows: int
    parts: Mapping[str, int]
    missing: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Output:
    """A dataset as files. folder: it has the files' places in the target. data: the trainer's files among them.
    paths: of its media."""

    folder: Path
    files: Mapping[str, str]
    data: Sequence[DataFile]
    rows: int
    form: Form
    paths: Sequence[str]


@dataclass(slots=True)
class Parts:
    """Makes the parts of one build, or finds them."""

    recipe: Recipe
    keeper: Keeper
    stages: Stages
    progress: Progress
    made: list[str] = field(default_factory=list)
    """The parts that were made anew, in words."""
    kept: int = 0
    surroundings: Surroundings | None = None

    def part(self, words: str, key: Mapping[str, object], make: Callable[[Path, Watch], None]) -> Stage:
        """A part, with the media that it put in place."""

        def whole(folder: Path, watch: Watch) -> None:
            self.keeper.watched(watch.see)
            make(folder, watch)
            write_media(folder / MEDIA, self.keeper, watch)

        stage = self.stages.stage({"code": code(), "part": words, **key}, whole)
        if stage.kept:
            self.kept += 1
            recall_media(stage.folder / MEDIA, self.keeper)
        else:
            self.made.append(words)
            self.keeper.memory.commit()
        return stage

    def around(self) -> Surroundings:
        """What steps and mixtures know beside the rows; no tokenizer is read before one has to be made."""
        if self.surroundings is None:
            root = self.recipe.media_root if self.keeper.mode is Mode.REFERENCE else self.keeper.staging
            trainer = self.recipe.trainer
            counter = counting(trainer, root) if trainer is not None else None
            make = None if self.keeper.mode is Mode.REFERENCE else self.keeper.make
            self.surroundings = Surroundings(root, counter, self.keeper.memory, make)
        return self.surroundings

    def see_surroundings(self, rows: Sequence[Stream], watch: Watch) -> None:
        """Show the watch what steps may look at: the train yaml, the model's files, and the rows' media."""
        trainer = self.recipe.trainer
        if trainer is not None:
            watch.see(trainer)
            model = settings_of(read_yaml(trainer), str(trainer)).model
            if model is not None and Path(model).is_dir():
                for file in sorted(Path(model).iterdir()):
                    watch.see(file)
        for path in {path for stream in rows for path in media_of(stream)}:
            watch.see(self.keeper.lying[path].file)

    def read(self, dataset: DatasetRecipe) -> Read:
        """A dataset's raw rows, each once."""
        parts = [self.read_source(dataset, source) for source in dataset.sources]
        if len(parts) == 1:
            return parts[0]
        key = {"dataset": dataset.name, "inputs": [part.rows.content for part in parts]}

        def join(folder: Path, watch: Watch) -> None:
            write_facts(folder, join_streams([part.rows.path for part in parts], folder, dataset.name))

        stage = self.part(f"{dataset.name}: sources joined", key, join)
        doubles = int(read_facts(stage)["doubles"])
        dropped = sum((part.dropped for part in parts), Counter())
        if doubles:
            dropped[f"{SAME} an earlier one"] += doubles
        return Read(
            stream_of(stage, ROWS),
            (*(ledger for part in parts for ledger in part.ledgers), stage.folder / LEDGER),
            sum(part.kept for part in parts) - doubles,
            sum(part.changed for part in parts),
            dropped,
            {source: words for part in parts for source, words in part.left.items()},
            tuple(source for part in parts for source in part.sources),
        )

    def read_source(self, dataset: DatasetRecipe, source: Source) -> Read:
        """One source's rows."""
        alone = replace(dataset, sources=(source,), steps=())
        recipe = replace(self.recipe, datasets=(), mixes=(), trainer=None, layout=Layout(), max_lost=None)
        key = {"recipe": plain(recipe), "dataset": plain(alone), "mode": self.keeper.mode}
        if not source.path.exists():
            key["time"] = time_ns()  # a dataset on the Hub: nothing here tells whether it has changed

        def make(folder: Path, watch: Watch) -> None:
            see_source(source, watch)
            write_facts(folder, read_rows(self.recipe, alone, self.keeper, folder, self.progress))

        stage = self.part(f"{dataset.name}: {source.path.name} read", key, make)
        facts = read_facts(stage)
        return Read(
            stream_of(stage, ROWS),
            (stage.folder / LEDGER,),
            facts["kept"],
            facts["changed"],
            Counter(facts["dropped"]),
            facts["left"],
            (SourceCount(source.path.name, facts["kept"], facts["dropped"]),),
        )

    def take(self, dataset: DatasetRecipe, steps: Sequence[Named], rows: Stream) -> Passed:
        """One pass of steps over a dataset's rows."""
        key = {"dataset": dataset.name, "steps": plain(steps), "rows": rows.content}

        def make(folder: Path, watch: Watch) -> None:
            see_media(self.recipe, self.keeper)
            self.see_surroundings([rows], watch)
            gone: dict[int, Reject] = {}
            with (folder / LEDGER).open("w", encoding="utf-8", errors="backslashreplace") as ledger:

                def tell(step: str, identity: str, what: Note) -> None:
                    line = LedgerEntry(dataset.name, f"step {step}", None, identity, what.action, what.reason)
                    write_entry(ledger, line)
                    if what.action == "dropped" and step not in DRAWING:
                        gone[what.row] = Reject(dataset.name, step, what.reason)

                views, counts = run_pass(rows.view, steps, self.around(), folder / ROWS, tell)
            write_rejects(folder / REJECTS, rows.view, gone)
            for output, view in views.items():
                if view.rows is not None:
                    np.save(folder / f"{output}.{NUMBERS}", view.rows.to_numpy())
            write_facts(folder, {"outputs": sorted(views), "counts": [plain_count(count) for count in counts]})

        names = ", ".join(named.name for named in steps)
        stage = self.part(f"{dataset.name}: {names}", key, make)
        facts = read_facts(stage)
        counts = tuple(StepCount(**count | {"reasons": Counter(count["reasons"])}) for count in facts["counts"])
        if ROWS in stage.files:
            outputs = {"": stream_of(stage, ROWS)}
        else:
            outputs = {output: some_of(rows, stage, f"{output}.{NUMBERS}") for output in facts["outputs"]}
        return Passed(outputs, stage.folder / LEDGER, stage.folder / REJECTS, counts)

    def blend(self, recipe: MixRecipe, streams: Mapping[str, Stream]) -> tuple[Stream, Mixed]:
        """A mixture of datasets, and what it came to."""
        own = {name: streams[name] for name, _ in recipe.mix.weights}
        key = {"mix": plain(recipe), "rows": {name: stream.content for name, stream in own.items()}}

        def make(folder: Path, watch: Watch) -> None:
            see_media(self.recipe, self.keeper)
            self.see_surroundings(list(own.values()), watch)
            write_facts(
                folder,
                mix_rows(recipe.mix, {name: one.view for name, one in own.items()}, folder / ROWS, self.around()),
            )

        stage = self.part(f"{recipe.name}: mixed", key, make)
        facts = read_facts(stage)
        return stream_of(stage, ROWS), Mixed(recipe.name, **facts)

    def write(self, name: str, rows: Stream) -> Output:
        """A dataset's files."""

        def make(folder: Path, watch: Watch) -> None:
            (folder / OUT).mkdir()
            write_facts(folder, write_dataset(name, rows.view, self.recipe.layout, folder / OUT))

        key = {"rows": rows.content, "layout": plain(self.recipe.layout)}
        stage = self.part(f"{name}: written", key, make)
        facts = read_facts(stage)
        kinds = tuple(kind for kind in MediaKind if kind in facts["kinds"])
        files = {path.removeprefix(f"{OUT}/"): sha for path, sha in stage.files.items() if path.startswith(f"{OUT}/")}
        form = Form(kinds, facts["tools"], frozenset(facts["roles"]))
        data = tuple(DataFile(**each) for each in facts["data"])
        return Output(stage.folder / OUT, files, data, facts["rows"], form, facts["paths"])


def see_source(source: Source, watch: Watch) -> None:
    """Show the watch all that a reader may open; media are seen as they are asked for."""
    if source.path.is_dir():
        watch.see_folder(source.path)
    else:
        watch.see(source.path)
    if source.format == "subtitles":
        watch.see_folder(source.path.parent)  # the videos beside them


def media_of(rows: Stream) -> set[str]:
    """The media paths of a stream."""
    columns = [kind.column for kind in MediaKind]
    view = rows.view
    table = Table(view.path, columns)
    paths = {path for batch in view.batches(table) for name in columns for path in batch[name].explode().drop_nulls()}
    table.close()
    return paths


def see_media(recipe: Recipe, keeper: Keeper) -> None:
    """UsageFault where some of the media have no place yet that paths lead to."""
    placed = (lying.file.is_relative_to(recipe.media_root) for lying in keeper.lying.values())
    if keeper.mode is Mode.REFERENCE and not all(placed):
        raise UsageFault(
            recipe.file, "steps over media inside the data with media: reference", "media: store, copy or hardlink"
        )


def stream_of(stage: Stage, name: str) -> Stream:
    """A stream of a part."""
    return Stream(stage.folder / name, stage.files[name])


def some_of(rows: Stream, stage: Stage, name: str) -> Stream:
    """Some rows of a stream, by a part's file of numbers."""
    base = rows.base or rows.content
    content = hashlib.sha256(f"{base} {stage.files[name]}".encode()).hexdigest()
    return Stream(rows.path, content, stage.folder / name, base)


def write_facts(folder: Path, facts: Mapping[str, object]) -> None:
    """What a part came to."""
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")


def read_facts(stage: Stage) -> dict[str, Any]:
    """What a part came to."""
    facts: dict[str, Any] = json.loads((stage.folder / FACTS).read_text(encoding="utf-8"))
    return facts
