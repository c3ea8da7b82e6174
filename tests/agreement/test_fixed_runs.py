"""Mended data in the real trainer: runs that it stopped at load, and every row that a report says reaches the loss is
an example."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agreement.compare import Arena
from tests.agreement.media_factory import make_stock
from tests.agreement.test_runs import CUT, DROPPED, MISSING, PICTURES, TEXT, Run, lay_out, picture, talk, trained
from tests.curate.fixes.mended import mended
from validators.engine import check

pytestmark = pytest.mark.trainer

PARTS = [{"type": "text", "text": "Hi"}]
BROKEN = {
    "rows of all kinds": Run(
        {
            "a": [
                *TEXT,
                *PICTURES,
                DROPPED,
                MISSING,
                CUT,
                picture("/elsewhere/images/1.jpg"),
                talk("Well?", images=["images/1.jpg"]),
                talk("<image><image>?", images=["images/1.jpg"]),
                talk("<image>?", "Write <image> first.", images=["images/1.jpg"]),
                {"messages": [{"role": "human", "content": "Hi"}, {"role": "bot", "content": "Yes."}]},
                {"messages": [*talk()["messages"], {"role": "user", "content": "And?"}]},
            ]
        }
    ),
    "columns of two types": Run(
        {"a": [talk(id=1), talk(id="b"), talk("<image>?", images="images/1.jpg"), picture(), talk("Number?", 42)]}  # type: ignore[arg-type]
    ),
    "no tags": Run({"a": TEXT}, {}, {"a": {"tags": None}}),
    "a column that no row has": Run({"a": TEXT}, {}, {"a": {"columns": {"messages": "messages", "images": "images"}}}),
    "content in parts": Run(
        {"a": [{"messages": [{"role": "user", "content": PARTS}, {"role": "assistant", "content": PARTS}]}]}
    ),
}


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Media and models, made once."""
    work = tmp_path_factory.mktemp("fixed")
    yield Arena(make_stock(work / "media", 11, small=True), work)
    shutil.rmtree(work, ignore_errors=True)


@pytest.mark.parametrize("name", BROKEN)
def test_a_mended_run_loads_with_every_row_that_is_left(
    name: str, arena: Arena, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = BROKEN[name]
    lay_out(run, tmp_path)
    chosen = arena.family("qwen2_vl")
    train = {"stage": "sft", "template": chosen.template, "model_name_or_path": str(chosen.folder), "dataset": "a"}
    train |= {"dataset_dir": str(tmp_path), "output_dir": "out", "media_dir": str(arena.stock.folder)}
    target = tmp_path / "train.yaml"
    target.write_text(json.dumps(train))
    assert isinstance(trained(run, arena, "qwen2_vl", tmp_path), str)
    mended(target, unsafe=True, quarantine=True)
    report = check(target)
    truth = trained(run, arena, "qwen2_vl", tmp_path)
    capsys.readouterr()
    assert isinstance(truth, list) and len(truth) == report.rows_reaching == report.rows_in > 0, (
        truth,
        report.findings,
    )
