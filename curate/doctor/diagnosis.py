"""What a check says: what was found, why that does not work, the cure, and how it is known."""

from __future__ import annotations

from dataclasses import dataclass

from validators.findings import Severity


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that is wrong: `error` cannot work, `warning` may not, `note` only informs."""

    severity: Severity
    found: str
    reason: str
    cure: str
    evidence: str
    """Where the facts come from: files, metadata, the driver."""


def error(found: str, reason: str, cure: str, evidence: str) -> Diagnosis:
    """Cannot work."""
    return Diagnosis(Severity.ERROR, found, reason, cure, evidence)


def warning(found: str, reason: str, cure: str, evidence: str) -> Diagnosis:
    """May not work, or not as meant."""
    return Diagnosis(Severity.WARNING, found, reason, cure, evidence)


def note(found: str, reason: str, cure: str, evidence: str) -> Diagnosis:
    """Good to know."""
    return Diagnosis(Severity.NOTE, found, reason, cure, evidence)
