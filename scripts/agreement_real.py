"""`make agreement-real`: what is predicted, against MiniCPM-V's published code in the folder MMCURATE_REAL_MINICPM."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> int:
    """0 where every row agrees, and where there is no folder to run; 1 else."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--files", type=int, default=16, help="files of each kind")
    parser.add_argument("--rows", type=int, default=6, help="rows of a file")
    args = parser.parse_args()
    source = os.environ.get("MMCURATE_REAL_MINICPM")
    if not source:
        print("agreement-real: skipped, MMCURATE_REAL_MINICPM names no folder of MiniCPM-V's published code")
        return 0
    from tests.agreement.compare import Arena, Verdict, account
    from tests.agreement.media_factory import make_stock
    from tests.agreement.oracle import quiet
    from tests.agreement.real_minicpm import disagreements, literal_rows, real_family, real_plans, told

    quiet()
    with tempfile.TemporaryDirectory() as work:
        arena = Arena(make_stock(Path(work, "media"), 11, small=True), Path(work))
        arena.families["v-4.5"] = real_family(Path(source), Path(work, "models", "real"))
        verdicts: list[Verdict] = []
        for number, plan in enumerate(real_plans(args.seed, args.files, args.rows), 1):
            verdicts += arena.run(plan)
            wrong = sum(not verdict.agrees for verdict in verdicts)
            print(f"file {number}: {len(verdicts)} rows, {wrong} disagree", flush=True)
        print(f"{told(verdicts)}\n{account(verdicts)}")
        literals, count = disagreements(arena, literal_rows(arena.stock))
        print("\n".join([f"marks typed in texts: {count} rows, {len(literals)} disagree", *literals]))
    return 0 if not literals and all(verdict.agrees for verdict in verdicts) else 1


if __name__ == "__main__":
    raise SystemExit(main())
