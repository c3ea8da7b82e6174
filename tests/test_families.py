"""Laws of families that need no trainer."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validators.budgets import minicpm_v
from validators.budgets.family import Block, Crash, Placed
from validators.model import MediaKind
from validators.probes.facts import Health, MediaFacts
from validators.settings import TrainerSettings

MAKERS = [
    ("gemma3", "make"),
    ("gemma3", "make_3n"),
    ("internvl", "make"),
    ("kimi_vl", "make"),
    ("llama4", "make"),
    ("llava", "make"),
    ("llava_next", "make"),
    ("llava_next", "make_video"),
    ("minicpm_v_4_6", "make"),
    ("mllama", "make"),
    ("paligemma", "make"),
    ("pixtral", "make"),
    ("video_llava", "make"),
]
KEYS = ["size", "crop_size", "do_resize", "do_center_crop", "do_pad", "patch_size", "image_grid_pinpoints"]
KEYS += ["image_seq_length", "max_patches", "min_patches", "crop_to_patches", "merge_kernel_size", "in_token_limit"]
KEYS += ["pad_input", "max_slice_nums", "scale_resolution", "slice_mode", "downsample_mode", "pixel_shuffle_ratio"]
KEYS += ["spatial_merge_size", "num_additional_image_tokens", "vision_feature_select_strategy", "resize_to_max_canvas"]
KINDS = ["LlavaImageProcessor", "SiglipImageProcessorFast", "CLIPImageProcessor", 7]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 500), st.sampled_from([10**9, 10**30, -1]), st.floats(), st.just("4x")
)
EDGES = st.dictionaries(st.sampled_from(["height", "width", "shortest_edge", "longest_edge"]), SCALARS)
VALUES = st.one_of(SCALARS, EDGES, st.lists(SCALARS, max_size=3), st.lists(st.lists(SCALARS, max_size=3), max_size=4))
CONFIGS = st.dictionaries(st.sampled_from(KEYS), VALUES).flatmap(
    lambda config: st.sampled_from(KINDS).map(lambda kind: config | {"image_processor_type": kind})
)
SIZES = st.integers(1, 3000)


@pytest.mark.parametrize(("module", "maker"), MAKERS)
@given(image=CONFIGS, top=CONFIGS, sizes=st.lists(st.tuples(SIZES, SIZES), min_size=1, max_size=3), crop=st.booleans())
@settings(max_examples=150, deadline=2000)
def test_any_config_gives_blocks_or_a_crash(
    module: str, maker: str, image: dict[str, Any], top: dict[str, Any], sizes: list[tuple[int, int]], crop: bool
) -> None:
    """Whatever JSON a model folder holds, a family counts, declines, or says that the trainer stops: in no time."""
    make = getattr(import_module(f"validators.budgets.{module}"), maker)
    limits = TrainerSettings(crop_to_patches=crop)
    family = make(limits, {"image": image, "video": image, "audio": {}, "processor": top})
    if family is None:
        return
    placed = [
        Placed(MediaKind.IMAGE, slot, 0, MediaFacts(Health.OK, width=width, height=height))
        for slot, (width, height) in enumerate(sizes)
    ]
    assert family.lead(placed) >= 0
    assert all(isinstance(mark, str) and isinstance(text, str) for mark, text in family.rewrites.items())
    try:
        blocks = family.expand(placed)
    except Crash:
        return
    assert len(blocks) == len(placed)
    assert all(isinstance(block, Block) and block.features >= 0 for block in blocks)


@pytest.mark.parametrize(
    ("name", "config", "joins"),
    [
        ("model", {"model_type": "minicpmv", "version": 4.5}, True),
        ("model", {"model_type": "minicpmv", "version": "4.5"}, True),
        ("model", {"model_type": "minicpmv", "version": 2.6}, False),
        ("model", {"model_type": "minicpmo", "version": 4.5}, False),
        ("openbmb/MiniCPM-V-4_5", {}, True),
        ("openbmb/MiniCPM-V-2_6", {}, False),
    ],
)
def test_minicpm_v_4_5_is_known_by_its_config_and_by_its_name(
    name: str, config: dict[str, Any], joins: bool, tmp_path: Path
) -> None:
    if config:
        (tmp_path / "config.json").write_text(json.dumps(config))
    model = str(tmp_path) if config else name
    assert minicpm_v.joins_ranges(TrainerSettings(model=model, template="minicpm_v")) is joins


@pytest.mark.parametrize(("height", "stops"), [(1, True), (2, False), (3, True), (4, False)])
def test_a_flat_first_image_is_taken_for_channels(height: int, stops: bool) -> None:
    """Only that of the row's first image counts."""
    family = minicpm_v.MiniCPM(TrainerSettings(image_min_pixels=1), minicpm_v.MiniCPMProcessor(), hears=False)
    flat, tall = (MediaFacts(Health.OK, width=64, height=pixels) for pixels in (height, 64))
    first, second = (Placed(MediaKind.IMAGE, 0, 0, facts) for facts in (flat, tall))
    if stops:
        with pytest.raises(Crash, match=f"{height} pixels high"):
            family.expand([first, second])
    else:
        assert len(family.expand([first, second])) == 2
    assert len(family.expand([second, first])) == 2
