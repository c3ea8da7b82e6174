"""Limits of media that nobody means, against the real trainer: 0, below 0, huge, no number."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.agreement.faults import entry_for
from tests.agreement.oracle import Family, Oracle
from tests.agreement.test_embedded import processor_of
from tests.media_names import make_sources
from validators.budgets.releases import find_release
from validators.engine import CheckOptions, check
from validators.errors import UsageFault
from validators.model import MediaKind

pytestmark = pytest.mark.trainer
VALUES: dict[str, tuple[float, ...]] = {
    "image_max_pixels": (-(10**9), -1, 0, 1, 100, 10**30),
    "image_min_pixels": (-1, 0, 10**30),
    "video_max_pixels": (-1, 0, 1, 10**30),
    "video_min_pixels": (-1, 0),
    "video_fps": (-1.0, 0.0, 1e-9, 1e308, math.inf, math.nan),
    "video_maxlen": (-1, 0, 1, 10**9),
}
MODEL, TEMPLATE = "openbmb/MiniCPM-V-2_6", "minicpm_v"


def test_a_limit_of_any_value_is_predicted_as_the_trainer_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One image row and one video row under each value: the outcome, and the tokens where there are some."""
    monkeypatch.chdir(tmp_path)
    sources = make_sources(tmp_path)
    for kind in (MediaKind.IMAGE, MediaKind.VIDEO):
        turns = [{"role": "user", "content": f"{kind.tag}What is it?"}, {"role": "assistant", "content": "A cat."}]
        rows = [{"messages": turns, kind.column: [sources[kind].name]}]
        Path(f"{kind}.json").write_text(json.dumps(rows))
        Path(f"{kind}_info.json").write_text(json.dumps(entry_for(rows)))
    release = find_release(MODEL, TEMPLATE)
    assert release is not None
    family = Family(MODEL, TEMPLATE, tmp_path / "model", processor_of(release, tmp_path / "model"))
    wrong = []
    for key, values in VALUES.items():
        kind = MediaKind(key.partition("_")[0])
        entry = json.loads(Path(f"{kind}_info.json").read_text()) | {"file_name": f"{kind}.json"}
        Path("dataset_info.json").write_text(json.dumps({"data": entry}))
        for value in values:
            settings = {"media_dir": str(tmp_path), "cutoff_len": 4096, key: value}
            (truth,) = Oracle(family, tmp_path, settings).judge_all("data")
            train = {"template": TEMPLATE, "model_name_or_path": MODEL, "dataset": "data", "dataset_dir": "."}
            Path("train.yaml").write_text(
                json.dumps(train | {"output_dir": "out"} | settings).replace("NaN", ".nan").replace("Infinity", ".inf")
            )
            try:
                report = check("train.yaml", CheckOptions(keep_rows=True))
            except UsageFault as fault:
                wrong.append((key, value, truth, fault))
                continue
            predictions = report.datasets[0].predictions
            assert predictions is not None
            if (predictions[0].outcome, predictions[0].tokens) != (truth.outcome, truth.tokens):
                wrong.append((key, value, truth, predictions[0], [f.message for f in report.findings]))
    assert not wrong, "\n".join(map(str, wrong))
