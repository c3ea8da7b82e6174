"""The step repair: the row fixers on canonical rows."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from curate.schema import canonical_schema
from curate.steps.columns import probes
from curate.steps.repair import Repair
from curate.steps.step import Surroundings
from tests.curate.steps.scaffold import frame, row


def test_rows_are_mended_with_a_note_each_and_others_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (64, 64), "red").save(tmp_path / "images" / "a.png")
    values = [row(number, images=["images/a.png"]) for number in range(4)] + [row(4)]
    values[1]["messages"][0]["content"] = "What is it?"  # no tag for the image
    values[2]["images"] = ["IMAGES/A.png"]  # spelt otherwise
    values[3]["images"] = ["images/lost.png"]
    rows = frame(values)
    around = Surroundings(tmp_path)
    assert [note.counted for note in Repair()(rows, around).notes] == ["MED001"]  # where a tag belongs is a guess
    passed = Repair(unsafe=True)(rows, around)
    after = passed.rows.to_dicts()
    assert after[1]["messages"][0]["content"] == "<image>What is it?"
    assert after[2]["images"] == ["images/a.png"]
    before = rows.to_dicts()
    assert [after[at] for at in (0, 3, 4)] == [before[at] for at in (0, 3, 4)]
    assert [(note.row, note.action, note.counted) for note in passed.notes] == [
        (1, "changed", "TAG202"),
        (2, "changed", "MED001"),
    ]
    assert "IMAGES/A.png → images/a.png" in passed.notes[1].reason
    assert passed.rows.schema == rows.schema and set(canonical_schema().names) < set(passed.rows.columns)


def test_unsafe_mends_are_made_only_where_they_are_asked_for(tmp_path: Path) -> None:
    """A file of that name in another folder."""
    (tmp_path / "b").mkdir()
    Image.new("RGB", (64, 64), "red").save(tmp_path / "b" / "one.png")
    rows = frame([row(0, images=["a/one.png"])])
    around = Surroundings(tmp_path)
    assert not Repair()(rows, around).notes
    assert Repair(unsafe=True)(rows, around).rows["images"].to_list() == [["b/one.png"]]


def test_no_file_is_made(tmp_path: Path) -> None:
    """An image that lies on its side is mended by `curate fix`, in a copy beside it; not here."""
    image = Image.new("RGB", (64, 32), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    probes.cache_clear()
    passed = Repair(unsafe=True)(frame([row(0, images=["turned.jpg"])]), Surroundings(tmp_path))
    assert passed.rows["images"].to_list() == [["turned.jpg"]] and not passed.notes
    assert [path.name for path in tmp_path.iterdir()] == ["turned.jpg"]
