"""LLaMA-Factory 0.9.5 with the high-fps video of MiniCPM-V 4.5: several frames in one block of 64 tokens.

Four more keys, which the MiniCPM-V guide trains with and which only the branch dev-nhb of tc-mb/LLaMA-Factory (commit
9546b62a) has: enable_high_fps, double_frame_duration, packing_maxlen, time_scale. `curate train` adds it by itself
where a yaml has them. Only the argument classes and the plugin of the MiniCPM-V templates change, and that only for
video files with enable_high_fps.

Frames, packs and temporal ids are the model's published ones (validators/budgets/high_fps.py). Faults of the branch
that are not repeated here:

- It packs nothing: by the time it computes temporal ids it has lost the paths, and hands None to the processor. Each
  frame costs 64 tokens, and the resampler sees none beside another. Here packs reach it.
- It gives every frame a placeholder (the number of pixel values), also were they packed; the published processor gives
  one to the first frame of a pack (skip_image_idx), as this does: else more places than features.
- It samples by its own rule although enable_high_fps is false, and then without video_maxlen for clips of less than 30
  seconds. Here the rule is upstream's without the key.
- It doubles the rate of short clips for the ids, and not the number of frames that it takes; that number may also be
  above the frames there are, and equal ordinals collapse into fewer frames than ids.
- It slices frames up to nine times (max_slice_nums is not passed) where the text has room for two.

What it shares with upstream: a list of frames, and a stream without a frame count, are taken frame by frame; a sample
takes one video, and no images beside it (MiniCPMVPlugin).

The published model code (modeling_minicpmv.py: get_vllm_embedding) hands each row of a batch as many of the resampler's
outputs as the row has pixel values; packed, there are fewer, and from the second row on a batch would train on other
rows' frames, without a word. The code only joins the lists of pixel values and counts them, so the same values are
handed over in lists as long as the outputs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import llamafactory.data.mm_plugin as plugins
from llamafactory.data.template import TEMPLATES
from llamafactory.hparams import ModelArguments, parser
from llamafactory.model import loader

from validators.budgets.high_fps import Sample, refusal, sample, temporal_ids
from validators.settings import FORK_KEYS, TrainerSettings

NO_TIME = -1
"""The temporal id of a picture, or of a frame whose time is not known."""
SLICES = 2  # as upstream has it for video, in pixels and in text (mm_plugin.py: MiniCPMVPlugin)
DEFAULTS = TrainerSettings()
Part = Any  # the trainer's and the model's own objects, which have no types here
Packs = list[list[int]]
"""The temporal ids of a video's frames, a list for each block of tokens."""


@dataclass
class HighFpsArguments(ModelArguments):  # type: ignore[misc]
    """The model's arguments with the branch's four; ValueError for values that the sampling does not take."""

    enable_high_fps: bool = dataclasses.field(
        default=False, metadata={"help": "Whether or not to pack the frames of video inputs (MiniCPM-V 4.5)."}
    )
    double_frame_duration: int = dataclasses.field(
        default=DEFAULTS.double_frame_duration,
        metadata={"help": "Video inputs shorter than this many seconds are sampled at twice the fps, two in a pack."},
    )
    packing_maxlen: int = dataclasses.field(
        default=DEFAULTS.packing_maxlen, metadata={"help": "The maximum number of frames in a pack."}
    )
    time_scale: float = dataclasses.field(
        default=DEFAULTS.time_scale, metadata={"help": "The unit of temporal ids in seconds."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.enable_high_fps and (fault := refusal(limits_of(self))):
            raise ValueError(f"`{fault[0]}` is {getattr(self, fault[0])}, expected {fault[1]}.")


def limits_of(source: object) -> TrainerSettings:
    """The numbers that the sampling reads, from arguments or from a processor that `patch_processor` has set."""
    names = ("video_fps", "video_maxlen", *FORK_KEYS)
    return TrainerSettings(**{name: getattr(source, name, getattr(DEFAULTS, name)) for name in names})


class HighFpsPlugin(plugins.MiniCPMVPlugin):  # type: ignore[misc]
    """The MiniCPM-V plugin that packs the frames of video files."""

    def _get_video_sample_indices(
        self, video_stream: Part, video_fps: float, video_maxlen: int, taken: list[Any] | None = None, **kwargs: Part
    ) -> Part:
        """Ordinals to decode; with `taken`, they are the high-fps ones, and what they were is left in it."""
        total = video_stream.frames
        if taken is None or total == 0:
            return super()._get_video_sample_indices(video_stream, video_fps, video_maxlen, **kwargs)
        seconds = float(video_stream.duration * video_stream.time_base)
        taken.append((sample(total, seconds, kwargs["limits"]), total, seconds))
        return frozenset(taken[-1][0].indices)

    def _regularize_one(self, video: Part, processor: Part) -> tuple[list[Any], Packs]:
        """A video's frames, sized, and their temporal ids in packs."""
        limits, taken = limits_of(processor), list[tuple[Sample, int, float]]()
        (frames,) = self._regularize_videos(
            [video],
            image_max_pixels=getattr(processor, "video_max_pixels", DEFAULTS.video_max_pixels),
            image_min_pixels=getattr(processor, "video_min_pixels", DEFAULTS.video_min_pixels),
            video_fps=limits.video_fps,
            video_maxlen=limits.video_maxlen,
            limits=limits,
            taken=taken,
        )["videos"]
        if not taken:
            return frames, [[NO_TIME] for _ in frames]
        chosen, total, seconds = taken[0]
        ids = temporal_ids(chosen.indices, total, seconds, limits.time_scale)[: len(frames)]
        # where fewer frames decode than the header states, the last are missing
        return frames, [ids[at : at + chosen.pack] for at in range(0, len(frames), chosen.pack)]

    def _get_mm_inputs(
        self, images: list[Any], videos: list[Any], audios: list[Any], processor: Part, **kwargs: Part
    ) -> dict[str, Any]:
        """As upstream's, with the videos in packs: `image_sizes` has one size a pack, as has the text."""
        if not videos or not getattr(processor, "enable_high_fps", False):
            return dict(super()._get_mm_inputs(images, videos, audios, processor, **kwargs))
        mm_inputs = dict(super()._get_mm_inputs(images, [], audios, processor, **kwargs))
        read = [self._regularize_one(video, processor) for video in videos]
        packs = [packed for _, packed in read]
        made = dict(
            processor.image_processor(
                [frames for frames, _ in read],
                do_pad=True,
                max_slice_nums=SLICES,
                temporal_ids=packs,
                return_tensors="pt",
            )
        )
        if "temporal_ids" not in made:
            raise ValueError(
                f"enable_high_fps: {type(processor.image_processor).__name__} packs no frames; MiniCPM-V 4.5's does."
            )
        made["image_sizes"] = [firsts(sizes, packed) for sizes, packed in zip(made["image_sizes"], packs, strict=True)]
        made["pixel_values"] = parted(made["pixel_values"], [len(ids) for ids in made["temporal_ids"]])
        return mm_inputs | made


def firsts(sizes: list[Any], packs: Packs) -> list[Any]:
    """The size of the first frame of each pack."""
    at = 0
    found = []
    for pack in packs:
        found.append(sizes[at])
        at += len(pack)
    return found


def parted(values: list[list[Any]], outputs: list[int]) -> list[list[Any]]:
    """The same pixel values in lists as long as each video's outputs of the resampler; the last has the rest, too."""
    flat = list(chain.from_iterable(values))
    ends = [sum(outputs[: number + 1]) for number in range(len(outputs))]
    ends[-1] = len(flat)
    return [flat[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def with_keys(patch: Callable[..., None]) -> Callable[..., None]:
    """LLaMA-Factory's patch_processor, with the four keys set on the processor as the other limits are."""

    def patched(processor: Part, tokenizer: Part, model_args: Part) -> None:
        patch(processor, tokenizer, model_args)
        for key in FORK_KEYS:
            setattr(processor, key, getattr(model_args, key))

    return patched


def register() -> None:
    """Put arguments, processor and plugin in their places; a second time changes nothing."""
    if plugins.PLUGINS["minicpm_v"] is HighFpsPlugin:
        return
    for name in ("_TRAIN_ARGS", "_INFER_ARGS", "_EVAL_ARGS"):
        classes = getattr(parser, name)
        classes[classes.index(ModelArguments)] = HighFpsArguments
    loader.patch_processor = with_keys(loader.patch_processor)
    upstream, plugins.PLUGINS["minicpm_v"] = plugins.PLUGINS["minicpm_v"], HighFpsPlugin
    for template in TEMPLATES.values():
        if type(template.mm_plugin) is upstream:
            given = {field.name: getattr(template.mm_plugin, field.name) for field in dataclasses.fields(upstream)}
            template.mm_plugin = HighFpsPlugin(**given)
