"""The trainer whose behaviour is replayed, by the versions of the two packages that decide it."""

from __future__ import annotations

from dataclasses import dataclass

from validators.llamafactory.quirks import QUIRKS


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Trainer:
    """One llamafactory on one transformers."""

    llamafactory: str
    transformers: str

    def has(self, name: str) -> bool:
        """Whether a quirk of QUIRKS holds; KeyError for a name that is none."""
        from packaging.version import Version

        quirk = QUIRKS[name]
        version = Version(self.transformers if quirk.package == "transformers" else self.llamafactory)
        return version >= Version(quirk.since) and not (quirk.until and version >= Version(quirk.until))

    def words(self) -> str:
        """As a summary names it."""
        return f"LLaMA-Factory {self.llamafactory}, transformers {self.transformers}"


REFERENCE = Trainer(llamafactory="0.9.5", transformers="4.57.1")
"""The trainer of the default environment: what is predicted where nothing names another one."""
