"""Whether a build lost too much: a source without a usable row, a dataset without a row, more lost than allowed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from curate.build import SAME
from curate.steps.run import StepCount
from validators.limit import Limit

CURES = (
    ("not found under the media root", "name the folder that paths start from: media_root, or the source's media_dir"),
    ("leads outside the media root", "a media_root above all media"),
    ("lies outside the media root", "a media_root above all media"),
    ("an annotation without a caption", "take COCO's captions_*.json: instances_*.json holds boxes and no text"),
    ("caption", "name the column of the texts in the source: columns: {caption: NAME}"),
    ("file_name", "name the column of the media in the source: columns: {file_name: NAME}"),
    ("message", "name another format for the source, or mend its rows"),
    ("is fetched only where", "fetch: true in the recipe"),
    ("roles do not alternate", "the trainer takes turns of user and assistant only: mend the rows"),
    ("step ", "loosen that step, or leave it out of the recipe"),
)
"""What to do about a reason that holds the words; the first that fits counts."""
AFTER_A_NAME = (
    " not found under the media root", " leads outside the media root", " lies outside the media root", " is empty",
    " is larger than ", " is of no known format", " is fetched only where ", " is no address", " is no http address",
    " is not encoded as an address", " is at a private address", " answers ", " cannot be fetched: ", " ended early",
    " takes longer than ", " leads on more than ", ": no such host", ": its host ",
)  # fmt: skip
"""What follows the name of a file or an address in a reason, and tells its kind."""


@dataclass(frozen=True, slots=True)
class SourceCount:
    """What became of one source's rows. dropped: by reason."""

    source: str
    kept: int
    dropped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss that a build must not have: where, the rows in and lost, the commonest reason with its rows, the limit.

    limit: None where nothing is left at all, which no limit allows.
    """

    where: str
    rows: int
    lost: int
    reasons: Mapping[str, int]
    limit: Limit | None = None

    def __str__(self) -> str:
        reason, count = commonest(self.reasons) if self.reasons else ("it has no rows", 0)
        found = f"none of {self.rows} rows is left"
        if self.limit is not None:
            found = f"{self.lost} of {self.rows} rows are lost, and max_lost allows {self.limit.text}"
        number = f" ({count} row{'s' * (count != 1)})" if count else ""
        reason += " …" * (self.reasons.get(reason, 0) < count)  # other rows name other files
        return f"{self.where}: {found}; most often{number}: {reason}\n  fix: {cure_of(reason)}"


class RowsLost(Exception):
    """A build that would lose too much; the target stays as it is.

    ledger: the files that hold the reasons of all rows.
    """

    def __init__(self, losses: Iterable[Loss], ledger: Path) -> None:
        self.losses = tuple(losses)
        self.ledger = ledger
        super().__init__("\n".join(map(str, self.losses)))


def commonest(reasons: Mapping[str, int]) -> tuple[str, int]:
    """The commonest kind of reason: one of that kind, the most frequent, and the rows of the kind. Not of none."""
    kinds: Counter[str] = Counter()
    for reason, count in reasons.items():
        kinds[kind_of(reason)] += count
    kind, rows = kinds.most_common(1)[0]
    return max((reason for reason in reasons if kind_of(reason) == kind), key=lambda reason: reasons[reason]), rows


def kind_of(reason: str) -> str:
    """A reason without the file or address that it names."""
    places = ((reason.find(words), words) for words in AFTER_A_NAME)
    return next((reason[at:] for at, words in places if at >= 0), reason)


def cure_of(reason: str) -> str:
    """What to do about a reason."""
    return next((cure for words, cure in CURES if words in reason), "mend the rows, or name another source")


def lost(dropped: Mapping[str, int]) -> int:
    """Rows that were lost while they were read; a row that stands there twice is none."""
    return sum(count for reason, count in dropped.items() if not reason.startswith(SAME))


def losses_of_source(dataset: str, source: SourceCount, limit: Limit | None) -> Iterator[Loss]:
    """What is wrong with a source: all of its rows are lost, or more than the limit."""
    gone = lost(source.dropped)
    rows = source.kept + sum(source.dropped.values())
    where = f"{dataset}: {source.source}"
    reasons = {reason: count for reason, count in source.dropped.items() if not reason.startswith(SAME)}
    if gone and gone == rows:
        yield Loss(where, rows, gone, reasons)
    elif limit is not None and limit.exceeded(gone, rows):
        yield Loss(where, rows, gone, reasons, limit)


def losses_of_dataset(
    name: str, kept: int, dropped: Mapping[str, int], steps: Iterable[StepCount], left: int, limit: Limit | None
) -> Iterator[Loss]:
    """What is wrong with a whole dataset, of which `left` rows are left behind its steps."""
    gone, rows = lost(dropped), kept + sum(dropped.values())
    if left == 0:
        reasons = Counter(dropped)
        for step in steps:
            reasons.update({f"step {step.step}: {reason}": count for reason, count in step.reasons.items()})
            if not step.reasons and step.before > step.after:
                reasons[f"step {step.step} took them out"] += step.before - step.after
        yield Loss(name, rows, rows, reasons)
    elif limit is not None and limit.exceeded(gone, rows):
        yield Loss(name, rows, gone, dropped, limit)
