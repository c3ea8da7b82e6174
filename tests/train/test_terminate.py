"""A SIGTERM to `curate train` alone, as schedulers and containers send it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scaffold import Overlay
from train.trainer import descendants

TRAINER = """#!/bin/sh
setsid sleep 300 &
echo $! > worker.pid
sh -c 'sleep 301; true' &
echo started
wait
"""
MAIN = """
import sys
from curate.cli import main
from train import trainer
trainer.cli = lambda: [sys.argv[1]]
raise SystemExit(main(["train", sys.argv[2]]))
"""


@pytest.mark.parametrize("first", ["curate", "trainer"])
def test_it_ends_all_that_the_trainer_started(first: str, project: Callable[[Overlay], Path], tmp_path: Path) -> None:
    """Workers in sessions of their own too, as torchrun starts them, and such whose parent died before; the record
    says so."""
    path = project({})
    stub = tmp_path / "trainer.sh"
    stub.write_text(TRAINER)
    stub.chmod(0o755)
    with subprocess.Popen([sys.executable, "-P", "-c", MAIN, stub, path], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            while line := process.stdout.readline():
                if line == "started\n":
                    break
            worker = int(Path("worker.pid").read_text())
            family = descendants(process.pid)
            assert worker in family and len(family) >= 3
            if first == "trainer":
                (trainer,) = (pid for pid in family if parent(pid) == process.pid)
                os.kill(trainer, signal.SIGKILL)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 130
        finally:
            process.kill()
    deadline = time.monotonic() + 120
    while any(lives(pid) for pid in family) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(lives(pid) for pid in family)
    assert json.loads(Path("out/run.json").read_text())["outcome"] == "interrupted"


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_process_without_children() -> None:
    assert descendants(2**31 - 1) == [] and os.getpid() in descendants(os.getppid())
