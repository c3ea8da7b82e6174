"""The batches of the real trainer: `python real_batches.py REQUEST FOLDER`, alone or as one of torchrun's processes.

REQUEST is JSON, a list of {"rows", "epochs", "shuffles", "evaluates", "arguments"}: the last are LLaMA-Factory's. Into
FOLDER goes a file for each process, RANK.json: for each of the list and each epoch (one, where it evaluates) its
batches, by the numbers of their rows.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def batches_of(
    rows: int, epochs: int, shuffles: bool, evaluates: bool, arguments: dict[str, Any]
) -> list[list[list[int]]]:
    import torch
    from datasets import Dataset
    from llamafactory.hparams import FinetuningArguments, TrainingArguments
    from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer

    chosen = TrainingArguments("out", use_cpu=True, report_to="none", remove_unused_columns=False, **arguments)
    trainer = CustomSeq2SeqTrainer(
        model=torch.nn.Linear(1, 1),
        args=chosen,
        finetuning_args=FinetuningArguments(disable_shuffling=not shuffles),
        processor=None,
        tokenizer=None,
        train_dataset=Dataset.from_dict({"number": list(range(rows))}),
        data_collator=lambda features: {"numbers": torch.tensor([feature["number"] for feature in features])},
    )
    if evaluates:
        return [[batch["numbers"].tolist() for batch in trainer.get_eval_dataloader(trainer.train_dataset)]]
    loader = trainer.get_train_dataloader()
    found = []
    for epoch in range(epochs):
        loader.set_epoch(epoch)  # as the training loop does (transformers, trainer.py: _inner_training_loop)
        found.append([batch["numbers"].tolist() for batch in loader])
    return found


def main() -> None:
    request = json.loads(Path(sys.argv[1]).read_text())
    answer = [batches_of(**case) for case in request]
    Path(sys.argv[2], f"{os.environ.get('RANK', '0')}.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
