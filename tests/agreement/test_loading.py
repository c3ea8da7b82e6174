"""What reaches the converter, and what leaves it, is what the real loader and converter of llamafactory give."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import groupby, product
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.loading_cases import CHAT, Case, alpaca_cases, entry_cases, late_cases, random_cases, text_cases
from validators.engine import CheckOptions, check
from validators.errors import UsageFault
from validators.model import Outcome
from validators.replay.align import misplaced
from validators.replay.course import Course
from validators.rules.registry import BY_CODE
from validators.rules.rule import Scope, Stage
from validators.settings import TrainerSettings
from validators.sources.batch import Census
from validators.sources.flatten import flatten
from validators.sources.selection import batches, intervals
from validators.sources.target import resolve

pytestmark = pytest.mark.trainer
SEEDS = int(os.environ.get("LOADING_SEEDS", "4"))
"""More of them for a longer search."""
Aligned = tuple[Any, ...]
"""Roles and contents, system, tools and media of one row; empty for a row that is dropped."""


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """No progress bars, no network, no warnings by the thousand."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import datasets
    from llamafactory.data import converter, loader

    datasets.disable_progress_bars()
    datasets.utils.logging.set_verbosity(60)
    for module in (converter, loader):
        module.logger.setLevel(60)
    yield


def truth(folder: Path, case: Case, cache: Path) -> list[Aligned] | str:
    """The aligned rows of the real trainer, or the error that it ends with."""
    from llamafactory.data.loader import _get_merged_dataset
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import Seq2SeqTrainingArguments, set_seed

    set_seed(42)  # as hparams/parser.py does before anything is loaded
    try:
        data = DataArguments(
            template="qwen2_vl", dataset="data", dataset_dir=str(folder), media_dir=str(folder), **case.settings
        )
        model = ModelArguments(model_name_or_path="none", cache_dir=str(cache))
        training = Seq2SeqTrainingArguments(output_dir=str(cache / "out"), use_cpu=True, report_to=[])
        rows = _get_merged_dataset(data.dataset, model, data, training, "sft")
        return [real_row(row, folder) for row in rows]
    except Exception as error:
        while error.__cause__ or error.__context__:
            error = error.__cause__ or error.__context__  # type: ignore[assignment]
        return f"{type(error).__name__}: {str(error)[:150]}"


def real_row(row: dict[str, Any], folder: Path) -> Aligned:
    """One aligned row as comparable facts."""
    prompt, response = row["_prompt"], row["_response"]
    if len(prompt) % 2 != 1 or len(response) != 1:
        return ()
    turns = [(turn["role"], text(turn["content"])) for turn in prompt + response]
    media = []
    for kind in ("images", "videos", "audios"):
        entries = row[f"_{kind}"] or []
        media.append([text(entry).removeprefix(f"{folder}/") if isinstance(entry, str) else None for entry in entries])
    return turns, text(row["_system"]) or "", text(row["_tools"]) or "", media


def text(value: Any) -> Any:
    """Text as it is, anything else as None."""
    return value if isinstance(value, str) else None


def replay(folder: Path, yaml_file: Path) -> list[Aligned] | str:
    """The same from our reading: rows, or the codes of the findings that stop loading or conversion."""
    try:
        report = check(yaml_file, CheckOptions(media_dir=str(folder)))
        plan = resolve(str(yaml_file), TrainerSettings(), str(folder))
    except UsageFault as fault:
        return str(fault)
    stops = {
        item.code
        for item in report.findings
        if item.outcome is Outcome.CRASH_LOAD
        and (BY_CODE[item.code].stage in (Stage.READ, Stage.CONVERT) or BY_CODE[item.code].scope is Scope.RUN)
    }
    if stops:
        return " ".join(sorted(stops))
    rows: list[Aligned] = []
    dataset = plan.datasets[0]
    census = Census()
    wanted = intervals(dataset, plan.settings.max_samples, Course(plan.settings).draw)
    for part in batches(dataset.loader(), wanted, 512, census):
        batch = flatten(part, dataset.entry, census)
        wrong = set(misplaced(batch, dataset.entry)["row"])
        wrong |= {fault.row for fault in batch.faults if fault.shape in ("kto-label", "answer-not-text")}
        turns: dict[int, list[tuple[str, str | None]]] = {}
        systems: dict[int, str] = {}
        for row, pos, canon, content in batch.turns.select("row", "pos", "canon", "content").iter_rows():
            if pos < 0:
                systems[row] = content or ""
            else:
                turns.setdefault(row, []).append((canon, content))
        media: dict[int, list[list[str | None]]] = {}
        for row, kind, path in batch.media.select("row", "kind", "path").iter_rows():
            place = ("image", "video", "audio").index(kind)
            media.setdefault(row, [[], [], []])[place].append(path)
        for row, tools in batch.rows.select("row", "tools").iter_rows():
            said = turns.get(row, [])
            if row in wrong or len(said) % 2 or not said:
                rows.append(())
            else:
                rows.append((said, systems.get(row, ""), tools or "", media.get(row, [[], [], []])))
    return rows


def compare(cases: list[Case], tmp_path: Path) -> None:
    """All cases, told together."""
    wrong = []
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "a.jpg").write_bytes(b"")
        yaml_file = case.lay(folder)
        expected = truth(folder, case, tmp_path / "cache")
        found = replay(folder, yaml_file)
        unordered = "+" in case.entry.get("split", "") or "num_samples" in case.entry
        if unordered and not isinstance(expected, str) and not isinstance(found, str):
            # rows are judged in the order of the file, and once
            expected, found = distinct(expected), distinct(found)
        if isinstance(expected, str) != isinstance(found, str) or (not isinstance(found, str) and found != expected):
            content = next(iter(case.files.values()), b"")[:500]
            wrong.append(f"{case.name} {case.entry}\n  {content!r}\n  real {expected}\n  ours {found}"[:2500])
    assert not wrong, f"{len(wrong)} of {len(cases)} differ:\n" + "\n".join(wrong)


def distinct(rows: list[Aligned]) -> list[Aligned]:
    """Each row once, in order of content."""
    return [row for row, _ in groupby(sorted(rows))]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_rows_in_any_file(seed: int, tmp_path: Path) -> None:
    """Sound and damaged rows of each formatting, in each file type."""
    compare(random_cases(seed, 60), tmp_path)


@pytest.mark.parametrize("cases", [text_cases, alpaca_cases, entry_cases, late_cases], ids=lambda make: make.__name__)
def test_strange_files_and_entries(cases: Any, tmp_path: Path) -> None:
    """JSON in all its odd forms, values that pandas retypes, folders and splits, columns that change late."""
    compare(cases(), tmp_path)


PATTERNS = ["tt", "dt", "dtt", "ddtt", "di", "dit", "Di", "Dti", "ti", "it", "dti", "dtdi", "dd", "D"]
PATTERNS += ["t/i", "i/t", "d/t", "ddd/t", "tt/ti/i", "ti/i", "d/d"]
"""Rows by letter: text, image, dropped, Dropped with an image; a slash begins the next dataset."""


def letter_row(letter: str) -> dict[str, Any]:
    """A row of the kind."""
    answer = {"role": "assistant", "content": "y"}
    image = "<image>" if letter == "i" else ""
    question = {"role": "user", "content": f"{image}x"}
    images = ["a.jpg"] if letter in "iD" else None
    return {"messages": [answer] if letter in "dD" else [question, answer], "images": images}


def test_first_rows_set_the_types_of_all_that_follow(stock: Path, tmp_path: Path) -> None:
    """Columns that are empty in the first lot, and lots that are dropped whole, end the run where we say so."""
    from llamafactory.data.loader import get_dataset
    from llamafactory.data.template import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import AutoProcessor, Seq2SeqTrainingArguments

    from train.tiny import make_tiny

    (tmp_path / "a.jpg").write_bytes((stock / "cat.jpg").read_bytes())
    (tmp_path / "text.json").write_text(json.dumps([letter_row("t")] * 3))
    make_tiny(tmp_path / "model", [tmp_path / "text.json"])
    processor = AutoProcessor.from_pretrained(tmp_path / "model", local_files_only=True)
    columns = {"messages": "messages", "images": "images"}
    wrong = []
    for pattern, size in product(PATTERNS, (1, 2, 3, 1000)):
        parts = pattern.split("/")
        entry = CHAT | {"columns": columns}
        for number, part in enumerate(parts):
            (tmp_path / f"{number}.json").write_text(json.dumps([letter_row(letter) for letter in part]))
        info = {f"n{number}": entry | {"file_name": f"{number}.json"} for number in range(len(parts))}
        (tmp_path / "dataset_info.json").write_text(json.dumps(info))
        settings = {"template": "qwen2_vl", "dataset": ",".join(info), "preprocessing_batch_size": size}
        settings |= {"dataset_dir": str(tmp_path), "media_dir": str(tmp_path)}
        data = DataArguments(**settings)
        model = ModelArguments(model_name_or_path="none", cache_dir=str(tmp_path / "cache"))
        training = Seq2SeqTrainingArguments(output_dir=str(tmp_path / "out"), use_cpu=True, report_to=[])
        template = get_template_and_fix_tokenizer(processor.tokenizer, data)
        try:
            get_dataset(template, model, data, training, "sft", processor.tokenizer, processor)
            expected = ""
        except Exception as error:
            expected = f"{type(error).__name__}: {error}"
        (tmp_path / "train.yaml").write_text(json.dumps(settings))
        found = {item.code for item in check(tmp_path / "train.yaml").findings} & {"FRM109", "FRM116"}
        if bool(expected) != bool(found):
            wrong.append(f"{pattern} {size}: real {expected!r}, ours {found}")
    assert not wrong, "\n".join(wrong)
