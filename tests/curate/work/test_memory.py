"""What is remembered of files holds only while they are as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from curate.work import work
from curate.work.memory import Memory, Remade
from curate.work.plain import plain
from curate.work.states import stamp_of
from curate.work.work import folder_of, working


def test_a_hash_is_known_until_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"odd\xff.bin")
    file.write_bytes(b"one")
    memory = Memory(tmp_path / "m.sqlite")
    assert memory.sha256(file) is None
    memory.know_sha256(file, stamp_of(file), "aa")
    memory.close()
    memory = Memory(tmp_path / "m.sqlite")
    assert memory.sha256(file) == "aa"
    before = stamp_of(file)
    file.write_bytes(b"other")
    assert memory.sha256(file) is None
    memory.know_sha256(file, before, "bb")
    assert memory.sha256(file) is None, "it changed while it was read"
    file.unlink()
    assert memory.sha256(file) is None


def test_a_copy_is_known_by_its_source(tmp_path: Path) -> None:
    memory = Memory()
    place = tmp_path / "copy"
    memory.know_place(place, "x")
    assert not memory.lies(place, "x"), "there is none"
    place.write_bytes(b"1")
    memory.know_place(place, "x")
    assert memory.lies(place, "x") and not memory.lies(place, "y")
    os.utime(place, ns=(1, 1))
    assert not memory.lies(place, "x")
    memory.know_remade("k", Remade(None, "", "left"))
    assert memory.remade("k") == Remade(None, "", "left") and memory.remade("l") is None


def test_what_was_decoded_is_known_of_that_file_and_maker(tmp_path: Path) -> None:
    memory, file = Memory(), tmp_path / "a"
    file.write_bytes(b"1")
    stamp = stamp_of(file)
    memory.know_look(str(file), "image", "m", stamp, b"look")
    memory.know_look(str(file), "video", "m", stamp, b"")
    assert memory.look(str(file), "image", "m") == b"look" and memory.look(str(file), "video", "m") == b""
    assert memory.look(str(file), "image", "other") is None and memory.look(str(file), "audio", "m") is None
    file.write_bytes(b"22")
    assert memory.look(str(file), "image", "m") is None
    memory.know_look(str(file), "audio", "m", stamp, b"old")
    assert memory.look(str(file), "audio", "m") is None


def test_a_damaged_base_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "m.sqlite"
    memory = Memory(file)
    memory.know_fact("a", "b")
    memory.close()
    file.write_bytes(b"no base at all" * 1000)
    memory = Memory(file)
    assert memory.fact("a") is None
    memory.know_fact("a", "c")
    memory.close()
    assert Memory(file).fact("a") == "c"


def test_a_machine_that_went_down_in_a_build_is_not_believed(tmp_path: Path) -> None:
    """Bytes may be lost whose names are on the disk; a process that was killed loses none."""
    target = tmp_path / "out"
    killed = (
        "import os, pathlib, sys\nfrom curate.work import work\n"
        "work.boot = lambda: sys.argv[2]\n"
        "with work.working(pathlib.Path(sys.argv[1])) as one:\n"
        "  (one.files / 'x').parent.mkdir(); (one.files / 'x').write_text('x'); one.memory.commit(); os._exit(9)"
    )
    for boot, stays in ((work.boot(), True), ("an earlier start", False)):
        subprocess.run([sys.executable, "-c", killed, str(target), boot], check=False)
        assert (folder_of(target) / "files" / "x").exists()
        with working(target) as found:
            assert (found.files / "x").exists() is stays
        with working(target) as found:
            assert (found.files / "x").exists() is stays, "a build that ended well leaves nothing to doubt"
        with working(target, fresh=True) as found:
            assert not found.files.exists()


def test_settings_have_one_text_in_every_process() -> None:
    script = (
        "from curate.ingest.raw import Options\nfrom curate.work.plain import plain\n"
        "from pathlib import Path\nfrom validators.model import MediaKind\n"
        "print(plain(Options({'b': 'x', 'a': 'y'}, frozenset('qwertz'))), plain({MediaKind.IMAGE: ('a', 1.5, None)}))"
    )
    texts = set()
    for seed in ("1", "2", "3"):
        run = subprocess.run(
            [sys.executable, "-c", script], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        )
        texts.add(run.stdout)
    assert len(texts) == 1
    assert plain((True, 1, "1", 1.0)) == [True, 1, "1", 1.0]
