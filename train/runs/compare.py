"""What two runs have different: settings, data, circumstances, and their losses at the same steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from train.runs.read import Run
from validators.sources.target import mapping

MISSING = "–"
STEPS_SHOWN = 8
OWN = frozenset({"output_dir", "run_name", "resume_from_checkpoint", "overwrite_output_dir"})
"""Keys that two runs differ in without training otherwise."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs, with its value on both sides; MISSING where a side has none."""

    what: str
    a: object
    b: object


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side. losses: (step, a's loss, b's loss) for each step that both logged."""

    a: Run
    b: Run
    settings: tuple[Difference, ...]
    data: tuple[Difference, ...]
    circumstances: tuple[Difference, ...]
    losses: tuple[tuple[int, float, float], ...]


def compare(a: Run, b: Run) -> Comparison:
    """Hold two runs against each other."""
    settings = tuple(each for each in differences(a.settings, b.settings) if each.what not in OWN)
    other = dict(b.losses.trained)
    losses = tuple((step, loss, other[step]) for step, loss in a.losses.trained if step in other)
    data = tuple(each for name in sorted(a.data.keys() | b.data.keys()) for each in data_differences(name, a, b))
    return Comparison(a, b, settings, data, tuple(circumstances(a, b)), losses)


def differences(a: Mapping[str, object], b: Mapping[str, object], prefix: str = "") -> Iterator[Difference]:
    """Keys whose values differ, by name."""
    for key in sorted(a.keys() | b.keys()):
        left, right = a.get(key, MISSING), b.get(key, MISSING)
        if left != right:
            yield Difference(f"{prefix}{key}", left, right)


def data_differences(name: str, a: Run, b: Run) -> Iterator[Difference]:
    """What differs in one dataset; its files by content, wherever they lie."""
    if name not in a.data or name not in b.data:
        yield Difference(name, *("used" if name in side.data else MISSING for side in (a, b)))
        return
    left, right = mapping(a.data[name]), mapping(b.data[name])
    hashes = [sorted(map(str, mapping(side.get("files")).values())) for side in (left, right)]
    if hashes[0] != hashes[1]:
        yield Difference(f"{name}: content", *(short(side) for side in hashes))
    for key in ("rows", "reaching", "evaluates"):
        if left.get(key) != right.get(key):
            yield Difference(f"{name}: {key}", left.get(key), right.get(key))
    locks = [mapping(side.get("build")).get("sha256") for side in (left, right)]
    if locks[0] != locks[1]:
        yield Difference(f"{name}: build", *(short([str(lock)]) if lock else MISSING for lock in locks))


def circumstances(a: Run, b: Run) -> Iterator[Difference]:
    """Base model, versions, commit and launcher, where they differ."""
    bases = [mapping(mapping(side.record.get("base")).get("files")) for side in (a, b)]
    if bases[0] != bases[1]:
        changed = sorted(name for name in bases[0].keys() | bases[1].keys() if bases[0].get(name) != bases[1].get(name))
        yield Difference("base model", *(short([str(side.get(changed[0], MISSING))]) for side in bases))
    for part in ("versions", "launcher", "git"):
        sides = [mapping(side.record.get(part)) for side in (a, b)]
        yield from differences(sides[0], sides[1], f"{part}: ")


def short(hashes: list[str]) -> str:
    """Hashes by their first characters."""
    return ", ".join(each[:12] for each in hashes) or MISSING


def shown_steps(losses: tuple[tuple[int, float, float], ...]) -> list[tuple[int, float, float]]:
    """Some of the common steps at even distances, the first and the last among them."""
    if len(losses) <= STEPS_SHOWN:
        return list(losses)
    last = len(losses) - 1
    return [losses[number * last // (STEPS_SHOWN - 1)] for number in range(STEPS_SHOWN)]
