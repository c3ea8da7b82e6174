"""LLaMA-Factory with plugins: `python -m train.plugins.launcher train x.yaml` is `llamafactory-cli train x.yaml`.

NAMES in the environment lists modules of this folder, by commas; each one's `register()` changes the trainer before it
starts. Torchrun starts this file in the place of LLaMA-Factory's launcher.py, so that each process has the plugins; the
environment comes to them by inheritance, which the command line does not.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

NAMES = "MMCURATE_TRAINER_PLUGINS"


def register() -> None:
    """Add the plugins that the environment names; ModuleNotFoundError for one that is none."""
    for name in filter(None, os.environ.get(NAMES, "").split(",")):
        importlib.import_module(f"train.plugins.{name}").register()


def main() -> None:
    """LLaMA-Factory's own launcher, or, as one of torchrun's processes, what that would run."""
    # torchrun puts this file's folder first, whose modules must not stand in for others
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != Path(__file__).resolve().parent]
    register()
    if "TORCHELASTIC_RUN_ID" in os.environ and sys.argv[1:2] != ["train"]:
        from llamafactory.train.tuner import run_exp

        run_exp()
        return
    from llamafactory import launcher

    launcher.__file__ = __file__  # the script it gives to torchrun
    launcher.launch()


if __name__ == "__main__":
    main()
