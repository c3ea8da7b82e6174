"""What makes a finding the same finding tomorrow, so that services can tell new from old.

A row's number and line are no part of it: rows move. What is left may fit several rows; these are counted, so that
each finding has a fingerprint of its own, and the set of them stays what it is whatever the order of the rows.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from validators.findings import Finding
from validators.report.escaping import relative

NUMBERS_OF_ROWS = re.compile(r"\b(rows?|lines?) \d+(?:(?:, | and | to |–|-)\d+)*")


def fingerprints(findings: Iterable[Finding], root: Path) -> Iterator[str]:
    """32 hexadecimal digits for each finding, in order, all different."""
    seen: Counter[tuple[str, ...]] = Counter()
    for finding in findings:
        words = NUMBERS_OF_ROWS.sub(r"\1", finding.found)
        key = (finding.code, relative(finding.file, root), finding.dataset, finding.place.path, words)
        yield digest(*key, str(seen[key]))
        seen[key] += 1


def kind_fingerprint(finding: Finding, root: Path) -> str:
    """32 hexadecimal digits for all findings of this rule in this file."""
    return digest(finding.code, relative(finding.file, root))


def digest(*parts: str) -> str:
    """The parts hashed so that no two lists of parts look alike."""
    content = b"".join(len(raw).to_bytes(8, "big") + raw for raw in (encoded(part) for part in parts))
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def encoded(text: str) -> bytes:
    """UTF-8 that also takes lone surrogates."""
    return text.encode("utf-8", "surrogatepass")
