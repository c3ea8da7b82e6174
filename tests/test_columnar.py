"""The columnar path and the row path make the same batch."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.agreement.loading_cases import entry_cases, late_cases, random_cases, text_cases
from validators.settings import TrainerSettings
from validators.sources.batch import Census
from validators.sources.columnar import plain_batch
from validators.sources.flatten import flatten_rows
from validators.sources.target import resolve


@pytest.mark.parametrize("seed", range(3))
def test_both_paths_make_the_same_batch(seed: int, tmp_path: Path) -> None:
    """Frames and census are equal for every chunk that the columnar path takes, whatever the file and formatting."""
    cases = random_cases(seed + 100, 80) + (text_cases() + entry_cases() + late_cases()[:10] if seed == 0 else [])
    taken = 0
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        if case.entry.get("columns", {}) is None:
            continue
        plan = resolve(str(case.lay(folder)), TrainerSettings(), None)
        for dataset in plan.datasets:
            quick, slow = Census(), Census()
            for chunk in dataset.loader().chunks():
                batch = plain_batch(chunk, dataset.entry, quick)
                if batch is None:
                    quick = Census()
                    slow = Census()
                    continue
                taken += 1
                expected = flatten_rows(chunk.raw_rows(), dataset.entry, slow)
                assert expected.faults == ()
                for name in ("rows", "turns", "media"):
                    ours, theirs = getattr(batch, name), getattr(expected, name)
                    assert ours.schema == theirs.schema, (case.name, name)
                    assert ours.equals(theirs), (case.name, name, ours, theirs)
                assert asdict(quick) == asdict(slow), case.name
    assert taken > 12


def test_row_numbers_and_lines_follow_the_file(tmp_path: Path) -> None:
    """A blank line moves the line, not the row."""
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    path = tmp_path / "data.jsonl"
    path.write_text("\n\n".join(json.dumps(row) for _ in range(3)))
    plan = resolve(str(path), TrainerSettings(), None)
    (chunk,) = plan.datasets[0].loader().chunks()
    assert [(raw.row, raw.line) for raw in chunk.part(1, 3).raw_rows()] == [(1, 3), (2, 5)]
