"""What is reported, and as what: selection by code, severities, ignored paths. Predictions are never touched."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from validators.config import Config, Level
from validators.errors import UsageFault
from validators.findings import Finding, Severity
from validators.globs import matches
from validators.rules.registry import BY_CODE, RULES

ALL = "ALL"


@dataclass(frozen=True, slots=True)
class Layer:
    """One source's wishes: a file's or the command line's. Codes, prefixes or `ALL`."""

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    extend_ignore: tuple[str, ...] = ()
    severity: tuple[tuple[str, Level], ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """Levels by code (OFF for what is not reported), and the codes that files matching a glob are excused from.

    home: the folder, absolute, that the globs start from.
    """

    levels: Mapping[str, Level] = field(default_factory=dict)
    excused: tuple[tuple[str, frozenset[str]], ...] = ()
    home: Path = Path("/")

    def applied(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """The findings to report, with their severities."""
        return tuple(self.rated(finding) for finding in findings if self.reports(finding.code, finding.file))

    def reports(self, code: str, file: str) -> bool:
        """Whether a rule's findings in a file are reported."""
        if self.levels.get(code) is Level.OFF:
            return False
        inside = [glob for glob, codes in self.excused if code in codes]
        if not inside:
            return True
        path = Path(os.path.relpath(file, self.home)).as_posix()
        return not any(matches(glob, path) for glob in inside)

    def fails(self, code: str, file: str) -> bool:
        """Whether a rule's findings in a file are reported, and as more than notes; false for a rule that is none."""
        rule = BY_CODE.get(code)
        return rule is not None and self.reports(code, file) and self.levels.get(code, rule.severity) != Severity.NOTE

    def rated(self, finding: Finding) -> Finding:
        """The finding with the severity that it is given."""
        level = self.levels.get(finding.code)
        return finding if level is None else replace(finding, severity=Severity(level))


def policy_of(config: Config, line: Layer) -> Policy:
    """A file's wishes under the command line's. UsageFault where a code or prefix matches no rule."""
    ignore = config.ignore if not line.ignore else ()
    written = Layer(config.select, config.extend_select, ignore, config.extend_ignore, config.severity)
    where = f"{config.file}: " if config.file else ""
    check_codes(written, where, "")
    check_codes(line, "", "--")
    excused = []
    for glob, prefixes in config.per_path_ignores:
        for prefix in prefixes:
            matched(prefix, f"{where}per-path-ignores.{glob}")
        excused.append((glob, frozenset(rule.code for rule in RULES if longest(prefixes, rule.code) >= 0)))
    home = Path(os.path.abspath(config.file)).parent if config.file else Path("/")  # noqa: PTH100
    return Policy(levels((written, line)), tuple(excused), home)


def selection(select: tuple[str, ...] | None = None, ignore: tuple[str, ...] = ()) -> Policy:
    """A policy of codes and prefixes alone."""
    return policy_of(Config(), Layer(select=select, ignore=ignore))


def levels(layers: tuple[Layer, ...]) -> Mapping[str, Level]:
    """The level of each rule that has another than its own; later layers go before earlier ones."""
    result = {}
    for rule in RULES:
        level = level_in(rule.code, layers)
        if level is not None:
            result[rule.code] = level
    return result


def level_in(code: str, layers: tuple[Layer, ...]) -> Level | None:
    """One rule's level: in a layer the longest prefix decides, and `ignore` over `select` of the same length.

    `off` counts as an `ignore`, so that a later layer can select the rule again, or give it a level.
    """
    reported, silenced = True, False
    level: Level | None = None
    for layer in layers:
        given = {prefix: each for prefix, each in layer.severity if longest((prefix,), code) >= 0}
        nearest = max(given, key=length, default=None)
        off = -1
        if nearest is not None and given[nearest] is Level.OFF:
            off = length(nearest)
        elif nearest is not None:
            level = given[nearest]
            reported |= silenced
        up = longest((*(layer.select or ()), *layer.extend_select), code)
        ignored = longest((*layer.ignore, *layer.extend_ignore), code)
        if layer.select is not None:
            reported = False
        if up > max(ignored, off):
            reported, silenced = True, False
        elif max(ignored, off) >= 0:
            silenced = reported and off > ignored
            reported = False
    return level if reported else Level.OFF


def longest(prefixes: Iterable[str], code: str) -> int:
    """The length of the longest prefix of the code among these, `ALL` being 0; -1 where there is none."""
    return max((length(prefix) for prefix in prefixes if prefix == ALL or code.startswith(prefix)), default=-1)


def length(prefix: str) -> int:
    """How near a prefix is to a code."""
    return 0 if prefix == ALL else len(prefix)


def check_codes(layer: Layer, where: str, dashes: str) -> None:
    """Refuse a code or prefix that no rule has."""
    lists = {
        "select": layer.select or (),
        "extend-select": layer.extend_select,
        "ignore": layer.ignore,
        "extend-ignore": layer.extend_ignore,
        "severity": tuple(prefix for prefix, _ in layer.severity),
    }
    for key, prefixes in lists.items():
        for prefix in prefixes:
            matched(prefix, f"{where}{dashes}{key}")


def matched(prefix: str, where: str) -> None:
    """UsageFault, with the nearest code, where no rule begins so."""
    if prefix == ALL or (prefix and any(rule.code.startswith(prefix) for rule in RULES)):
        return
    families = sorted({rule.code[:3] for rule in RULES})
    near = get_close_matches(prefix.upper(), [ALL, *families, *(rule.code for rule in RULES)], n=1)
    raise UsageFault(
        where,
        f"rule {prefix!r}: no rule begins so",
        "a code or prefix that `curate rules` lists",
        f"did you mean {near[0]!r}?" if near else "",
    )
