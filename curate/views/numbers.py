"""Numbers of many rows: quantiles over a few bytes a row, and the most common texts in bounded memory."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

QUANTILES = (0.05, 0.50, 0.95)
MOST_TEXTS = 100_000  # distinct texts that are counted at a time
KEY_CHARS = 200  # of a text; a longer one is told apart by its hash


@dataclass(frozen=True, slots=True)
class Summary:
    """How numbers are spread. Quantiles are numbers that occur: the lowest that so many per cent do not exceed."""

    count: int
    least: float
    p5: float
    p50: float
    p95: float
    most: float
    mean: float
    total: float


@dataclass(slots=True)
class Spread:
    """All numbers of one kind, at four bytes each, or eight for a `code` that wants them (as in `array`)."""

    code: str = "I"
    values: array[float] = field(init=False)

    def __post_init__(self) -> None:
        self.values = array(self.code)

    def add(self, number: float) -> None:
        """Take one number."""
        self.values.append(number)

    def extend(self, numbers: pl.Series) -> None:
        """Take a column of numbers."""
        self.values.frombytes(numbers.to_numpy().astype(self.code).tobytes())

    def summary(self) -> Summary | None:
        """The spread; None without numbers."""
        import numpy as np

        if not self.values:
            return None
        numbers = self.numbers()
        kind = int if self.code != "d" else float
        low, middle, high = map(kind, np.quantile(numbers, QUANTILES, method="inverted_cdf"))
        total = kind(numbers.sum(dtype=np.float64 if kind is float else np.uint64))
        least, most, count = kind(numbers.min()), kind(numbers.max()), len(numbers)
        return Summary(count, least, low, middle, high, most, total / count, total)

    def bars(self, number: int) -> list[int]:
        """How many numbers lie in each of so many equal parts from the least to the most."""
        import numpy as np

        numbers = self.numbers()
        counts, _ = np.histogram(numbers, bins=number) if len(numbers) else (np.zeros(number, dtype=int), None)
        return [int(count) for count in counts]

    def numbers(self) -> np.ndarray[tuple[int, ...], np.dtype[np.number]]:
        """A copy: the array itself cannot grow while it is looked at."""
        import numpy as np

        return np.array(self.values, dtype=self.code)


@dataclass(slots=True)
class Common:
    """Counts texts. Beyond MOST_TEXTS distinct ones the rarer half is forgotten, and counts are lower bounds."""

    most: int = MOST_TEXTS
    counts: Counter[str] = field(default_factory=Counter)
    forgotten: bool = False

    def extend(self, texts: Iterable[tuple[str, int]]) -> None:
        """Take texts with how often each occurs."""
        for text, count in texts:
            self.counts[key_of(text)] += count
        if len(self.counts) > self.most:
            self.forgotten = True
            self.counts = Counter(dict(self.counts.most_common(self.most // 2)))

    def top(self, number: int) -> list[tuple[str, int]]:
        """The most common texts, each cut to KEY_CHARS, and how often each occurs; equals in alphabetical order."""
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return [(text_of(key), count) for key, count in ordered[:number]]

    @property
    def distinct(self) -> int:
        """Distinct texts; at least so many where some were forgotten."""
        return max(len(self.counts), self.most if self.forgotten else 0)


def key_of(text: str) -> str:
    """A text, or the start and the hash of a long one."""
    if len(text) <= KEY_CHARS:
        return text
    return f"{text[:KEY_CHARS]}\0{blake2b(text.encode(), digest_size=12).hexdigest()}"


def text_of(key: str) -> str:
    """What of the text is known by its key; … where it goes on."""
    return key if len(key) <= KEY_CHARS else f"{key[:KEY_CHARS]}…"


def sparkline(counts: list[int]) -> str:
    """Counts as blocks of eight heights; what there is shows at least the lowest one."""
    most = max(counts, default=0)
    return "".join("▁▂▃▄▅▆▇█"[-(-count * 8 // most) - 1] if count else " " for count in counts)
