"""What is installed beside this package, from metadata alone, compared as the trainer compares it.

Several releases may lie over one another on sys.path; the first is the one that is imported.
"""

from __future__ import annotations

import importlib.util
import operator
import re
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Any

from validators.llamafactory.trainer import REFERENCE, Trainer

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
    if name == "llamafactory" and (source := source_tree(name)) is not None:
        return version_in_source(source)
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def version_in(folder: Path, name: str) -> str | None:
    """The version of a distribution in another environment's site-packages, None where it is not installed there."""
    found = next(iter(distributions(name=name, path=[str(folder)])), None)
    return None if found is None else found.version


def source_tree(name: str) -> Path | None:
    """The folder of a package that is imported from elsewhere than where its metadata stand, such as an unpacked
    archive; None where it is not, or there is none."""
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # imported already, by something that gave it no specification
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(next(iter(spec.submodule_search_locations)))
    try:
        beside = Path(str(distribution(name).locate_file("."))).resolve() == package.parent.resolve()
    except PackageNotFoundError:
        beside = False
    return None if beside else package


def version_in_source(package: Path) -> str | None:
    """The version that llamafactory's sources give themselves (extras/env.py: VERSION); None where they do not."""
    try:
        text = (package / "extras" / "env.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = re.search(r'^VERSION = "([^"]+)"', text, re.MULTILINE)
    return found[1] if found else None


def trainer() -> Trainer | None:
    """The trainer that is installed here; None without a llamafactory. A transformers that no metadata tell of is taken
    to be the default one."""
    llamafactory = version_of("llamafactory")
    if llamafactory is None:
        return None
    return Trainer(llamafactory=llamafactory, transformers=version_of("transformers") or REFERENCE.transformers)


def folder_of(name: str) -> Path | None:
    """The folder that a distribution is installed in, None when it is not installed."""
    if name == "llamafactory" and (source := source_tree(name)) is not None:
        return source.parent
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
