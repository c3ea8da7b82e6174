"""Any JSON at all gives rows or reasons, never an exception; and memory does not grow with the file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from curate.build import LedgerEntry, Row, build_rows
from curate.ingest.detect import detect
from curate.ingest.given import bare_base64
from curate.ingest.hub import read
from curate.ingest.raw import Intake, NoUse, Options
from curate.ingest.registry import FORMATS
from curate.ingest.subtitles import cues
from curate.media.keeper import Keeper, Mode
from curate.recipe import QUESTIONS, DatasetRecipe, Recipe, Source
from curate.schema import canonical_schema, validate
from validators.errors import UsageFault

WORDS = re.findall(
    r"\S+",
    """messages conversations role content from value user assistant human gpt tool function system type text image
images video videos audio audios image_url url input_audio data format tool_calls name arguments tools bytes path
file_name caption question answer instruction input output history annotations result textarea choices from_name
array base64 <image> <image_00> objects a.jpg b.mp4 data:image/png;base64,iVBORw0KGgo= http://x.org/a.png""",
)
WORD = st.sampled_from(WORDS)
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORD
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=4), max_leaves=20
)
TURN = st.dictionaries(st.sampled_from(["role", "content", "from", "value", "tool_calls"]), VALUE, max_size=4)
ROW = st.dictionaries(WORD, st.lists(TURN, max_size=3) | VALUE, max_size=5) | VALUE
JSON_FORMATS = [item.name for item in FORMATS if item.folder is None and item.name not in ("subtitles", "webdataset")]
WHOLE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@WHOLE
@given(rows=st.lists(ROW, max_size=3), name=st.sampled_from(JSON_FORMATS))
@example(rows=[{"messages": [{"role": "user", "content": [{"type": []}]}]}], name="openai")
@example(rows=[{"conversations": [{"role": "user", "content": "x"}], "image": {"<image_00>": None}}], name="minicpm")
def test_any_rows_give_rows_or_reasons(rows: list[Any], name: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows or [{}]))
    (tmp_path / "a.jpg").write_bytes(b"x")
    dataset = DatasetRecipe("data", (Source(name, path, Options(keep=None)),))
    recipe = Recipe(tmp_path / "recipe.yaml", tmp_path / "out", tmp_path, (dataset,), QUESTIONS)
    keeper = Keeper(Mode.STORE, tmp_path, recipe.target, tmp_path / "staging")
    try:
        found = list(build_rows(recipe, dataset, keeper))
    except UsageFault:  # a table without columns that mean something
        assert name in ("arrow", "csv", "parquet", "tsv")
        return
    kept = [item.canonical() for item in found if isinstance(item, Row)]
    said = [item for item in found if isinstance(item, LedgerEntry) and item.action == "dropped"]
    assert len(kept) + len(said) == max(1, len(rows)) and all(item.reason for item in said)
    if kept:
        import pyarrow as pa

        validate(pa.RecordBatch.from_pylist(kept, schema=canonical_schema()))


@WHOLE
@given(rows=st.lists(ROW, max_size=3))
def test_any_rows_are_told_or_refused(rows: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows))
    try:
        assert detect(path, Options()) in FORMATS
    except UsageFault as fault:
        assert "expected" in str(fault)


@WHOLE
@given(text=st.text(st.sampled_from(list("0123456789:,.-> \n\r<>WEBVTTNOTE{\\}&;a")), max_size=80))
def test_any_subtitles_are_read_or_refused(text: str) -> None:
    try:
        assert all(cue.text for cue in cues(text))
    except NoUse as reason:
        assert "is no time" in str(reason)


def test_subrip_s_cues() -> None:
    text = "1\r\n00:01:02,500 --> 01:00:04,000 X1:40\r\n{\\an8}<i>One</i>\r\ntwo &lt;3\r\n\r\n"
    text += "2\r\n00:00:00,000 --> 00:00:01,000\r\n\r\n"
    (cue,) = cues(text)
    assert (cue.start, cue.end, cue.text) == (62_500, 3_604_000, "One\ntwo <3")


def test_a_path_is_no_base64() -> None:
    assert bare_base64("a/b/c.jpg") is None and bare_base64("x" * 301 + ".jpg") is None


def test_a_name_on_the_hub_without_a_network_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageFault, match="cannot be loaded by datasets") as raised:
        list(read(Intake(tmp_path / "owner" / "nothing-here", tmp_path)))
    assert "check the name, the network, HF_ENDPOINT, HF_HUB_OFFLINE and HF_TOKEN" in str(raised.value)
    with pytest.raises(UsageFault, match="or the owner/name of a dataset on the Hub"):
        list(read(Intake(tmp_path / "a b" / "c?", tmp_path)))


def test_a_repository_of_data_files_on_disk_is_loaded(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps({"instruction": f"A {split}?", "output": "Yes."}) + "\n")
    items = list(read(Intake(tmp_path, tmp_path)))
    assert [(item.split, item.turns[0].content) for item in items] == [("train", "A train?")]
    assert {item.split for item in read(Intake(tmp_path, tmp_path, Options(split="all")))} == {"train", "test"}


SCRIPT = """
import resource, sys
from pathlib import Path
from curate.ingest.raw import Intake, Options
from curate.ingest.registry import BY_NAME
name, path, limit = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) << 20
read = BY_NAME[name].read(Intake(path, path.parent, Options()))
next(read)  # libraries are in memory now
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
rows = 1 + sum(1 for _ in read)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(rows, (after - before) >> 20)
"""


def grown(name: str, path: Path) -> tuple[int, int]:
    """Rows, and MiB by which the memory grew over them."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name, str(path), "0"], capture_output=True, text=True, check=True
    )
    rows, mib = done.stdout.split()
    return int(rows), int(mib)


@pytest.mark.parametrize("name", ["alpaca", "coco", "csv", "parquet", "webdataset"])
def test_a_large_source_is_read_in_small_memory(name: str, tmp_path: Path) -> None:
    import io
    import tarfile

    import pyarrow as pa
    import pyarrow.parquet as pq

    long = "word " * 2000
    path = tmp_path / {"csv": "x.csv", "parquet": "x.parquet", "webdataset": "x.tar"}.get(name, "x.json")
    count = 20_000
    if name == "alpaca":
        with path.open("w") as file:
            file.write("[")
            file.writelines(
                ("," if number else "") + json.dumps({"instruction": str(number), "output": long})
                for number in range(count)
            )
            file.write("]")
    elif name == "coco":
        with path.open("w") as file:
            file.write('{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [')
            file.writelines(
                ("," if number else "") + json.dumps({"image_id": 1, "caption": long}) for number in range(count)
            )
            file.write("]}")
    elif name == "csv":
        with path.open("w") as file:
            file.write("file_name,caption\n")
            file.writelines(f"a.jpg,{number} {long}\n" for number in range(count))
    elif name == "parquet":
        with pq.ParquetWriter(
            path, pa.schema([("image", pa.binary()), ("text", pa.string())]), compression="NONE"
        ) as out:
            for number in range(100):
                data = [number.to_bytes(4, "big") * 25_000 + bytes([place]) for place in range(20)]
                out.write_table(pa.table({"image": data, "text": ["x"] * 20}, schema=out.schema))
        count = 2000
    else:
        count = 2000
        with tarfile.open(path, "w") as archive:
            for number in range(count):
                for ending, data in (("jpg", bytes([number % 256]) * 100_000), ("txt", b"x")):
                    info = tarfile.TarInfo(f"{number:06}.{ending}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
    assert path.stat().st_size > 190e6
    rows, mib = grown(name, path)
    assert rows == count and mib < 100
