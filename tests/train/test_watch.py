"""What is made of the trainer's lines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from train.builds import old_locks
from train.trainer import lines_of
from train.watch import SIGNS, Watcher

LOSS = "{{'loss': '{loss}', 'grad_norm': '0.1', 'learning_rate': '0.001', 'epoch': '{step}'}}\n"


def run(watcher: Watcher, *lines: str) -> list[str]:
    return [words for line in lines for words in watcher.see(line)]


def test_a_known_fault_is_explained_once_and_counted() -> None:
    watcher = Watcher()
    said = run(watcher, *["Dropped invalid example: []\n"] * 3, "all is well\n")
    assert len(said) == 1 and "curate check" in said[0]
    assert watcher.summary() == ["dropped row: 3 ×"]


def test_progress_has_loss_speed_and_the_time_left() -> None:
    """At most one line each `every` seconds, and one at the end."""
    now = [0.0]
    watcher = Watcher(tokens=300, epochs=2, clock=lambda: now[0], every=10)
    said = []
    for step in range(1, 7):
        now[0] += 5
        said += run(watcher, f" {step}/6 |###| {step}/6 [00:05<00:10]\n", LOSS.format(loss=7 - step, step=step))
    assert said[0].startswith("curate: step 1 of 6, loss 6 (6 at first)")
    assert said[-1] == "curate: step 6 of 6, loss 1 (6 at first), 20 tokens/s, 0 s left"
    assert len(said) == 4


@pytest.mark.parametrize("loss", ["nan", "inf", "0.0"])
def test_a_loss_that_is_no_number_or_nothing_is_told_once(loss: str) -> None:
    said = run(Watcher(), *[LOSS.format(loss=loss, step=1)] * 3)
    assert sum("the loss is" in words for words in said) == 1


@pytest.mark.parametrize("line", ["{'loss': }", "{'loss': 'x'}", "{'loss': [1]}", "{'loss': ", "|| 1/0 [", "\x00"])
def test_odd_lines_do_no_harm(line: str) -> None:
    assert run(Watcher(), line) == []


def test_the_trainer_s_own_words_are_known() -> None:
    """Each sign of llamafactory's is in its source as it is installed, so that a new version cannot pass unseen."""
    package = distribution("llamafactory")
    source = "".join(
        Path(str(file.locate())).read_text(encoding="utf-8")
        for file in package.files or ()
        if file.parent.name in ("data", "processor") and file.suffix == ".py"
    )
    for words in ("Dropped invalid example", "Dropped lengthy example", "Invalid role tag in", "Invalid message count"):
        assert words in source and any(known.pattern.search(words + " in x") for known in SIGNS), words
    for name in ("media path", "no rows", "tag counts", "pack length"):
        known = next(known for known in SIGNS if known.name == name)
        found = re.findall(r'f?"([^"\n]*)"', source)
        assert any(known.pattern.search(re.sub(r"\{[^}]*\}", "images", text)) for text in found), name


def test_a_run_that_says_nothing_is_told_and_goes_on() -> None:
    code = "import time; print('a', flush=True); time.sleep(1.2); print('b', flush=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = list(lines_of(process.stdout, 0.5))
    assert [line for line in lines if line is not None] == ["a\n", "b\n"] and None in lines
    assert "no output for 10 min" in Watcher().stalled(600)


def test_a_lock_that_a_killed_build_left_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own build is killed while it compiles: its lock stays, and is found where torch put it."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    code = (
        "import os, signal; from torch.utils import cpp_extension as c;"
        "c._write_ninja_file_and_build_library = lambda **_: os.kill(os.getpid(), signal.SIGKILL);"
        f"os.makedirs({str(tmp_path / 'left')!r}); c.load('left', [{str(tmp_path / 'x.cpp')!r}])"
    )
    (tmp_path / "x.cpp").write_text("")
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == -9
    lock = tmp_path / "left/lock"
    assert old_locks(os.environ, Path("/nowhere"), 60) == [] and "left/lock" not in Watcher().stalled(60)
    os.utime(lock, (lock.stat().st_mtime - 100,) * 2)
    assert old_locks(os.environ, Path("/nowhere"), 60) == [lock] and str(lock) in Watcher().stalled(60)
    cached = tmp_path / "home/.cache/torch_extensions/py311_cu130/cpu_adam"
    cached.mkdir(parents=True)
    (cached / "lock").touch()
    assert old_locks({}, tmp_path / "home", -1) == [cached / "lock"]
