"""LLaMA-Factory's own preprocessing of a train yaml, as one process: prints its seconds, imports not counted."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer

from validators.settings import read_yaml


def main() -> None:
    """Load, convert and tokenize every row, as `llamafactory-cli train` does before its first step."""
    arguments = get_train_args(dict(read_yaml(Path(sys.argv[1]))))
    model, data, training = arguments[:3]
    module = load_tokenizer(model)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data)
    started = time.perf_counter()
    rows = get_dataset(template, model, data, training, stage="sft", **module)["train_dataset"]
    print(f"\n{len(rows)} rows in {time.perf_counter() - started:.3f} s")


if __name__ == "__main__":
    main()
