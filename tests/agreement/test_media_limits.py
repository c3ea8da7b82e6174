"""Limits of media that nobody means, against the real trainer: 0, below 0, huge, no number."""

from __future__ import annotations

import copy
import json
import math
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.faults import entry_for
from tests.agreement.oracle import Family, Oracle, quiet
from tests.agreement.test_embedded import processor_of
from tests.media_names import make_sources
from validators.budgets.releases import find_release
from validators.engine import CheckOptions, check
from validators.model import MediaKind
from validators.report.model import RowPrediction

pytestmark = pytest.mark.trainer
VALUES: dict[str, tuple[float, ...]] = {
    "image_max_pixels": (-(10**9), -1, 0, 1, 100, 10**30),
    "image_min_pixels": (-1, 0, 10**30),
    "video_max_pixels": (-1, 0, 1, 10**30),
    "video_min_pixels": (-1, 0),
    "video_fps": (-1.0, 0.0, 1e-9, 1e308, math.inf, math.nan),
    "video_maxlen": (-1, 0, 1, 10**9),
    "audio_sampling_rate": (-1, 0, 1, 8000),
}
MINICPM = "openbmb/MiniCPM-V-2_6"
TEMPLATES = {
    "minicpm": "minicpm_v",
    "qwen2_vl": "qwen2_vl",
    "qwen3_vl": "qwen3_vl",
    "internvl": "intern_vl",
    "qwen2_audio": "qwen2_audio",
}


class Collated(Oracle):
    """A step ends at the collator: no network, and no count of places, which every family has of its own."""

    def step(self, feature: dict[str, Any]) -> None:
        """Collate a batch of one."""
        self.collate([copy.deepcopy(feature)])


def family_of(name: str, folder: Path) -> tuple[Family, str]:
    """The family as the oracle runs it, and what a yaml calls its model."""
    if name != "minicpm":
        processor = import_module(f"tests.agreement.processors.{name}").processor(folder)
        return Family(name, TEMPLATES[name], folder, processor), "model"
    release = find_release(MINICPM, TEMPLATES[name])
    assert release is not None
    return Family(name, TEMPLATES[name], folder, processor_of(release, folder)), MINICPM


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_limit_of_any_value_is_predicted_as_the_trainer_takes_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row with a medium under each value: the outcome, and the tokens where there are some."""
    monkeypatch.chdir(tmp_path)
    quiet()
    family, model = family_of(name, tmp_path / "model")
    judge = Collated if name in ("internvl", "qwen2_audio") else Oracle
    sources = make_sources(tmp_path)
    entries: list[tuple[MediaKind, Any]] = [(MediaKind.AUDIO, sources[MediaKind.AUDIO].name)]
    if name != "qwen2_audio":
        entries = [(kind, sources[kind].name) for kind in (MediaKind.IMAGE, MediaKind.VIDEO)]
        entries.append((MediaKind.VIDEO, [sources[MediaKind.IMAGE].name] * 3))  # frames
    wrong = []
    for kind, entry in entries:
        write_row(kind, entry)
        for key, value in ((name, value) for name in VALUES if name.startswith(kind) for value in VALUES[name]):
            settings = {"media_dir": str(tmp_path), "cutoff_len": 100_000, key: value}
            (truth,) = judge(family, tmp_path, settings).judge_all("data")
            found = predicted({"template": family.template, "model_name_or_path": model} | settings)
            tokens = None if truth.tokens is None else found.tokens  # of a row that stops, what it would have is kept
            if (found.outcome, tokens) != (truth.outcome, truth.tokens):
                wrong.append((key, value, entry, truth, found))
    assert not wrong, "\n".join(map(str, wrong))


def write_row(kind: MediaKind, entry: Any) -> None:
    """A dataset `data` of one row with one medium."""
    turns = [{"role": "user", "content": f"{kind.tag}What is it?"}, {"role": "assistant", "content": "A cat."}]
    rows = [{"messages": turns, kind.column: [entry]}]
    Path("data.json").write_text(json.dumps(rows))
    Path("dataset_info.json").write_text(json.dumps({"data": entry_for(rows)}))


def predicted(settings: dict[str, Any]) -> RowPrediction:
    """What `curate check` says of the one row."""
    train = {"dataset": "data", "dataset_dir": ".", "output_dir": "out"} | settings
    Path("train.yaml").write_text(json.dumps(train).replace("NaN", ".nan").replace("Infinity", ".inf"))
    predictions = check("train.yaml", CheckOptions(keep_rows=True)).datasets[0].predictions
    assert predictions is not None
    return predictions[0]
