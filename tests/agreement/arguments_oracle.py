"""The real parser over many yamls: a JSON list of `[train or export, arguments]` on stdin, its refusals on stdout.

Run as a program, in a folder where the arguments' paths hold. With RANK in the environment the parser believes that
torchrun has started it, as DeepSpeed needs; with GPU_WITH_BF16 that there is a GPU for bf16.
"""

from __future__ import annotations

import json
import logging
import os
import sys


def main() -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("LLAMAFACTORY_VERBOSITY", "ERROR")
    from llamafactory.hparams import get_infer_args, get_train_args

    if os.environ.get("GPU_WITH_BF16"):
        from transformers import training_args

        training_args.is_torch_bf16_gpu_available = lambda: True
    logging.disable(logging.CRITICAL)
    answers: list[str | None] = []
    for kind, arguments in json.load(sys.stdin):
        parse = get_train_args if kind == "train" else get_infer_args
        try:
            parse(arguments)
            answers.append(None)
        except Exception as error:
            answers.append(f"{type(error).__name__}: {error}")
    sys.stdout.write("\n" + json.dumps(answers))


if __name__ == "__main__":
    main()
