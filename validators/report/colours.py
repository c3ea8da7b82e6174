"""The colours of outcomes and severities in a terminal."""

from __future__ import annotations

from validators.findings import Severity
from validators.model import Outcome

# the sixteen colours of the terminal's own theme: they suit dark and light ones
COLOURS = {
    Outcome.TRAINED: "green",
    Outcome.ALTERED: "yellow",
    Outcome.TRUNCATED: "yellow",
    Outcome.DROPPED: "cyan",
    Outcome.CRASH_STEP: "magenta",
    Outcome.CRASH_LOAD: "red",
}
SEVERITIES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "blue"}
