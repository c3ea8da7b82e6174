"""`curate evaluate x.yaml`: the same held-out rows answered by the base and by the trained model, side by side."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from curate.commands.configured import add_environment
from curate.views import options
from curate.writers.atomic import write_whole
from train import trainer
from train.environments.choose import enter, wanted_for
from train.evaluation.predict import Answers, base_settings, predict, prediction, refuse_untrained, tuned_settings
from train.evaluation.sample import Sample, draw, lay_out
from train.evaluation.sheet import metric_rows, sheet
from train.runs import facts
from train.runs.record import now
from validators.errors import UsageFault
from validators.report.escaping import encodable, printable
from validators.rules.rule import RunView
from validators.settings import TrainerSettings, read_yaml

SHEET, RESULT = "sheet.html", "evaluation.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_environment(parser)
    parser.add_argument("yaml", type=Path, help="the train yaml of a finished run")
    parser.add_argument("--dataset", metavar="NAME", help="a dataset of dataset_info.json, in place of eval_dataset")
    parser.add_argument(
        "--sample", type=int, default=20, metavar="K", help="K rows by chance, 0 for all (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the chance; the same gives the same rows")
    parser.add_argument(
        "--max-new-tokens",
        type=int,
        default=256,
        metavar="N",
        help="tokens of an answer, at most (default: %(default)s)",
    )
    parser.add_argument("--no-base", action="store_true", help="ask the trained model only")
    parser.add_argument(
        "-o", "--output-dir", type=Path, metavar="DIR", help="where to (default: evaluation in the run's output_dir)"
    )


def run(args: argparse.Namespace) -> int:
    """Draw rows, let both models answer them, write the sheet; 1 where a model gave no answers."""
    settings = read_yaml(args.yaml)
    if "output_dir" not in settings:
        raise UsageFault(args.yaml, "no output_dir", "the train yaml of a finished run")
    for name, value, least in (("--sample", args.sample, 0), ("--max-new-tokens", args.max_new_tokens, 1)):
        if value < least:
            raise UsageFault(name, str(value), f"{least} or more")
    enter(wanted_for(str(args.yaml), settings, args.env), args.words)
    trainer.refuse_fork_keys(str(args.yaml), settings)
    if settings.get("stage", "sft") != "sft":
        raise UsageFault(
            args.yaml, f"stage: {settings['stage']}", "sft: the trainer generates answers in no other stage"
        )
    if trainer.find_cluster(settings, []).nodes > 1:
        raise UsageFault("NNODES", "several nodes", "evaluation on one machine")
    refuse_untrained(settings)
    if args.dataset is not None:
        settings |= {"eval_dataset": args.dataset}
    with tempfile.TemporaryDirectory(prefix="curate-evaluate-") as name:
        folder = Path(name)
        found = evaluated_run(args.yaml, settings, folder, args.env)
        sample = draw(found, str(args.yaml), args.sample, args.seed)
        lay_out(sample, folder)
        answers = ask(args, settings, sample, folder)
    return told(args, settings, sample, answers)


def evaluated_run(file: Path, settings: Mapping[str, object], folder: Path, environment: str | None) -> RunView:
    """The run with its evaluation datasets; UsageFault where it has none."""
    if not settings.get("eval_dataset"):
        cure = "name one by eval_dataset or --dataset (the step split of `curate build` writes one)"
        what = "val_size alone, whose rows only the trainer draws" if settings.get("val_size") else "no eval_dataset"
        raise UsageFault(file, what, "a dataset that was not trained on", cure)
    target = file
    if read_yaml(file) != settings:
        target = folder / file.name
        target.write_text(json.dumps(settings, default=str), encoding="utf-8")
    nothing = argparse.Namespace(
        template=None, model=None, tokenizer=None, cutoff_len=None, media_dir=None, trainer=None,
        env=environment,
    )  # fmt: skip
    found = options.find_run(str(target), nothing)
    if not any(dataset.evaluates for dataset in found.plan.datasets):
        reasons = "; ".join(f"{printable(name)}: {printable(why)}" for name, why in options.not_read(found.plan))
        raise UsageFault(file, reasons or "its eval_dataset cannot be read", "an evaluation dataset that can be read")
    return found


def ask(args: argparse.Namespace, settings: Mapping[str, object], sample: Sample, folder: Path) -> dict[str, Answers]:
    """Both models' answers by name; the run ends with the first that gives none."""
    media_dir = str(settings.get("media_dir") or settings.get("dataset_dir") or TrainerSettings().dataset_dir)
    models = {} if args.no_base else {"base": base_settings(settings)}
    answers: dict[str, Answers] = {}
    for name, model in (models | {"tuned": tuned_settings(settings)}).items():
        say(f"curate: {len(sample.rows)} rows, answered by the {name} model\n")
        wanted = prediction(model, sample.names, folder, media_dir, folder / name, args.max_new_tokens, args.seed)
        answers[name] = predict(wanted, folder / f"{name}.yaml", len(sample.rows))
        if answers[name].fault:
            break
    return answers


def told(
    args: argparse.Namespace, settings: Mapping[str, object], sample: Sample, answers: Mapping[str, Answers]
) -> int:
    """Write the sheet and the result, and say the scores; the exit code."""
    faults = {name: each.fault for name, each in answers.items() if each.fault}
    for name, fault in faults.items():
        say(f"the {name} model gave no answers: {fault}\n")
    if faults:
        return 1
    out = args.output_dir or Path(str(settings["output_dir"])) / "evaluation"
    out.mkdir(parents=True, exist_ok=True)
    notes = [
        f"{len(sample.rows)} rows of {', '.join(sample.names)}, drawn with seed {args.seed}; greedy answers of at most "
        f"{args.max_new_tokens} tokens; scores by llamafactory {trainer.installed_version()}."
    ]
    if sample.left_out:
        notes.append(f"{sample.left_out} more rows were drawn that the trainer would drop or stop at.")
    write_whole(
        out / RESULT, encodable(json.dumps(document(args, sample, answers), ensure_ascii=False, indent=2)) + "\n"
    )
    write_whole(out / SHEET, sheet(str(settings["output_dir"]), notes, sample.rows, answers))
    say("".join(f"{note}\n" for note in notes))
    for row in metric_rows(answers):
        say("  ".join(f"{cell:>8}" for cell in row).rstrip() + "\n")
    say(f"wrote {out / SHEET} and {out / RESULT}\n")
    return 0


def document(args: argparse.Namespace, sample: Sample, answers: Mapping[str, Answers]) -> dict[str, object]:
    """The result, for programs."""
    return {
        "format": 1,
        "made": now(),
        "yaml": str(args.yaml),
        "sample": args.sample,
        "seed": args.seed,
        "max_new_tokens": args.max_new_tokens,
        "left_out": sample.left_out,
        "versions": facts.versions(),
        "metrics": {name: dict(each.metrics) for name, each in answers.items()},
        "rows": [
            {"dataset": row.dataset, "row": row.shown.row}
            | {"label": next(iter(answers.values())).labels[number]}
            | {name: each.texts[number] for name, each in answers.items()}
            for number, row in enumerate(sample.rows)
        ],
    }


def say(text: str) -> None:
    """Words to the screen at once: the trainer writes to the same one."""
    sys.stdout.write(text)
    sys.stdout.flush()
