"""Qwen2.5-Omni and Qwen3-Omni: pictures as in Qwen2-VL, sound as tokens of its own or woven into a video.

Sources: llamafactory 0.9.5, mm_plugin.py: Qwen2OmniPlugin (process_messages, _get_mm_inputs); transformers 5.6.0,
models/qwen2_5_omni/processing_qwen2_5_omni.py and models/qwen3_omni_moe/processing_qwen3_omni_moe.py
(get_chunked_index; both use Qwen2-VL's image and video processors and Whisper's feature extractor).

The trainer decodes every video here, whatever its header says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from validators.budgets.family import Block, Crash, Cut, Family, Literal, Media, Placed, Run, Unit
from validators.budgets.qwen2_vl import (
    IMAGE_GRID,
    IMAGE_PROCESSORS,
    VIDEO_GRID,
    VIDEO_PROCESSORS,
    Grid,
    PatchGrid,
    VisionTokens,
    grid_of,
    image_grid,
    is_known,
    out_of_place,
    surplus_fault,
    video_grid,
    vision_tokens,
)
from validators.budgets.resize import sampled_frames
from validators.budgets.sound import Whisper, pooled_frames, rate_fault
from validators.budgets.templates import find_template
from validators.llamafactory.batches.member import BatchFault, Member
from validators.model import MediaKind, Outcome
from validators.probes.facts import MediaFacts
from validators.settings import TrainerSettings

POSITIONS = 25  # mm_plugin.py: position_id_per_seconds, which no processor of transformers 5.6.0 has
CHUNK = 2 * POSITIONS
QWEN3 = "Qwen3OmniMoeProcessor"
SILENT_VIDEO = BatchFault(
    Outcome.CRASH_STEP,
    "with use_audio_in_video, a video without sound before one with sound: the collator takes the grid of the first, "
    "which is larger, for the second (transformers 4.57.1, models/qwen2_5_omni/modeling_qwen2_5_omni.py: "
    "get_rope_index; RuntimeError: shape mismatch)",
    "per_device_train_batch_size: 1, or videos with their sound alone",
)
MISPLACED_VIDEO = BatchFault(
    Outcome.ALTERED,
    "with use_audio_in_video, a video without sound before one with sound: the collator takes the grid of the first "
    "for the second, whose tokens get wrong places in time and space (transformers 4.57.1, "
    "models/qwen2_5_omni/modeling_qwen2_5_omni.py: get_rope_index)",
    SILENT_VIDEO.cure,
)
# template.py: the only templates whose plugin names other tokens than the class's defaults have this audio token
OLD_AUDIO = "<|AUDIO|>"


@dataclass(frozen=True, slots=True)
class SoundTokens:
    """The special tokens that a template's plugin writes for sound."""

    audio: str = "<|audio_pad|>"
    start: str = "<|audio_start|>"
    end: str = "<|audio_end|>"


def sound_tokens(settings: TrainerSettings) -> SoundTokens:
    """The tokens of the run's template."""
    template = find_template(settings.template or "qwen2_omni")
    audio = None if template is None else template.spec["plugin"].get("audio_token")
    if audio == OLD_AUDIO:
        return SoundTokens(OLD_AUDIO, "<|audio_bos|>", "<|audio_eos|>")
    return SoundTokens()


def qwen3_frames(frames: int) -> int:
    """Tokens of Qwen3-Omni's encoder: three convolutions of stride 2 in every window of 100 frames."""
    left = (frames % 100 - 1) // 2 + 1
    return ((left - 1) // 2 + 1 - 1) // 2 + 1 + frames // 100 * 13


def chunks(positions: Sequence[int]) -> list[int]:
    """Lengths of the chunks that positions fall into, CHUNK positions a chunk (get_chunked_index).

    A jump over several chunks is not one cut: each next position ends a chunk of one until the count has caught up.
    """
    lengths: list[int] = []
    start = 0
    for at, position in enumerate(positions):
        if position >= (len(lengths) + 1) * CHUNK:
            lengths.append(at - start)
            start = at
    return [*lengths, len(positions) - start]


def video_positions(grid: Grid, merge: int, seconds: float) -> list[int]:
    """The time of each of a video's tokens, `seconds` a step, in float32 as the trainer's tensors."""
    import numpy as np

    steps = np.arange(grid.times).astype(np.float32) * np.float32(seconds) * np.float32(POSITIONS)
    tokens = (grid.rows // merge) * (grid.columns // merge)
    return [int(position) for position in steps.astype(np.int64) for _ in range(tokens)]


@dataclass(frozen=True, slots=True)
class Qwen2Omni(Family):
    """The family, ready to count with one model's processors and one run's settings."""

    settings: TrainerSettings
    image_grid: PatchGrid
    video_grid: PatchGrid
    extractor: Whisper
    special: VisionTokens
    sound: SoundTokens
    qwen3: bool
    """Whether the processor is Qwen3-Omni's, whose audio encoder gives other lengths."""

    @property
    def cut(self) -> Cut:
        """The model compares feature tokens with features (modeling_qwen2_5_omni.py: get_placeholder_mask).

        A unit without its end token stops the step as well (get_rope_index, in the collator), and a sound that is
        gone with its start token does not, as the model takes what sounds it needs (masked_scatter).
        """
        return Cut.UNITS

    @property
    def features(self) -> tuple[str, ...]:
        """Image, video and sound pads."""
        return (self.special.image, self.special.video, self.sound.audio)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Start, pads and end of pictures, and of sound."""
        return (*self.special.all(), self.sound.audio, self.sound.start, self.sound.end)

    @property
    def weaves(self) -> bool:
        """Whether videos are taken with their sound."""
        return bool(self.settings.raw.get("use_audio_in_video"))

    @property
    def watched(self) -> tuple[str, ...]:
        """The pads, and the token before those of pictures."""
        return (*self.features, self.special.start)

    def refuses(self, literals: Sequence[Literal], units: Sequence[Unit], end: int, media: Media) -> str:
        """Why the step stops at pads in the row's own text; one of sound always does, for want of features."""
        sounds = [literal for literal in literals if literal.token == self.sound.audio]
        return surplus_fault([*out_of_place(literals, media, self.settings, self.special), *sounds])

    def expand(self, placed: Sequence[Placed]) -> list[Block]:
        """Pictures as in Qwen2-VL, sounds alike; with use_audio_in_video, a sound goes into its video's block."""
        of_kind = {
            kind: sorted((item for item in placed if item.kind is kind), key=lambda item: item.slot)
            for kind in MediaKind
        }
        audios = [self.audio_tokens(item.facts) for item in of_kind[MediaKind.AUDIO]]
        grids = [video_grid(item.facts, self.settings, self.video_grid, False) for item in of_kind[MediaKind.VIDEO]]
        woven = bool(self.weaves and audios and grids)
        if woven:
            check_pairs(placed)
        blocks = []
        for item in placed:
            match item.kind:
                case MediaKind.IMAGE:
                    tokens = image_grid(item.facts, self.settings, self.image_grid).tokens(self.image_grid.merge)
                    blocks.append(self.special.block(self.special.image, tokens))
                case MediaKind.VIDEO if woven:
                    blocks.append(self.woven(grids[item.slot], item.facts, audios[item.slot]))
                case MediaKind.VIDEO:
                    tokens = grids[item.slot].tokens(self.image_grid.merge)
                    blocks.append(self.special.block(self.special.video, tokens))
                case MediaKind.AUDIO if woven:
                    blocks.append(Block(()))
                case MediaKind.AUDIO:
                    run = Run(self.sound.audio, audios[item.slot])
                    blocks.append(Block((self.sound.start, run, self.sound.end)))
        return blocks

    @property
    def joins(self) -> bool:
        """See batch_fault."""
        return not self.qwen3 and self.weaves

    def member(self, placed: Sequence[Placed]) -> Member:
        """With the grid of each video, and the time between its steps."""
        shapes = (self.shape(item.facts) for item in placed if item.kind is MediaKind.VIDEO)
        return replace(Family.member(self, placed), shapes=tuple(shapes) if self.joins else ())

    def shape(self, facts: MediaFacts) -> tuple[float, ...]:
        """Tokens of a video, steps, rows and columns of its grid, seconds between two steps."""
        grid = video_grid(facts, self.settings, self.video_grid, False)
        return grid.tokens(self.image_grid.merge), grid.times, grid.rows, grid.columns, self.seconds(facts)

    def batch_fault(self, members: Sequence[Member]) -> BatchFault | None:
        """The rope index of the n-th video with sound is made of the grid of the n-th video of the batch: a larger one
        gives more positions than there are tokens."""
        videos = [shape for member in members for shape in member.shapes]
        woven = [shape for member in members if member.audios for shape in member.shapes]
        if any(taken[0] > own[0] for taken, own in zip(videos, woven, strict=False)):
            return SILENT_VIDEO
        return MISPLACED_VIDEO if woven != videos[: len(woven)] else None

    def step_fault(self, placed: Sequence[Placed]) -> str:
        """Why the step stops though nothing was cut: Qwen2.5-Omni's encoder takes no sound of 0 tokens; else ""."""
        if fault := rate_fault(self.settings.audio_sampling_rate, self.extractor.sampling_rate):
            return fault  # a row without sound gets one in the collator
        audios = [self.audio_tokens(item.facts) for item in placed if item.kind is MediaKind.AUDIO]
        return "a sound too short for a token: max() of nothing in the audio encoder" if 0 in audios else ""

    def audio_tokens(self, facts: MediaFacts) -> int:
        """Tokens of one sound."""
        frames = self.extractor.frames(facts, self.settings.audio_sampling_rate)
        return qwen3_frames(frames) if self.qwen3 else pooled_frames(frames)

    def seconds(self, facts: MediaFacts) -> float:
        """The time between two steps of a video's grid; Crash where it has no frames a second."""
        count = sampled_frames(facts, self.settings.video_fps, self.settings.video_maxlen)
        if facts.duration == 0:
            raise Crash("a video of duration 0: ZeroDivisionError in _regularize_videos")
        fps = self.settings.video_fps if facts.duration is None else count / facts.duration
        if fps == 0:
            raise Crash("0 frames a second: float division by zero")
        return self.image_grid.temporal / fps

    def woven(self, grid: Grid, facts: MediaFacts, sound: int) -> Block:
        """A video with its sound: two seconds of pictures, two of sound, in turns."""
        positions = video_positions(grid, self.image_grid.merge, self.seconds(facts))
        parts: list[str | Run] = [self.special.start + self.sound.start]
        for pictures, sounds in zip_longest(chunks(positions), chunks(range(sound))):
            parts += [] if pictures is None else [Run(self.special.video, pictures)]
            parts += [] if sounds is None else [Run(self.sound.audio, sounds)]
        return Block((*parts, self.sound.end + self.special.end))


def check_pairs(placed: Sequence[Placed]) -> None:
    """Crash unless each video has a sound after it in its message, each sound being used once, the first one first."""
    videos = sum(item.kind is MediaKind.VIDEO for item in placed)
    audios = sum(item.kind is MediaKind.AUDIO for item in placed)
    if videos != audios:
        raise Crash(f"{videos} videos but {audios} audios with use_audio_in_video")
    for turn in {item.turn for item in placed}:
        left = [item.kind for item in placed if item.turn == turn and item.kind is not MediaKind.IMAGE]
        while MediaKind.VIDEO in left:
            at = left.index(MediaKind.VIDEO)
            if MediaKind.AUDIO not in left[at:]:
                raise Crash(f"a <video> in message {turn} has no <audio> after it, with use_audio_in_video")
            left.pop(at)
            left.remove(MediaKind.AUDIO)


def make(settings: TrainerSettings, configs: Mapping[str, Mapping[str, object]]) -> Qwen2Omni | None:
    """The family for a model's processor configs; None where they name other classes."""
    image, video = configs["image"], configs["video"]
    if not is_known(image, "image_processor_type", IMAGE_PROCESSORS):
        return None
    if not is_known(video, "video_processor_type", VIDEO_PROCESSORS):
        return None
    named = [configs[key].get("processor_class") for key in ("processor", "image", "video", "audio")]
    name = next((name for name in named if isinstance(name, str)), None)
    return Qwen2Omni(
        settings,
        grid_of(image, IMAGE_GRID),
        grid_of(video, VIDEO_GRID),
        Whisper.from_config(configs["audio"]),
        vision_tokens(settings),
        sound_tokens(settings),
        name == QWEN3 if name is not None else (settings.template or "").startswith("qwen3_omni"),
    )
