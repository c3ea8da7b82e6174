"""No test depends on how busy the machine is: none reads a clock, but to give up on what hangs."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

CLOCKS = frozenset(
    (
        "time",
        "time_ns",
        "monotonic",
        "monotonic_ns",
        "perf_counter",
        "perf_counter_ns",
        "process_time",
        "thread_time",
        "sleep",
    )
)
ALLOWED: Mapping[str, str] = {
    "tests/curate/test_fetching.py": "the deadline of a fetch, which is what is tested",
    "tests/curate/web.py": "a host that sends its bytes one by one",
    "tests/test_completion.py": "gives up on a shell that hangs",
    "tests/train/test_resume.py": "gives up on a training that hangs",
    "tests/train/test_terminate.py": "gives up on processes that do not end",
}
"""Files that use a clock, and for what."""
LEAST_WAIT = 60
"""Seconds: a shorter timeout would assert on the machine's speed."""


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def reads_clock(call: ast.Call) -> bool:
    """Whether it is time.NAME(), or a name that was imported from time."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return isinstance(function.value, ast.Name) and function.value.id == "time" and function.attr in CLOCKS
    return isinstance(function, ast.Name) and function.id in CLOCKS - {"time"}


def short_waits(tree: ast.AST) -> Iterator[int]:
    """Lines with a timeout of few seconds."""
    for call in calls(tree):
        for word in call.keywords:
            value = word.value.value if isinstance(word.value, ast.Constant) else None
            if word.arg == "timeout" and isinstance(value, int | float) and value < LEAST_WAIT:
                yield call.lineno


def trees(root: Path) -> Iterator[tuple[str, ast.AST]]:
    for path in sorted((root / "tests").rglob("*.py")):
        yield path.relative_to(root).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_no_test_reads_a_clock(root: Path) -> None:
    found = {name for name, tree in trees(root) if any(map(reads_clock, calls(tree)))}
    assert found == set(ALLOWED), found ^ set(ALLOWED)


def test_no_test_gives_up_soon(root: Path) -> None:
    assert not {name: lines for name, tree in trees(root) if (lines := list(short_waits(tree)))}


def test_clocks_are_seen() -> None:
    for code in ("import time\ntime.monotonic()", "from time import perf_counter\nperf_counter()", "time.sleep(1)"):
        assert any(map(reads_clock, calls(ast.parse(code)))), code
    assert list(short_waits(ast.parse("run(timeout=5)"))) == [1]
