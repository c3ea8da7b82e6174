"""What a family makes of a row's tags is, character by character, what the real plugin and processor make of them."""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.agreement.family_rows import (
    Shelf,
    actual,
    difference,
    fill,
    patch,
    predicted,
    sample,
    settings_for,
)
from tests.installed import installed_trainer
from validators.budgets.families import processor_configs
from validators.model import MediaKind

pytestmark = pytest.mark.trainer
IMAGE, VIDEO = (MediaKind.IMAGE,), (MediaKind.IMAGE, MediaKind.VIDEO)


@dataclass(frozen=True)
class Case:
    """A family's module and maker, LLaMA-Factory's template, the kinds of media and literals to try."""

    module: str
    template: str
    kinds: tuple[MediaKind, ...] = IMAGE
    make: str = "make"
    rows: int = 300
    marks: tuple[str, ...] = ("{{image}}", "{{video}} {{image}}")


CASES = {
    "llava": Case("llava", "llava"),
    "llava_next": Case("llava_next", "llava_next"),
    "llava_next_video": Case("llava_next", "llava_next_video", VIDEO, "make_video"),
    "internvl": Case("internvl", "intern_vl", VIDEO),
    "gemma3": Case("gemma3", "gemma3"),
    "gemma3n": Case("gemma3", "gemma3n", (MediaKind.IMAGE, MediaKind.AUDIO), "make_3n"),
    "paligemma": Case("paligemma", "paligemma"),
    "minicpm_v_4_6": Case(
        "minicpm_v_4_6", "minicpm_v_4_6", VIDEO, rows=600, marks=("{{image}}", "{{video}}", *[""] * 9)
    ),
    "pixtral": Case("pixtral", "pixtral"),
    "video_llava": Case("video_llava", "video_llava", VIDEO),
    "kimi_vl": Case("kimi_vl", "kimi_vl"),
    "llama4": Case("llama4", "llama4"),
    "mllama": Case("mllama", "mllama"),
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Media of odd sizes, made once."""
    import torch

    torch.set_num_threads(1)  # small pictures: more threads only wait for each other
    return fill(tmp_path_factory.mktemp("families") / "media")


@pytest.mark.parametrize("name", CASES)
def test_blocks_are_what_the_plugin_writes(name: str, shelf: Shelf, tmp_path: Path) -> None:
    """Each row's expanded text equals the trainer's, or both fail, for every variant of a model's processor."""
    from llamafactory.data.template import TEMPLATES

    case = CASES[name]
    builder = import_module(f"tests.agreement.processors.{name}")
    make = getattr(import_module(f"validators.budgets.{case.module}"), case.make)
    plugin = TEMPLATES[case.template].mm_plugin
    rng = random.Random(zlib.crc32(name.encode()))
    wrong, sound, rows = [], 0, -(-case.rows // len(builder.VARIANTS))
    for variant in range(len(builder.VARIANTS)):
        folder = tmp_path / str(variant)
        processor = builder.processor(folder, variant)
        configs = processor_configs(folder, installed_trainer())
        for _ in range(rows):
            settings = settings_for(rng, **flags(rng))
            row = sample(rng, shelf, case.kinds, case.marks)
            patch(processor, settings)
            family = make(settings, configs)
            truth, guess = actual(plugin, processor, row), predicted(family, row)
            sound += bool(row.placed) and not isinstance(truth, Exception)
            reason = difference(truth, guess)
            if reason is None and not isinstance(truth, Exception):
                reason = lead_difference(plugin, processor, row.images, family.lead(row.placed))
            if reason is not None:
                wrong.append(f"variant {variant}: {reason}\n  {row.messages} {row.images} {row.videos}")
    assert not wrong, f"{len(wrong)} of {rows * len(builder.VARIANTS)}:\n" + "\n".join(wrong[:8])
    assert sound > case.rows / 6


def flags(rng: random.Random) -> Mapping[str, bool]:
    """The trainer's switches of single families; other families must bear them."""
    return {"image_do_pan_and_scan": rng.random() < 0.1, "crop_to_patches": rng.random() < 0.4}


def lead_difference(plugin: Any, processor: Any, images: list[str], lead: int) -> str | None:
    """Why the tokens before the first turn differ in number, None where they do not."""
    tokenizer = getattr(processor, "tokenizer", None)
    ids, labels = plugin.process_token_ids([7], [7], images, [], [], tokenizer, processor)
    return None if len(ids) == len(labels) == lead + 1 else f"{len(ids) - 1} tokens lead but predicted {lead}"
