"""`make agreement-real`: what is predicted, against MiniCPM-V's published code in the folder MMCURATE_REAL_MINICPM."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
NAME = "v-4.5"
FAULTS = "one fault"
FAULT_FILES = 2
"""Of up to 40 rows with one fault each, beside sound ones."""


def main() -> int:
    """0 where every row agrees, and where there is no folder to run; 1 else."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--kinds", nargs="+", help="run only the rows of these kinds, as the table names them")
    args = parser.parse_args()
    source = os.environ.get("MMCURATE_REAL_MINICPM")
    if not source:
        print("agreement-real: skipped, MMCURATE_REAL_MINICPM names no folder of MiniCPM-V's published code")
        return 0
    import torch

    from tests.agreement.compare import Arena, Verdict, account
    from tests.agreement.media_factory import make_stock
    from tests.agreement.minicpm_rows import run_groups, table, vision_groups
    from tests.agreement.oracle import quiet
    from tests.agreement.real_minicpm import real_family
    from tests.agreement.strategies import recall_plans

    quiet()
    torch.set_num_threads(os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as work:
        arena = Arena(make_stock(Path(work, "media"), 11, small=True), Path(work))
        arena.families[NAME] = real_family(Path(source), Path(work, "models", "real"))
        verdicts: list[Verdict] = []
        wanted = (
            group for group in vision_groups(arena, NAME, args.seed) if group.kind in (args.kinds or [group.kind])
        )
        files = FAULT_FILES if FAULTS in (args.kinds or [FAULTS]) else 0
        spoiled = islice(recall_plans(random.Random(args.seed), NAME, 1), files)
        runs = (arena.run(replace(plan, purpose=FAULTS)) for plan in spoiled)
        for found in chain(run_groups(arena, NAME, wanted), runs):
            verdicts += found
            print(f"{found[0].purpose}: {account(found)}", flush=True)
    print(table(verdicts))
    return 0 if all(verdict.agrees for verdict in verdicts) else 1


if __name__ == "__main__":
    raise SystemExit(main())
