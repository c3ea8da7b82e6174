"""How many accelerators this machine shows, without a driver's library."""

from __future__ import annotations

from pathlib import Path


def accelerators() -> int:
    """How many accelerators of NVIDIA, AMD or Ascend this machine shows; at least 1 where it shows AMD's."""
    numbered = [path for kind in ("nvidia", "davinci") for path in Path("/dev").glob(f"{kind}[0-9]*")]
    return len(numbered) or int(Path("/dev/kfd").exists())
