"""`python -m scripts.support.publish WORK NAME=PUBLISHED …`: model folders from published code, in transformers 4."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from scripts.support.families import FAMILIES, PublishedFamily
from scripts.support.folders import make_published


def main() -> int:
    """Make each named family's folder WORK/NAME from its published one; one that cannot be made is said and passed."""
    work, *pairs = sys.argv[1:]
    for name, _, published in (pair.partition("=") for pair in pairs):
        family = FAMILIES[name]
        if not isinstance(family, PublishedFamily):
            raise TypeError(f"{name} is transformers' own")
        try:
            make_published(family, Path(published), Path(work) / name)
        except Exception:
            traceback.print_exc()
            print(f"{name}: could not be made", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
