"""The text report on a terminal: never wider than it, the words of a pipe, colours only where they are wanted."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from curate.cli import main
from tests.report.samples import CASES, HOSTILE_FINDING, finding, layout, report
from tests.scaffold import ROWS, Overlay
from validators.model import Outcome
from validators.report.escaping import encodable
from validators.report.model import DatasetSummary
from validators.report.statistics import render as plain_statistics
from validators.report.terminal import FILLS, Screen, shares
from validators.report.text import render_all

Project = Callable[[Overlay], Path]
ANSI = re.compile("\x1b\\[[0-9;]*m")
BROKEN = json.dumps([*ROWS, {"messages": [{"role": "user", "content": "Hi"}]}])
LONG = finding(found="one " * 60 + "猫" * 50 + "x" * 300, file="a/" + "very-long-name/" * 20 + "data.json")


def words(text: str) -> str:
    """What both reports say: no bars and legends, nor what stands in their place in a pipe, nor where lines end."""
    kept = [line for line in text.splitlines() if line.strip(" ")[:1] not in {*FILLS.values()}]
    said = re.sub(r"\s+", "", "".join(kept))
    return re.sub(r"(reachtheloss)\([0-9]+[a-z0-9,-]+\)", r"\1", said)


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("case", [*CASES, "long"])
def test_no_line_is_wider_than_the_screen_and_no_word_is_lost(case: str, width: int, colour: bool) -> None:
    reports = [report([LONG, HOSTILE_FINDING])] if case == "long" else CASES[case]
    text = encodable(Screen(width, colour).render(reports, layout()))
    assert ("\x1b" in text) is (colour and bool(reports))
    bare = ANSI.sub("", text)
    assert bare.replace("\n", "").isprintable()
    assert max(map(cell_len, bare.split("\n"))) <= width
    if width >= 40:
        assert words(bare) == words(encodable(render_all(reports, layout())))


@pytest.mark.parametrize("width", [40, 200])
def test_statistics_on_a_screen_are_those_of_a_pipe(width: int) -> None:
    text = Screen(width, False).render_statistics(CASES["many"], layout())
    assert words(text) == words(plain_statistics(CASES["many"], layout())) and "60  TAG201" in text


@pytest.mark.parametrize("width", [1, 2, 5, 38, 118])
def test_a_bar_is_as_wide_as_it_may_be_and_hides_no_outcome(width: int) -> None:
    counts = {Outcome.TRAINED: 99_000, Outcome.ALTERED: 1, Outcome.DROPPED: 900, Outcome.CRASH_LOAD: 2}
    found = shares(DatasetSummary("data", 0, counts), width)
    assert sum(length for _, length in found) == width
    assert len(found) == min(width, len(counts)) and all(length >= 1 for _, length in found)
    if width == 118:
        assert dict(found)[Outcome.TRAINED] > 105


def on_a_terminal(arguments: list[str], width: int, **environment: str) -> str:
    """What `curate` writes to a terminal of some width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
    unset = {"COLUMNS", "NO_COLOR", "FORCE_COLOR", "LINES"}
    base = {name: value for name, value in os.environ.items() if name not in unset} | {"TERM": "xterm-256color"}
    with subprocess.Popen(
        [sys.executable, "-m", "curate.cli", *arguments], stdout=theirs, stdin=theirs, env=base | environment
    ) as process:
        os.close(theirs)
        output = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not part:
                break
            output += part
    os.close(ours)
    assert process.returncode == 1
    return output.decode().replace("\r\n", "\n")


def test_a_real_terminal_gets_colours_and_its_width_unless_told_otherwise(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    path = str(project({"data.json": BROKEN}))
    assert main(["check", path]) == 1
    piped = capsys.readouterr().out
    shown = on_a_terminal(["check", path], 48)
    assert "\x1b[" in shown and "█" in shown and max(map(cell_len, ANSI.sub("", shown).split("\n"))) <= 48
    bare = on_a_terminal(["check", path], 48, NO_COLOR="1")
    assert bare == ANSI.sub("", shown)
    assert on_a_terminal(["check", path, "--color", "never"], 48) == bare
    assert on_a_terminal(["check", path], 48, TERM="dumb") == piped
    assert "\x1b[" in on_a_terminal(["check", path, "--color=always"], 48, NO_COLOR="1")


def test_a_pipe_gets_colours_only_when_they_are_asked_for(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(project({"data.json": BROKEN}))
    outputs = {}
    for name, words_, value in (
        ("plain", [], {}),
        ("never", ["--color", "never"], {"FORCE_COLOR": "1"}),
        ("none", [], {"FORCE_COLOR": "1", "NO_COLOR": "1"}),
        ("zero", [], {"FORCE_COLOR": "0"}),
        ("always", ["--color", "always"], {}),
        ("forced", [], {"FORCE_COLOR": "1"}),
    ):
        with monkeypatch.context() as context:
            for key in ("FORCE_COLOR", "NO_COLOR"):
                context.delenv(key, raising=False)
            for key, text in value.items():
                context.setenv(key, text)
            assert main(["check", path, *words_]) == 1
        outputs[name] = capsys.readouterr().out
    assert outputs["plain"] == outputs["never"] == outputs["none"] == outputs["zero"] == plain_of(path)
    assert "\x1b[" in outputs["always"] and outputs["always"] == outputs["forced"]
    assert main(["check", path, "--color", "always", "-o", "file.txt"]) == 1
    assert Path("file.txt").read_text() == outputs["plain"]


def plain_of(path: str) -> str:
    """The text report as its module writes it."""
    from validators.engine import check

    return render_all([check(path)], layout())


def test_rich_is_not_loaded_for_a_pipe(project: Project) -> None:
    path = str(project({"data.json": BROKEN}))
    code = (
        "import sys\nfrom curate.cli import main\nmain(sys.argv[1:])\n"
        "sys.stderr.write(str(any(name.split('.')[0] == 'rich' for name in sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, "check", path], capture_output=True, text=True, check=False)
    assert done.stderr == "False"
