"""Every step by its name in a recipe, and how its options are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from curate.forms import NOTHING, SEED, SHARE, TEXT, Form, Key, either, one_of, optional
from curate.forms import mapping as mapping_of
from curate.steps.budget import Budget, Way
from curate.steps.clean import Clean
from curate.steps.columns import COLUMNS, installed
from curate.steps.dedup import Dedup
from curate.steps.filter import parse
from curate.steps.repair import Repair
from curate.steps.run import Named
from curate.steps.sample import Sample, Shuffle
from curate.steps.split import REST, Split
from curate.steps.step import Step
from curate.steps.twins import EXACT
from validators.errors import UsageFault
from validators.model import MediaKind
from validators.numbers import bounded_whole

PART = "letters, digits and _"
WAYS: Mapping[str, Way] = {"frames": "frames", "split": "split", "drop": "drop"}
LEAST = {"text": 0.7, "images": 0.9, "videos": 0.9, "audios": 0.3}
"""Likeness below which candidates are not found for sure, or chance begins."""

SURE: Final = ("safe", "unsafe")
BY: Final = ("all", "question", "answer")
KEEP: Final = ("first", "last", "longest", "most_media")
SEED_KEY = Key("seed", "another choice (default: 0)", SEED, "seed: 7")


def likeness(name: str) -> Key:
    """A key of `dedup` for what is compared."""
    form = either(one_of(["exact", "any"]), {"type": "number", "minimum": LEAST[name], "maximum": 1})
    return Key(name, f"exact, any (not compared), or a likeness from {LEAST[name]} to 1", form, f"{name}: exact")


DEDUP_KEYS = (
    *map(likeness, LEAST),
    Key("by", "which part of the text is compared (default: all)", one_of(BY), "by: answer"),
    Key("keep", "which of them is kept (default: first)", one_of(KEEP), "keep: longest"),
    SEED_KEY,
)
SAMPLE_KEYS = (
    Key("rows", "how many", SEED, "rows: 1000"),
    Key("share", "which share, in place of rows", SHARE, "share: 0.1"),
    SEED_KEY,
)
SPLIT_KEYS = (
    Key("stratify", "a column whose values all parts have alike", optional(one_of(COLUMNS)), "stratify: kinds"),
    SEED_KEY,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A step's name, what it does, how its options look, and its reader: from where, and what is written there.

    form: the JSON Schema of its options; the reader refuses what it refuses.
    """

    name: str
    words: str
    example: str
    read: Callable[[str, object], Step]
    form: Form

    @property
    def bare(self) -> bool:
        """Whether its name alone is a step."""
        options = self.form.get("anyOf")
        return isinstance(options, list) and NOTHING in options


def read_steps(where: str, raw: object) -> tuple[Named, ...]:
    """The list under `steps`; UsageFault names the place, what was found and what was expected."""
    if not isinstance(raw, list):
        raise UsageFault(where, f"{raw!r}", "a list of steps")
    return tuple(read_step(f"{where}[{number}]", item) for number, item in enumerate(raw))


def read_step(where: str, raw: object) -> Named:
    """One step: `name`, or a mapping of its name to its options."""
    name, options = (raw, None) if isinstance(raw, str) else (None, None)
    if isinstance(raw, Mapping) and len(raw) == 1:
        name, options = next(iter(raw.items()))
    if not isinstance(name, str):
        raise UsageFault(where, f"{raw!r}", f"one of {', '.join(KINDS)}, with its options")
    kind = KINDS.get(name)
    if kind is None:
        near = get_close_matches(name, KINDS, n=1)
        cure = f"did you mean {near[0]!r}?" if near else ""
        raise UsageFault(where, f"no step {name!r}", f"one of {', '.join(KINDS)}", cure)
    return Named(name, kind.read(f"{where}.{name}", options))


def read_filter(where: str, raw: object) -> Step:
    """An SQL condition."""
    if not isinstance(raw, str):
        raise UsageFault(where, f"{raw!r}", "an SQL condition: answer_chars >= 10")
    return parse(where, raw)


def read_clean(where: str, raw: object) -> Step:
    """No options."""
    mapping(where, raw, ())
    return Clean()


def read_dedup(where: str, raw: object) -> Step:
    """Likeness of texts and of each kind of media, and which row is kept; without any likeness, all must be equal."""
    media = {kind.column: kind for kind in MediaKind}
    options = mapping(where, raw, ("text", *media, "by", "keep", "seed"))
    by, keep = options.get("by", "all"), options.get("keep", "first")
    if by not in BY:
        raise UsageFault(f"{where}.by", f"{by!r}", "all, question or answer")
    if keep not in KEEP:
        raise UsageFault(f"{where}.keep", f"{keep!r}", "first, last, longest or most_media")
    given = {name: alike(where, name, options[name]) for name in ("text", *media) if name in options}
    if not given:
        return Dedup(by=by, keep=keep, seed=seed(where, options))
    if all(value is None for value in given.values()):
        raise UsageFault(where, f"{raw!r}", "something to compare: exact or a likeness")
    kinds = tuple((media[name], value) for name, value in given.items() if name in media)
    return Dedup(given.get("text"), kinds, by, keep, seed(where, options))


def alike(where: str, name: str, value: object) -> float | None:
    """`exact`, `any` or a likeness."""
    if value in ("exact", "any"):
        return EXACT if value == "exact" else None
    if not isinstance(value, int | float) or isinstance(value, bool) or not LEAST[name] <= value <= 1:
        raise UsageFault(f"{where}.{name}", f"{value!r}", f"exact, any, or a likeness from {LEAST[name]} to 1")
    return float(value)


def read_repair(where: str, raw: object) -> Step:
    """`safe` or `unsafe`."""
    how = "safe" if raw is None else raw
    if how not in SURE:
        raise UsageFault(where, f"{raw!r}", "safe or unsafe")
    return Repair(how == "unsafe")


def read_budget(where: str, raw: object) -> Step:
    """A way, or several in the order in which they are tried; drop by default."""
    listed = ["drop"] if raw is None else raw if isinstance(raw, list) else [raw]
    ways = [WAYS[way] for way in listed if isinstance(way, str) and way in WAYS]
    early = "drop" in ways[:-1]  # nothing is left for what comes after it
    if not ways or len(ways) < len(listed) or len(set(ways)) < len(ways) or early:
        raise UsageFault(where, f"{raw!r}", "frames, split or drop, or a list of them, each once and drop last")
    return Budget(tuple(ways))


def read_shuffle(where: str, raw: object) -> Step:
    """A seed."""
    options = mapping(where, raw, ("seed",))
    return Shuffle(seed(where, options))


def read_sample(where: str, raw: object) -> Step:
    """A number of rows, or a share of them."""
    options = mapping(where, raw, ("rows", "share", "seed"))
    if ("rows" in options) is ("share" in options):
        raise UsageFault(where, f"{raw!r}", "either rows or share")
    rows = whole(where, options, "rows", 0) if "rows" in options else None
    return Sample(rows, share(where, "share", options["share"]) if rows is None else None, seed(where, options))


def read_split(where: str, raw: object) -> Step:
    """Parts by name and share, `stratify` and `seed`."""
    if not isinstance(raw, Mapping):
        raise UsageFault(where, f"{raw!r}", "parts by name and share: {eval: 0.1}")
    parts = [(str(name), value) for name, value in raw.items() if name not in ("stratify", "seed")]
    stratify = raw.get("stratify")
    if stratify is not None and (not isinstance(stratify, str) or stratify not in COLUMNS):
        raise UsageFault(f"{where}.stratify", f"{stratify!r}", f"one of {', '.join(COLUMNS)}")
    installed(f"{where}.stratify", () if stratify is None else (stratify,))
    for name, _ in parts:
        if name == REST or not name.replace("_", "").isalnum():
            raise UsageFault(f"{where}.{name}", f"a part named {name!r}", PART)
    shares = tuple((name, share(where, name, value)) for name, value in parts)
    if not shares or sum(value for _, value in shares) >= 1:
        raise UsageFault(where, f"{dict(parts)}", "at least one part, and shares below 1 in all")
    return Split(shares, stratify, seed(where, raw))


def mapping(where: str, raw: object, known: Sequence[str]) -> Mapping[str, object]:
    """Options by name; none where nothing is written."""
    if raw is None:
        return {}
    expected = f"a mapping of {', '.join(known)}" if known else "no options"
    if not isinstance(raw, Mapping) or not raw.keys() <= set(known):
        raise UsageFault(where, f"{raw!r}", expected)
    return raw


def whole(where: str, options: Mapping[str, object], name: str, default: int) -> int:
    """A whole number, not negative, cut at numbers.MOST."""
    value = options.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UsageFault(f"{where}.{name}", f"{value!r}", "a whole number, 0 or more")
    return bounded_whole(value)


def seed(where: str, options: Mapping[str, object]) -> int:
    """The seed of a step that draws; 0 by default."""
    return whole(where, options, "seed", 0)


def share(where: str, name: str, value: object) -> float:
    """A share above 0, at most 1."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1:
        raise UsageFault(f"{where}.{name}", f"{value!r}", "a share above 0, at most 1")
    return float(value)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "filter",
            "keep the rows for which an SQL condition holds",
            'filter: "answer_chars >= 10 AND (width IS NULL OR width >= 64)"',
            read_filter,
            TEXT,
        ),
        Kind(
            "clean",
            "mend mojibake and control characters in texts (ftfy)",
            "clean",
            read_clean,
            optional(mapping_of(())),
        ),
        Kind(
            "repair",
            "mend tags, roles, order of turns and paths as `curate fix` does; what cannot be mended stays",
            "repair: safe",
            read_repair,
            optional(one_of(SURE)),
        ),
        Kind(
            "dedup",
            "keep one of rows that are the same, or nearly, in all that is named; media of a kind not named must "
            "have equal paths, those with `any` are not compared",
            "dedup: {text: 0.9, images: 0.98, videos: 0.95, audios: 0.7, by: all, keep: longest}",
            read_dedup,
            optional(mapping_of(DEDUP_KEYS)),
        ),
        Kind(
            "budget",
            "what becomes of rows longer than cutoff_len; ways are tried in order. `frames` copies their videos with "
            "as many frames as fit, `split` cuts between turns, else they are dropped. Needs `trainer`, and for "
            "`frames` media that are stored, copied or linked",
            "budget: [frames, split, drop]",
            read_budget,
            optional(
                either(one_of(WAYS), {"type": "array", "items": one_of(WAYS), "minItems": 1, "uniqueItems": True})
            ),
        ),
        Kind(
            "shuffle",
            "another order, by a hash of seed and row",
            "shuffle: {seed: 7}",
            read_shuffle,
            optional(mapping_of((SEED_KEY,))),
        ),
        Kind(
            "sample",
            "some rows by chance",
            "sample: {rows: 1000}",
            read_sample,
            mapping_of(SAMPLE_KEYS, oneOf=[{"required": ["rows"]}, {"required": ["share"]}]),
        ),
        Kind(
            "split",
            "parts that share no medium and no text: NAME_eval beside NAME",
            "split: {eval: 0.05, stratify: kinds}",
            read_split,
            {**mapping_of(SPLIT_KEYS), "minProperties": 1, "additionalProperties": SHARE},
        ),
    )
}
