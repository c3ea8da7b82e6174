"""CFG: steps, epochs and rates, beside the number of rows that there are."""

from __future__ import annotations

import math
from collections.abc import Iterator

from validators.findings import Found
from validators.replay.arguments import Arguments
from validators.replay.order import validation_rows
from validators.replay.steps import batches, total, updates
from validators.rules.rule import EndView, RunView
from validators.rules.yaml_view import arguments_of, in_yaml, is_train

ADAM = ("adamw_torch", "adamw_torch_fused", "adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "paged_adamw_32bit")
RATES = {"lora": (1e-7, 1e-2), "oft": (1e-7, 1e-2), "freeze": (1e-8, 1e-3), "full": (1e-8, 1e-3)}
MANY_EPOCHS = 100


def nothing_trained(view: RunView) -> Iterator[Found]:
    """A run that trains no step.

    ## What it finds
    No do_train: true in a yaml that asks for no evaluation either; num_train_epochs, max_steps or learning_rate of 0;
    all parts of the model frozen under full fine-tuning.

    ## Why it matters
    LLaMA-Factory 0.9.5 loads everything, trains nothing and ends without an error (train/sft/workflow.py: run_sft;
    transformers 5.6.0, trainer.py: set_initial_training_values); with max_steps: 0 transformers 4.57.1 trains one step.

    ## Bad
    ```yaml train.yaml
    num_train_epochs: 0
    ```

    ## Good
    ```yaml train.yaml
    num_train_epochs: 3
    ```

    ## Fix
    Set do_train: true, and a number above 0.
    """
    if not is_train(view):
        return
    arguments = arguments_of(view)
    if not arguments.on("do_train"):
        if not arguments.evaluates:
            yield in_yaml(view, "do_train", "no do_train", "do_train: true")
        return
    if arguments.number("max_steps") == 0:
        yield in_yaml(view, "max_steps", "max_steps: 0", "a number above 0, or -1 for whole epochs")
    if not arguments.beyond("max_steps", -1) and (arguments.number("num_train_epochs") or 0) <= 0:
        yield in_yaml(view, "num_train_epochs", arguments.shown("num_train_epochs"), "a number above 0")
    if arguments.number("learning_rate") == 0:
        yield in_yaml(view, "learning_rate", "learning_rate: 0", "a number above 0")
    parts = ("freeze_vision_tower", "freeze_multi_modal_projector", "freeze_language_model")
    whole = arguments.among("finetuning_type", "full") and bool(view.template and view.template.takes_media)
    if whole and all(arguments.on(part) for part in parts):
        yield in_yaml(view, parts[2], f"{arguments.shown(*parts)}: nothing is left to train", "a part that learns")


def unusual_hyperparameter(view: RunView) -> Iterator[Found]:
    """A learning rate or a number of epochs far from what is usual.

    ## What it finds
    With an Adam optimizer, a learning_rate above 1e-2 or below 1e-7 for LoRA, above 1e-3 or below 1e-8 for full
    fine-tuning; more than 100 epochs.

    ## Why it matters
    LLaMA-Factory's examples take 1.0e-4 for LoRA and 1.0e-5 for full fine-tuning, over three epochs
    (examples/train_lora and train_full). A hundred times more makes the loss jump and the model forget; a thousand
    times less learns nothing that can be seen. It is most often a slip in the exponent.

    ## Bad
    ```yaml train.yaml
    learning_rate: 1.0
    ```

    ## Good
    ```yaml train.yaml
    learning_rate: 1.0e-4
    ```

    ## Fix
    Correct the number, or ignore the rule where it is meant.
    """
    if not is_train(view):
        return
    arguments = arguments_of(view)
    rate, method = arguments.number("learning_rate"), arguments["finetuning_type"]
    low, high = RATES.get(str(method), (0.0, math.inf))
    if rate and arguments["optim"] in ADAM and not low <= rate <= high:
        yield in_yaml(view, "learning_rate", f"learning_rate: {rate:g} with {method}", f"from {low:g} to {high:g}")
    if arguments.beyond("num_train_epochs", MANY_EPOCHS) and not arguments.beyond("max_steps", -1):
        yield in_yaml(view, "num_train_epochs", arguments.shown("num_train_epochs"), f"at most {MANY_EPOCHS}")


def evaluation_never_run(view: RunView) -> Iterator[Found]:
    """Steps for an evaluation that never takes place.

    ## What it finds
    eval_steps in a training without eval_strategy, do_eval or predict_with_generate.

    ## Why it matters
    eval_strategy is "no" unless it is set (transformers 5.6.0, training_args.py), whatever eval_steps says. Rows of
    val_size are taken out of the training all the same (data/data_utils.py: split_dataset), and nobody looks at them.

    ## Bad
    ```yaml train.yaml
    val_size: 0.5
    eval_steps: 1
    ```

    ## Good
    ```yaml train.yaml
    val_size: 0.5
    eval_steps: 1
    eval_strategy: steps
    ```

    ## Fix
    Set eval_strategy: steps, or remove the key.
    """
    arguments = arguments_of(view)
    if not is_train(view) or not arguments.on("do_train") or arguments.evaluates or not arguments["eval_strategy"]:
        return  # `eval_strategy: no` without quotes is false: unknown-choice tells
    if arguments.given("eval_steps"):
        yield in_yaml(
            view, "eval_steps", f"{arguments.shown('eval_steps')} without eval_strategy", "eval_strategy: steps"
        )


def rows_trained(view: EndView) -> int | None:
    """At most how many rows the run trains on; None where that is not known."""
    run, arguments = view.run, arguments_of(view.run)
    unread = run.plan.passed_over or run.plan.undefined or run.plan.bad_entries
    if not is_train(run) or unread or arguments.on("streaming") or arguments.given("tokenized_path"):
        return None
    if str(arguments["mix_strategy"]) != "concat" and len(run.settings.datasets) > 1:
        return None  # rows are drawn more than once
    summaries = [summary for summary in view.summaries if not summary.evaluates]
    held_out = validation_rows(arguments.number("val_size") or 0, sum(summary.rows for summary in summaries))
    return max(sum(summary.reaching for summary in summaries) - held_out, 0) if summaries else None


def most_steps(arguments: Arguments, rows: int | None) -> int | None:
    """The number of optimizer steps on one device; more devices make fewer. None where it is not known.

    transformers 5.6.0, trainer.py: set_initial_training_values.
    """
    limit = arguments.number("max_steps")
    if limit is None or not limit < 0:
        return int(limit) if limit is not None and math.isfinite(limit) else None
    batch, accumulated = (
        arguments.number("per_device_train_batch_size"),
        arguments.number("gradient_accumulation_steps"),
    )
    epochs = arguments.number("num_train_epochs")
    if rows is None or not batch or not accumulated or epochs is None or not math.isfinite(epochs):
        return None
    if not 0 < batch < math.inf or not 0 < accumulated < math.inf or arguments.on("auto_find_batch_size"):
        return None
    each = batches(rows, math.ceil(batch), 1, drop_last=False)
    return total(updates(each, math.ceil(accumulated)), epochs, -1)


def warmup_key(arguments: Arguments) -> str:
    """The key that decides how long the warm-up lasts: steps before a ratio, or the other way round."""
    if arguments.trainer.has("warmup-in-whole-steps"):
        return "warmup_steps" if arguments.beyond("warmup_steps", 0) else "warmup_ratio"
    return "warmup_ratio" if arguments.given("warmup_ratio") else "warmup_steps"


def warmup_beyond_run(view: EndView) -> Iterator[Found]:
    """A warm-up that lasts the whole run.

    ## What it finds
    warmup_steps of at least the number of steps in the run (on one device; more devices make fewer steps).

    ## Why it matters
    The learning rate climbs from 0 and the run ends before it has reached its height (transformers, optimization.py):
    the model learns a fraction of what was planned.

    ## Bad
    ```yaml train.yaml
    warmup_steps: 500
    ```

    ## Good
    ```yaml train.yaml
    warmup_ratio: 0.1
    ```

    ## Fix
    Give a part of the run (warmup_ratio: 0.1), or fewer steps.
    """
    arguments = arguments_of(view.run)
    steps = most_steps(arguments, rows_trained(view)) if is_train(view.run) else None
    key = warmup_key(arguments)
    warmup = arguments.number(key)
    climbs = not arguments.among("lr_scheduler_type", "constant")
    if steps and climbs and warmup is not None and warmup >= max(steps, 2):
        yield in_yaml(view.run, key, f"{arguments.shown(key)} of {steps} steps", f"less than {steps}")


def batch_beyond_rows(view: EndView) -> Iterator[Found]:
    """A batch larger than the data.

    ## What it finds
    per_device_train_batch_size times gradient_accumulation_steps, where the yaml sets one of them, above the number of
    rows that are trained on.

    ## Why it matters
    Each epoch is then one step at most: three epochs are three changes of the weights, and often no visible effect.
    With dataloader_drop_last there is no batch at all.

    ## Bad
    ```yaml train.yaml
    per_device_train_batch_size: 4
    gradient_accumulation_steps: 8
    ```

    ## Good
    ```yaml train.yaml
    per_device_train_batch_size: 1
    gradient_accumulation_steps: 2
    ```

    ## Fix
    Make the batch smaller, or add rows.
    """
    arguments, rows = arguments_of(view.run), rows_trained(view)
    keys = ("per_device_train_batch_size", "gradient_accumulation_steps")
    batch, accumulated = (arguments.number(key) for key in keys)
    shown = [key for key in keys if key in arguments.raw]
    if not rows or not batch or not accumulated or not shown or arguments.beyond("max_steps", -1):
        return
    if batch * accumulated > rows:
        found = f"{arguments.shown(*shown)}: {batch * accumulated:g} rows a step, of {rows}"
        yield in_yaml(view.run, shown[0], found, f"at most {rows}")


def steps_beyond_run(view: EndView) -> Iterator[Found]:
    """Steps at which something is to happen that the run never reaches.

    ## What it finds
    save_steps, eval_steps or logging_steps in the yaml above the number of steps in the run (on one device; more
    devices make fewer steps).

    ## Why it matters
    The run saves and evaluates at its end only, and logs no loss on its way (transformers 5.6.0, trainer_callback.py:
    DefaultFlowCallback): what goes wrong is seen when it is over.

    ## Bad
    ```yaml train.yaml
    save_steps: 500
    ```

    ## Good
    ```yaml train.yaml
    save_steps: 1
    ```

    ## Fix
    Give fewer steps, or a part of the run (save_steps: 0.2).
    """
    arguments = arguments_of(view.run)
    steps = most_steps(arguments, rows_trained(view)) if is_train(view.run) else None
    for key in ("save_steps", "eval_steps", "logging_steps"):
        strategy = "logging_strategy" if key == "logging_steps" else key.replace("_steps", "_strategy")
        if steps and key in arguments.raw and arguments.beyond(key, steps) and arguments.among(strategy, "steps"):
            yield in_yaml(view.run, key, f"{arguments.shown(key)} of {steps} steps", f"at most {steps}")
