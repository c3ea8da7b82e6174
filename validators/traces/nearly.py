"""What is nearly the same: media and texts that only depth decode compares."""

from __future__ import annotations

from functools import lru_cache, partial

import polars as pl

from validators.model import MediaKind
from validators.sources.batch import Census
from validators.sources.flatten import flatten
from validators.sources.selection import batches
from validators.traces.alike import leaked, leaked_media, of
from validators.traces.copies import same_bytes
from validators.traces.hashing import KINDS
from validators.traces.model import TALK, Traces
from validators.traces.pairs import banded
from validators.traces.pictures import near
from validators.traces.shingles import likely, likeness, talks

ALIKE = pl.Schema({"kind": pl.UInt8, "identity": pl.UInt64, "twin": pl.UInt64, "likeness": pl.Float64})
IMAGE = KINDS[MediaKind.IMAGE.value]
READ_ROWS = 2048
PAIRS = pl.Schema({"right": pl.Int64, "left": pl.Int64, "likeness": pl.Float64})


@lru_cache(maxsize=1)
def copied(traces: Traces) -> pl.DataFrame:
    """Media of which an earlier one, `twin`, has the same bytes under another name."""
    found = []
    for part in traces.files.partition_by("kind", maintain_order=True):
        identities = dict(part.select("path", "identity").iter_rows())
        kind = int(part["kind"][0])
        pairs = same_bytes(identities)
        found += [(kind, identities[path], identities[first], 1.0) for path, first in pairs]
    return pl.DataFrame(found, schema=ALIKE, orient="row")


@lru_cache(maxsize=1)
def alike(traces: Traces, least: float) -> pl.DataFrame:
    """Images that show nearly what an earlier one, `twin`, shows; copies left out. The first twin comes first."""
    identities = traces.pictures.to_list()
    copies = set(copied(traces).filter(pl.col("kind") == IMAGE)["identity"])
    pairs = sorted(near(traces.copies, least), key=lambda pair: (pair[1], pair[0]))
    found = [
        (IMAGE, identities[right], identities[left], share)
        for left, right, share in pairs
        if identities[right] not in copies and identities[left] not in copies
    ]
    return pl.DataFrame(found, schema=ALIKE, orient="row")


def within(traces: Traces, twins: pl.DataFrame) -> pl.DataFrame:
    """Of each medium to train on that has a twin to train on, its first entry, with `first_…` of the twin."""
    firsts = of(traces.media, traces.learned).unique(["kind", "identity"], keep="first", maintain_order=True)
    pairs = with_twin(firsts, firsts, twins).unique(["kind", "identity"], keep="first", maintain_order=True)
    return traces.lined(pairs)


def beyond(traces: Traces, twins: pl.DataFrame) -> pl.DataFrame:
    """Of each row to evaluate with that has a medium with a twin to train on, the first such entry; rows left out that
    share a row or a medium with those to train on."""
    firsts = of(traces.media, traces.learned).unique(["kind", "identity"], keep="first", maintain_order=True)
    pairs = with_twin(of(traces.media, traces.evaluated), firsts, twins)
    for known in (leaked(traces), leaked_media(traces)):
        pairs = pairs.join(known, on=["dataset", "row"], how="anti", maintain_order="left")
    return traces.lined(pairs.unique(["dataset", "row"], keep="first", maintain_order=True))


def with_twin(entries: pl.DataFrame, firsts: pl.DataFrame, twins: pl.DataFrame) -> pl.DataFrame:
    """Entries that have a twin among the firsts, with its dataset, row and slot as `first_…`."""
    others = firsts.select(
        "kind",
        pl.col("identity").alias("twin"),
        *(pl.col(name).alias(f"first_{name}") for name in ("dataset", "row", "slot")),
    )
    pairs = entries.join(twins, on=["kind", "identity"], maintain_order="left_right")
    return pairs.join(others, on=["kind", "twin"], maintain_order="left")


@lru_cache(maxsize=1)
def near_texts(traces: Traces, least: float) -> pl.DataFrame:
    """Rows whose text and answers an earlier row has but for little, with the same media: dataset, row, line,
    first_dataset, first_row, likeness; each with the first such row. Equal rows are left out."""
    rows = traces.rows.join(traces.texts, on=["dataset", "row"], maintain_order="left")
    rows = rows.unique(TALK, keep="first", maintain_order=True)
    keys, answers = rows["keys"].to_numpy(), rows["answer_keys"].to_numpy()
    left, right = banded(keys, rows["media"].to_numpy(), partial(likely, keys, answers, least))
    pairs = pl.DataFrame({"left": left, "right": right}, schema={"left": pl.Int64, "right": pl.Int64})
    where = rows.select("dataset", "row", "line").with_row_index("at").with_columns(pl.col("at").cast(pl.Int64))
    wanted = where.filter(pl.col("at").is_in(pl.concat([pairs["left"], pairs["right"]]).unique().implode()))
    texts = texts_of(traces, wanted)
    found: dict[int, tuple[int, float]] = {}
    for one, other in pairs.sort("right", "left").iter_rows():
        if other not in found:
            answers_share = likeness(texts[one][1], texts[other][1])  # the shorter, which tell most rows apart
            share = min(likeness(texts[one][0], texts[other][0]), answers_share) if answers_share >= least else 0.0
            if share >= least:
                found[other] = (one, share)
    firsts = where.select(
        pl.col("at").alias("left"), *(pl.col(name).alias(f"first_{name}") for name in ("dataset", "row"))
    )
    return (
        pl.DataFrame([(right, *first) for right, first in found.items()], schema=PAIRS, orient="row")
        .join(where.rename({"at": "right"}), on="right", maintain_order="left")
        .join(firsts, on="left", maintain_order="left")
    )


def texts_of(traces: Traces, wanted: pl.DataFrame) -> dict[int, tuple[str, str]]:
    """The text and the answers of rows, which are read once more, by `at`."""
    texts: dict[int, tuple[str, str]] = {}
    for part in wanted.partition_by("dataset", maintain_order=True):
        plan = traces.datasets[int(part["dataset"][0])].plan
        numbers = dict(part.select("row", "at").iter_rows())
        for chunk in batches(plan.loader(), [(0, None)], READ_ROWS, Census()):
            turns = flatten(chunk, plan.entry, Census()).turns
            chosen = turns.filter(pl.col("row").is_in(part["row"].cast(pl.Int64).implode()))
            for row, text, answers in talks(chosen).iter_rows():
                texts[numbers[row]] = (text, answers)
    return texts
