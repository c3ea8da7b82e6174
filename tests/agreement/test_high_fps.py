"""The high-fps plugin on real clips, through LLaMA-Factory's own MiniCPM-V plugin: budgets, frames, temporal ids.

The processor stands in (minicpm_processor.py). Sampling is held against the model page's own arithmetic, written down
here a second time with its arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.agreement.high_fps import make_clips, registered
from tests.agreement.minicpm_processor import VERSIONS, MiniCPMProcessor, embed, load_processor, save_model_folder
from tests.scaffold import make_clip
from validators.budgets.family import Placed
from validators.budgets.high_fps import DOUBLED_FPS, refusal, sample, temporal_ids
from validators.budgets.minicpm_v import MiniCPM
from validators.budgets.minicpm_v import MiniCPMProcessor as Ours
from validators.model import MediaKind
from validators.probes.video import probe_video
from validators.settings import FORK_KEYS, TrainerSettings

pytestmark = pytest.mark.trainer
LIMITS = st.builds(
    TrainerSettings,
    enable_high_fps=st.just(True),
    video_fps=st.sampled_from([0.3, 1.0, 2.0, 3.0, 4.5, 5.0, 5.5, 10.0, 15.0, 60.0]),
    video_maxlen=st.sampled_from([1, 2, 5, 8, 16, 40, 128]),
    double_frame_duration=st.sampled_from([0, 5, 30]),
    packing_maxlen=st.integers(1, 6),
    time_scale=st.sampled_from([0.1, 0.5, 0.07]),
    video_max_pixels=st.sampled_from([256 * 256, 700 * 700]),
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return make_clips(folder)


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> MiniCPMProcessor:
    folder = tmp_path_factory.mktemp("model")
    save_model_folder(folder, VERSIONS["v-4.5"], ["What happens here? A clip."])
    return load_processor(folder, VERSIONS["v-4.5"])


@pytest.fixture(scope="module")
def plugin() -> Iterator[Any]:
    with registered() as found:
        yield found


def limit(processor: MiniCPMProcessor, limits: TrainerSettings) -> None:
    """What patch_processor sets on the processor."""
    names = ("video_fps", "video_maxlen", "video_max_pixels", "video_min_pixels", *FORK_KEYS)
    for name in names:
        setattr(processor, name, getattr(limits, name))


def published(total: int, rate: float, limits: TrainerSettings) -> tuple[list[int], int, list[int]]:
    """Ordinals, pack and ids by the page's steps: encode_video with the demo's doubling."""
    fps, most, seconds = limits.video_fps, limits.video_maxlen, total / rate
    if seconds < limits.double_frame_duration and fps <= 5:
        fps, pack = fps * 2, 2
        count = round(min(fps, round(rate)) * min(most, seconds))
    elif fps * int(seconds) <= most:
        pack, count = 1, round(min(fps, round(rate)) * min(most, seconds))
    else:
        pack = math.ceil(seconds * fps / most)
        count = round(seconds * fps)
        if pack > limits.packing_maxlen:
            count, pack = round(most * limits.packing_maxlen), limits.packing_maxlen
    gap = total / count if count else 0
    indices = np.array([int(number * gap + gap / 2) for number in range(count)], dtype=np.int64)
    scale = np.arange(0, seconds, limits.time_scale)
    nearest = np.abs(scale[None, :] - (indices / rate)[:, None]).argmin(axis=1)
    return indices.tolist(), pack, (scale[nearest] / limits.time_scale).astype(np.int32).tolist()


@given(total=st.integers(1, 4000), rate=st.integers(1, 60), limits=LIMITS)
@settings(max_examples=300, deadline=None)
def test_sampling_is_the_published_one(total: int, rate: int, limits: TrainerSettings) -> None:
    """Frames and packs wherever the published steps stay within their own limits; else those limits hold."""
    taken = sample(total, total / rate, limits)
    assert 1 <= len(taken.indices) <= min(total, limits.video_maxlen * taken.pack)
    assert 1 <= taken.pack <= max(limits.packing_maxlen, 1) and taken.blocks(None) <= limits.video_maxlen
    assert list(taken.indices) == sorted(set(taken.indices)) and taken.indices[-1] < total
    seconds = total / rate
    if seconds > limits.video_maxlen or limits.packing_maxlen < 2:
        return
    indices, pack, ids = published(total, rate, limits)
    if 1 <= len(indices) <= min(total, limits.video_maxlen * pack):
        assert (list(taken.indices), taken.pack) == (indices, pack)
        ours = temporal_ids(taken.indices, total, seconds, limits.time_scale)
        # halfway between two units either is the nearest, and the last bit of a quotient decides
        moved = [(mine, theirs) for mine, theirs in zip(ours, ids, strict=True) if mine != theirs]
        assert all(abs(mine - theirs) == 1 for mine, theirs in moved)
        units = np.array(indices) / rate / limits.time_scale
        assert len(moved) <= int((np.abs(units % 1 - 0.5) < 1e-6).sum())


def test_the_published_settings_pack_as_the_page_says() -> None:
    """180 blocks of up to 3 frames: numbers of the page's own example, at 5 frames a second."""
    page = TrainerSettings(video_fps=5.0, video_maxlen=180)
    for seconds, frames, pack in ((20, 200, 2), (36, 180, 1), (37, 185, 2), (100, 500, 3), (1000, 540, 3)):
        taken = sample(seconds * 30, float(seconds), page)
        assert (len(taken.indices), taken.pack) == (frames, pack), seconds
    assert temporal_ids((0, 15, 30, 129), 300, 10.0, 0.1) == [0, 5, 10, 42], "4.3 s is unit 42, as published"


@given(data=st.data(), limits=LIMITS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_budgets_are_what_the_trainer_makes_of_real_clips(
    data: st.DataObject, limits: TrainerSettings, clips: list[Path], processor: MiniCPMProcessor, plugin: Any
) -> None:
    """Tokens of the text that the plugin writes, and one output of the resampler for every block in it."""
    path = data.draw(st.sampled_from(clips))
    limit(processor, limits)
    messages = [{"role": "user", "content": "<video>What happens?"}, {"role": "assistant", "content": "A clip."}]
    text = plugin.process_messages(messages, [], [str(path)], [], processor)[0]["content"]
    ids = processor.tokenizer(text)["input_ids"]
    placed = [Placed(MediaKind.VIDEO, 0, 0, probe_video(path))]
    (block,) = MiniCPM(limits, Ours(), hears=False).expand(placed)
    ours = "".join(part if isinstance(part, str) else part.token * part.count for part in block.parts)
    assert text == f"{ours}What happens?"

    inputs = plugin.get_mm_inputs([], [str(path)], [], [0], [1], [0], [ids], processor)
    assert len(inputs["image_bound"][0]) == len(inputs["temporal_ids"][0])
    assert len(list(chain(*inputs["temporal_ids"][0]))) == len(inputs["pixel_values"][0])
    import torch

    embed(inputs | {"input_ids": torch.tensor([ids])}, processor)


def decoded(path: Path) -> list[bytes]:
    """All frames of a clip."""
    import av

    with av.open(str(path)) as container:
        return [frame.to_image().tobytes() for frame in container.decode(video=0)]


def test_frames_and_ids_that_reach_the_processor(
    clips: list[Path], processor: MiniCPMProcessor, plugin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very frames of the published ordinals, in packs with their times; 5.5 frames a second is never doubled."""
    given_calls: list[dict[str, Any]] = []
    real = type(processor.image_processor).__call__

    def recorded(self: Any, images: Any, **kwargs: Any) -> Any:
        given_calls.append({"images": images} | kwargs)
        return real(self, images, **kwargs)

    monkeypatch.setattr(type(processor.image_processor), "__call__", recorded)
    limits = TrainerSettings(enable_high_fps=True, video_fps=5.5, video_maxlen=16, packing_maxlen=3)
    assert limits.video_fps > DOUBLED_FPS
    limit(processor, limits)
    path = next(path for path in clips if path.stem == "90")
    plugin._get_mm_inputs([], [str(path)], [], processor)
    indices, pack, ids = published(90, 24, limits)
    assert pack == 2 and len(indices) == 21
    (call,) = given_calls
    whole = decoded(path)
    assert [frame.tobytes() for frame in call["images"][0]] == [whole[index] for index in indices]
    assert call["temporal_ids"] == [[ids[at : at + 2] for at in range(0, 21, 2)]]
    assert call["max_slice_nums"] == 2


def test_rows_of_a_batch_get_their_own_outputs(clips: list[Path], processor: MiniCPMProcessor, plugin: Any) -> None:
    """The model takes as many outputs for a row as it has pixel values, from all rows' outputs one after the other."""
    limit(processor, TrainerSettings(enable_high_fps=True, video_fps=4.0, packing_maxlen=6, video_maxlen=20))
    videos = [str(path) for path in clips]
    inputs = plugin._get_mm_inputs([], videos, [], processor)
    single = [plugin._get_mm_inputs([], [video], [], processor) for video in videos]
    assert inputs["temporal_ids"] == [row["temporal_ids"][0] for row in single]
    assert sum(map(len, inputs["pixel_values"])) == sum(len(row["pixel_values"][0]) for row in single)
    outputs = [(row, number) for row, ids in enumerate(inputs["temporal_ids"]) for number in range(len(ids))]
    assert len(outputs) < sum(map(len, inputs["pixel_values"])), "frames are packed"
    start = 0
    for row, values in enumerate(inputs["pixel_values"]):
        own = [(row, number) for number in range(len(inputs["image_sizes"][row]))]
        assert outputs[start : start + len(values)][: len(own)] == own
        start += len(values)


def test_without_the_key_nothing_differs(clips: list[Path], processor: MiniCPMProcessor, plugin: Any) -> None:
    """Off, and for images, lists of frames and streams without a count: what upstream's plugin gives."""
    from llamafactory.data.mm_plugin import MiniCPMVPlugin
    from PIL import Image

    upstream = MiniCPMVPlugin("<image>", "<video>", None)
    picture = Image.new("RGB", (500, 500))
    off = TrainerSettings(video_fps=3.0, video_maxlen=9, packing_maxlen=6)
    for limits, images, videos in (
        (off, [], [str(clips[0])]),
        (replace(off, enable_high_fps=True), [picture], []),
        (replace(off, enable_high_fps=True), [], [[picture, picture]]),
    ):
        limit(processor, limits)
        ours, theirs = (side._get_mm_inputs(images, videos, [], processor) for side in (plugin, upstream))
        assert ours.keys() == theirs.keys()
        for key in ("image_sizes", "temporal_ids"):
            assert ours[key] == theirs[key]
        assert [len(row) for row in ours["pixel_values"]] == [len(row) for row in theirs["pixel_values"]]


def test_a_stream_without_a_frame_count_is_taken_as_upstream_takes_it(
    processor: MiniCPMProcessor, plugin: Any, tmp_path: Path
) -> None:
    make_clip(tmp_path / "clip.mkv", 40)
    limits = TrainerSettings(enable_high_fps=True, video_maxlen=11)
    limit(processor, limits)
    inputs = plugin._get_mm_inputs([], [str(tmp_path / "clip.mkv")], [], processor)
    assert inputs["temporal_ids"] == [[[-1]] * 11] and len(inputs["pixel_values"][0]) == 11
    facts = probe_video(tmp_path / "clip.mkv")
    assert facts.frames == 0 and MiniCPM(limits, Ours(), hears=False).blocks(facts) == 11


def test_fewer_frames_than_the_header_states(clips: list[Path], processor: MiniCPMProcessor, plugin: Any) -> None:
    """The ids of the frames that are missing are left out, and the budget knows."""
    limits = TrainerSettings(enable_high_fps=True, video_fps=10.0, video_maxlen=7, packing_maxlen=3)
    path = next(path for path in clips if path.stem == "30")
    facts = replace(probe_video(path), frames=45, decoded=30)
    assert facts.duration == 3.0
    limit(processor, limits)

    class Stream:
        """A header that counts half as many frames again."""

        def __init__(self, stream: Any) -> None:
            self.stream, self.frames = stream, 45

        def __getattr__(self, name: str) -> Any:
            return getattr(self.stream, name)

    real = type(plugin)._get_video_sample_indices
    indices = sample(45, 3.0, limits).indices
    try:
        type(plugin)._get_video_sample_indices = lambda self, stream, **kwargs: real(self, Stream(stream), **kwargs)
        inputs = plugin._get_mm_inputs([], [str(path)], [], processor)
    finally:
        type(plugin)._get_video_sample_indices = real
    kept = sum(index < 30 for index in indices)
    assert 0 < kept < len(indices)
    assert sum(map(len, inputs["temporal_ids"][0])) == kept == len(inputs["pixel_values"][0])
    assert MiniCPM(limits, Ours(), hears=False).blocks(facts) == len(inputs["temporal_ids"][0])


def test_older_models_are_refused(clips: list[Path], plugin: Any, tmp_path: Path) -> None:
    save_model_folder(tmp_path, VERSIONS["v-2.6"], ["A clip."])
    old = load_processor(tmp_path, VERSIONS["v-2.6"])
    limit(old, TrainerSettings(enable_high_fps=True))
    with pytest.raises(ValueError, match=r"MiniCPM-V 4\.5"):
        plugin._get_mm_inputs([], [str(clips[0])], [], old)


@pytest.mark.parametrize(
    "wrong",
    [
        {"packing_maxlen": 0},
        {"packing_maxlen": 7},
        {"time_scale": 0.0},
        {"double_frame_duration": -1},
        {"video_fps": 0.0},
    ],
)
def test_the_trainer_s_parser_takes_the_keys_and_refuses_senseless_values(
    plugin: Any, wrong: dict[str, float], tmp_path: Path
) -> None:
    from llamafactory.hparams import get_train_args

    run = {"model_name_or_path": "model", "template": "minicpm_v", "stage": "sft", "do_train": True, "dataset": "data"}
    run |= {"output_dir": str(tmp_path), "use_cpu": True, "report_to": "none", "enable_high_fps": True}
    arguments = get_train_args(run | {"packing_maxlen": 4})[0]
    assert (arguments.enable_high_fps, arguments.packing_maxlen, arguments.time_scale) == (True, 4, 0.1)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        get_train_args(run | wrong)
    fault = refusal(TrainerSettings(enable_high_fps=True, **wrong))
    assert fault is not None and fault[0] == next(iter(wrong))
