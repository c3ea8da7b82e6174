"""What is installed beside this package, from metadata alone, compared as the trainer compares it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


def version_of(name: str) -> str | None:
    """An installed distribution's version, None when it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def folder_of(name: str) -> Path | None:
    """The folder that a distribution is installed in, None when it is not installed."""
    try:
        return Path(str(distribution(name).locate_file(".")))
    except PackageNotFoundError:
        return None


def release(text: str) -> tuple[int, ...]:
    """`2.11.0+cu130` as (2, 11)."""
    return tuple(int(part) for part in text.split("+", maxsplit=1)[0].split(".")[:2] if part.isdigit())


def accepted(installed: str, bounds: str) -> bool:
    """Whether llamafactory's check_version takes a version: plain comparison of each bound, local parts included.

    transformers 5.6.0, utils/versions.py: require_version. Unlike pip's rules, 5.6.0+local is above 5.6.0 there.
    """
    from packaging.version import InvalidVersion, Version

    try:
        got = Version(installed)
        for clause in filter(None, bounds.split(",")):
            wanted = clause.strip().lstrip("<>=!~")
            sign = clause.strip()[: -len(wanted)]
            if not COMPARE[sign](got, Version(wanted)):
                return False
    except (InvalidVersion, KeyError):
        return False
    return True
