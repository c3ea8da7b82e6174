"""What the real trainer makes of train yamls before its first step: `python real_schedule.py REQUEST ANSWER`.

REQUEST is JSON: {"schedules": [settings, …], "models": [settings, …]}. ANSWER gets for each of the first examples,
tokens, supervised tokens and steps, from llamafactory's own get_dataset and transformers' own count of steps (the model
is a stand-in that is never called); for each of the second the parameters that llamafactory's own load_model trains,
and all.
"""

from __future__ import annotations

import json
import sys
from inspect import signature
from pathlib import Path
from typing import Any


def answer(settings: dict[str, Any]) -> dict[str, Any]:
    import torch
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer
    from transformers import Trainer

    model_args, data_args, training_args, *_ = get_train_args(settings)
    module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    rows = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)["train_dataset"]
    trainer = Trainer(model=torch.nn.Linear(1, 1), args=training_args, train_dataset=rows)
    # transformers 4 is told the size of a whole batch, which only token counts need
    last = (1,) if "total_train_batch_size" in signature(trainer.set_initial_training_values).parameters else ()
    values = trainer.set_initial_training_values(training_args, trainer.get_train_dataloader(), *last)
    return {
        "examples": len(rows),
        "tokens": sum(sum(mask != 0 for mask in row["attention_mask"]) for row in rows),
        "supervised": sum(sum(label != -100 for label in row["labels"]) for row in rows),
        "steps_of_epoch": values[1],
        "steps": values[6],
    }


def parameters(settings: dict[str, Any]) -> list[int]:
    from llamafactory.extras.misc import count_parameters
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_model, load_tokenizer

    model_args, _, _, finetuning_args, _ = get_train_args(settings)
    return list(
        count_parameters(load_model(load_tokenizer(model_args)["tokenizer"], model_args, finetuning_args, True))
    )


def main() -> None:
    request = json.loads(Path(sys.argv[1]).read_text())
    found = {
        "schedules": [answer(settings) for settings in request["schedules"]],
        "models": [parameters(settings) for settings in request["models"]],
    }
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
