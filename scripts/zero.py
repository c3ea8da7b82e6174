"""`make zero`: two steps of the demo's full SFT under each DeepSpeed config, on two CPU processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from validators.settings import read_yaml

ROOT = Path(__file__).resolve().parent.parent
PROCESSES = "2"


def main() -> int:
    """Run each; 1 where one fails."""
    os.chdir(ROOT)
    curate = Path(sys.executable).with_name("curate")
    base = read_yaml(Path("train/recipes/tiny_full.yaml"))
    # with it, accelerate 1.11 leaves deepspeed.comm alone, and ZeRO-3 takes itself for one process of one
    del base["use_cpu"]
    failed = []
    with tempfile.TemporaryDirectory(prefix="curate-zero-") as name:
        for config in sorted(Path("train/deepspeed").glob("*.json")):
            folder = Path(name) / config.stem
            folder.mkdir()
            changed = {"output_dir": str(folder / "out"), "max_steps": 2, "save_strategy": "no", "plot_loss": False}
            file = folder / "train.yaml"
            file.write_text(yaml.safe_dump(base | changed | {"deepspeed": str(config)}), encoding="utf-8")
            begun = time.monotonic()
            done = subprocess.run(
                [curate, "train", file],
                env=os.environ | {"NPROC_PER_NODE": PROCESSES},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
            took = time.monotonic() - begun
            losses = next((line for line in done.stdout.splitlines() if " losses: " in line), "").rpartition("(")[2]
            print(f"{config.stem:22} exit {done.returncode} after {took:.0f} s  {losses.rstrip(')')}", flush=True)
            if done.returncode != 0:
                failed.append(config.stem)
                print("\n".join(done.stdout.splitlines()[-60:]), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
