"""What the trainer's output says, for people: known faults explained once, and a line of progress now and then.

The trainer's own lines go to the screen as they are; nothing is taken away.
"""

from __future__ import annotations

import ast
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from train.builds import lock_words

EVERY = 10.0  # seconds between lines of progress
QUIET = 600.0  # seconds without a line after which a run is said to stand still


@dataclass(frozen=True, slots=True)
class Sign:
    """A line that means something: how it is known, what it says, and what to do."""

    name: str
    pattern: re.Pattern[str]
    words: str
    cure: str


def sign(name: str, pattern: str, words: str, cure: str) -> Sign:
    """One entry of SIGNS."""
    return Sign(name, re.compile(pattern), words, cure)


# Sources: llamafactory 0.9.5, data/converter.py, data/loader.py, data/mm_plugin.py, data/processor/supervised.py;
# torch 2.11, transformers 5.6.0 (models/qwen2_vl/modeling_qwen2_vl.py), torchcodec 0.11.
SIGNS = (
    sign(
        "dropped row",
        r"Dropped (invalid|lengthy) example",
        "a row is dropped and will not be trained on",
        "`curate check` on this yaml names it, and says why",
    ),
    sign(
        "roles",
        r"Invalid role tag in|Invalid message count in",
        "a row's roles are not in order; it will be dropped",
        "`curate check` on this yaml names it (TRN201, TRN202)",
    ),
    sign(
        "media path",
        r"Media .* does not exist in `media_dir`",
        "a media file is not where media_dir says",
        "`curate check` on this yaml names each (MED001)",
    ),
    sign(
        "no rows",
        r"Cannot find valid samples",
        "every row was dropped",
        "`curate check` on this yaml says why, row by row",
    ),
    sign(
        "tag counts",
        r"The number of (images|videos|audios) does not match the number of",
        "a row has more or fewer tags than media",
        "`curate check` on this yaml names it (TAG201 to TAG206)",
    ),
    sign(
        "cut media",
        r"features and (image|video|audio) tokens do not match|Sizes of tensors must match except in dimension"
        r"|shape mismatch: value tensor of shape .* cannot be broadcast to indexing result",
        "a row's media tokens were cut by cutoff_len",
        "`curate check` on this yaml names it (BUD202) and the lowest cutoff_len that cuts nothing",
    ),
    sign(
        "pack length",
        r"Merged position_ids shape mismatch",
        "packs are as long as cutoff_len, and the collator fills them up to a multiple of 8",
        "set cutoff_len to a multiple of 8",
    ),
    sign(
        "accelerator memory",
        r"(CUDA|NPU|HIP|XPU) out of memory|torch\.(cuda\.)?OutOfMemoryError",
        "the accelerator's memory is full",
        "lower per_device_train_batch_size, cutoff_len or image_max_pixels; or ZeRO-3, with offload",
    ),
    sign(
        "host memory",
        r"exitcode: -9|DefaultCPUAllocator: (not enough|can't allocate) memory|Cannot allocate memory",
        "the machine's memory is full, and a process was killed",
        "lower preprocessing_num_workers or dataloader_num_workers; with offload, take a smaller model",
    ),
    sign(
        "collective timeout",
        r"Watchdog caught collective operation timeout|NCCL.*[Tt]imeout|Timed out waiting .* (rank|store)",
        "a process waited too long for the others, often while one prepares the data",
        "raise ddp_timeout, or prepare the data once with tokenized_path",
    ),
    sign(
        "disk",
        r"No space left on device|Disk quota exceeded",
        "the disk is full",
        "free some, lower save_total_limit, or set save_only_model",
    ),
    sign(
        "sound decoder",
        r"Could not load libtorchcodec|TorchCodec is required",
        "sound cannot be decoded: torchcodec or FFmpeg's libraries are missing",
        "`curate doctor` on this yaml says which (AUD001)",
    ),
    sign(
        "torchrun",
        r"torchrun: (command )?not found|No such file or directory: 'torchrun'",
        "torchrun is not on PATH",
        "activate the trainer's environment",
    ),
)
RECORD = re.compile(r"\{'(loss|eval_loss)': .*\}")
BAR = re.compile(r"\|\s*(\d+)/(\d+) \[")


@dataclass(slots=True)
class Watcher:
    """Sees every line of a run; `tokens` are those of one epoch as predicted, 0 where they are not known."""

    tokens: int = 0
    epochs: float = 1.0
    clock: Callable[[], float] = time.monotonic
    every: float = EVERY
    seen: Counter[str] = field(default_factory=Counter)
    """Signs by name."""
    losses: list[float] = field(default_factory=list)
    step: int = 0
    steps: int = 0
    told: float = -math.inf
    first: tuple[int, float] = (0, 0.0)
    """The step at which this bar was first seen, and when: a bar's line ends only when its next one begins, so that
    speed is taken between two of them."""
    latest: float = 0.0
    """When the bar moved last."""

    def see(self, line: str) -> Iterator[str]:
        """What there is to say after a line of the trainer's."""
        for known in SIGNS:
            if known.pattern.search(line):
                self.seen[known.name] += 1
                if self.seen[known.name] == 1:
                    yield f"curate: {known.words}; {known.cure}"
        bar = BAR.search(line)
        if bar is not None:
            self.advance(int(bar[1]), int(bar[2]))
        record = RECORD.search(line)
        if record is not None:
            yield from self.note(record.group())

    def advance(self, step: int, steps: int) -> None:
        """A bar's position. Bars come before training too (of the data's preparation): the last one counts."""
        if steps != self.steps or step < self.step:
            self.first = step, self.clock()
        self.step, self.steps = step, steps
        self.latest = self.clock()

    def note(self, record: str) -> Iterator[str]:
        """A logged loss: progress when it is time, and a word when it is no number."""
        try:
            values = ast.literal_eval(record)
            loss = float(values.get("loss", values.get("eval_loss")))
        except (ValueError, SyntaxError, TypeError, AttributeError):
            return
        if "loss" not in values:
            return
        self.losses.append(loss)
        if not math.isfinite(loss):
            self.seen["loss is no number"] += 1
            if self.seen["loss is no number"] == 1:
                yield (
                    f"curate: the loss is {loss} at step {self.step}; lower learning_rate, use bf16 instead of fp16, "
                    "and look for rows without supervised tokens (BUD203)"
                )
        elif loss == 0:
            self.seen["loss is zero"] += 1
            if self.seen["loss is zero"] == 1:
                yield f"curate: the loss is 0 at step {self.step}: nothing is supervised, or numbers overflow in fp16"
        now = self.clock()
        if now - self.told >= self.every or self.step == self.steps:
            self.told = now
            yield self.progress(now)

    def progress(self, now: float) -> str:
        """`curate: step 15 of 18, loss 6.333 (6.443 at first), 1020 tokens/s, 2 s left`."""
        words = [f"step {self.step} of {self.steps}", f"loss {self.losses[-1]:.4g} ({self.losses[0]:.4g} at first)"]
        speed = self.speed(now)
        if speed:
            if self.tokens:
                words.append(f"{self.tokens * self.epochs / self.steps * speed:.0f} tokens/s")
            words.append(f"{duration((self.steps - self.step) / speed)} left")
        return f"curate: {', '.join(words)}"

    def speed(self, now: float) -> float:
        """Steps a second since the bar was first seen; 0 while it is not known."""
        step, since = self.first
        return (self.step - step) / (now - since) if now > since and step + 1 < self.step <= self.steps else 0.0

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens a second from the first bar to the last, as far as tokens were predicted; None where not known."""
        speed = self.speed(self.latest)
        return round(self.tokens * self.epochs / self.steps * speed, 1) if speed and self.tokens else None

    def stalled(self, quiet: float) -> str:
        """What to say of a run that has printed nothing for so many seconds."""
        return (
            f"curate: no output for {duration(quiet)}, after step {self.step} of {self.steps}; if processes wait for "
            "each other, `py-spy dump --pid` shows where"
        ) + (f"; {words}" if (words := lock_words(quiet)) else "")

    def explained(self) -> list[str]:
        """The words and the cure of each sign that was seen."""
        return [f"{known.words}; {known.cure}" for known in SIGNS if known.name in self.seen]

    def summary(self) -> list[str]:
        """Each sign that was seen, with its count."""
        return [f"{name}: {count} ×" for name, count in self.seen.items()]


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
