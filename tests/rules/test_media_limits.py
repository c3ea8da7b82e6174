"""Limits of media of any value give findings, never an exception, under every kind of family."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from curate.cli import main
from tests.scaffold import Overlay
from validators.engine import check
from validators.errors import UsageFault
from validators.report.model import Report

VALUES: tuple[object, ...] = (0, -1, 10**30, 0.5, 1e308, math.nan, math.inf, True, None, "x", "0", [1], {})
KEYS = (
    "image_max_pixels", "image_min_pixels", "video_max_pixels", "video_min_pixels", "video_fps", "video_maxlen",
    "audio_sampling_rate", "cutoff_len", "time_scale", "packing_maxlen", "max_samples", "val_size",
    "preprocessing_batch_size", "preprocessing_num_workers", "per_device_train_batch_size",
    "gradient_accumulation_steps", "num_train_epochs", "max_steps", "save_steps",
)  # fmt: skip
RUN_KEYS = (
    *KEYS[7:], "per_device_eval_batch_size", "dataloader_num_workers", "dataloader_prefetch_factor", "warmup_steps",
    "warmup_ratio", "eval_steps", "logging_steps", "save_total_limit", "lora_rank", "lora_alpha", "lora_dropout",
    "learning_rate", "seed", "data_seed", "buffer_size", "quantization_bit", "freeze_trainable_layers",
    "loraplus_lr_ratio", "interleave_probs", "double_frame_duration",
)  # fmt: skip
RUN_VALUES: tuple[object, ...] = (0, -1, 10**30, math.nan)
MEDIA_KEYS = KEYS[:7]
KINDS = {"image": "cat.jpg", "video": "clip.mp4", "audio": "tone.wav"}
TEMPLATES = {
    "qwen2_vl": ("image", "video"),
    "qwen3_vl": ("image", "video"),
    "minicpm_o": tuple(KINDS),
    "internvl": ("image", "video"),
    "gemma3": ("image",),
}


def write_data(folder: Path, kinds: tuple[str, ...]) -> None:
    """A row a kind."""
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"<{kind}>What is it?"},
                {"role": "assistant", "content": f"An example of {kind}."},
            ],
            **{f"{each}s": [KINDS[each]] if each == kind else [] for each in kinds},
        }
        for kind in kinds
    ]
    (folder / "data.json").write_text(json.dumps(rows))
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "messages"} | {f"{kind}s": f"{kind}s" for kind in kinds}
    entry = {"file_name": "data.json", "formatting": "sharegpt", "columns": columns, "tags": tags}
    (folder / "dataset_info.json").write_text(json.dumps({"data": entry}))


def checked(folder: Path, template: str, key: str, value: object) -> Report | None:
    """The report, None where the value is refused."""
    train = {"stage": "sft", "do_train": True, "template": template, "dataset": "data", "dataset_dir": "."}
    train |= {
        "output_dir": "out",
        "finetuning_type": "lora",
        "enable_high_fps": key in ("time_scale", "packing_maxlen"),
    }
    (folder / "train.yaml").write_text(yaml.safe_dump(train | {key: value}))
    try:
        return check(folder / "train.yaml")
    except UsageFault as fault:
        assert fault.found
        return None


@pytest.mark.parametrize("template", TEMPLATES)
def test_any_value_gives_findings_or_a_fault(template: str, project: Callable[[Overlay], Path]) -> None:
    folder = project({}).parent
    write_data(folder, TEMPLATES[template])
    for key in KEYS if template == "qwen2_vl" else MEDIA_KEYS:  # the others do not depend on the family
        for value in VALUES:
            try:
                checked(folder, template, key, value)
            except Exception as error:
                raise AssertionError(f"{key}: {value!r}") from error


@pytest.mark.parametrize("value", [0, -1])
def test_a_limit_of_no_pixels_is_an_error_of_the_row(value: int, project: Callable[[Overlay], Path]) -> None:
    """Not a division by it: the trainer stops at the resize."""
    folder = project({}).parent
    write_data(folder, ("image",))
    report = checked(folder, "qwen2_vl", "image_max_pixels", value)
    assert report is not None and "IMG201" in {finding.code for finding in report.findings}


def test_a_dry_run_reckons_with_any_number(
    project: Callable[[Overlay], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps, memory and disk of a run with an evaluation and packing: figures or words, never an exception."""
    train = project({})
    base = yaml.safe_load(train.read_text()) | {"val_size": 1, "eval_strategy": "steps", "packing": True}
    for key in RUN_KEYS:
        for value in RUN_VALUES:
            train.write_text(yaml.safe_dump(base | {key: value}))
            try:
                assert main(["train", str(train), "--dry-run", "--output-format", "json"]) in (0, 1, 2)
            except Exception as error:
                raise AssertionError(f"{key}: {value!r:.40}") from error
            capsys.readouterr()


@pytest.mark.parametrize("text", ["1" * 5000, "0x_", "1" + "0" * 400, "[[1, {a: 1" + "0" * 400 + "}]]"])
def test_a_number_that_no_float_holds_is_refused_where_it_stands(text: str, tmp_path: Path) -> None:
    (tmp_path / "train.yaml").write_text(f"cutoff_len: {text}\n")
    with pytest.raises(UsageFault) as fault:
        check(tmp_path / "train.yaml")
    assert "number" in fault.value.found and len(str(fault.value)) < 500
