"""`curate check x.yaml --verify-with-trainer N`: the prediction held against the installed llamafactory, row by row."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from train.environments.choose import choose_environment, wanted_for
from train.environments.environment import TrainerEnvironment
from validators.errors import UsageFault
from validators.model import Outcome
from validators.report.model import Report, RowPrediction
from validators.settings import read_yaml

SHOWN_LINES = 12


@dataclass(frozen=True, slots=True)
class Answer:
    """What the trainer did with a row; `row` is None where the whole dataset does not load."""

    dataset: str
    row: int | None
    outcome: Outcome
    tokens: int | None
    supervised: int | None
    error: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How far prediction and trainer agree: rows compared, and a line for each disagreement."""

    trainer: str
    compared: int
    disagreements: tuple[str, ...]

    def text(self) -> str:
        """The result in words."""
        agreeing = self.compared - len(self.disagreements)
        lines = [f"{self.trainer}: {agreeing} of {self.compared} rows agree in outcome, tokens and supervised tokens"]
        return "\n".join([*lines, *(f"  {line}" for line in self.disagreements)]) + "\n"


def confirm(yaml_file: Path, report: Report, rows: int, named: str | None = None) -> Confirmation:
    """Run the trainer's own parts over a choice of rows; UsageFault where it is missing or cannot be started.

    named: the environment that the prediction is for, where the user named one.
    `report` must hold every row's prediction (CheckOptions.keep_rows).
    """
    if yaml_file.suffix not in (".yaml", ".yml"):
        raise UsageFault(yaml_file, "not a train yaml", "a train yaml with --verify-with-trainer")
    environment = choose_environment(wanted_for(str(yaml_file), read_yaml(yaml_file), named))
    chosen = {dataset.name: choose(dataset.predictions or {}, rows) for dataset in report.datasets}
    return compare(environment.trainer.words(), report, ask(yaml_file, chosen, environment))


def choose(predictions: Mapping[int, RowPrediction], most: int) -> list[int]:
    """Rows to compare, in order: up to half of them such that do not train whole, the others spread evenly."""
    harmed = [row for row, prediction in predictions.items() if prediction.outcome is not Outcome.TRAINED]
    sound = [row for row, prediction in predictions.items() if prediction.outcome is Outcome.TRAINED]
    share = max(min(len(harmed), most // 2), most - len(sound))
    return sorted(spread(harmed, share) + spread(sound, most - min(share, len(harmed))))


def spread(rows: Sequence[int], count: int) -> list[int]:
    """So many of these rows, at even distances."""
    if count >= len(rows):
        return list(rows)
    return [rows[number * len(rows) // count] for number in range(count)]


def ask(yaml_file: Path, rows: Mapping[str, list[int]], environment: TrainerEnvironment) -> list[Answer]:
    """The witness's answers, in a process of the trainer's environment; its progress goes to stderr."""
    with tempfile.TemporaryDirectory(prefix="curate-verify-") as folder:
        request, answer = Path(folder) / "request.json", Path(folder) / "answer.jsonl"
        request.write_text(json.dumps({"yaml": str(yaml_file), "rows": rows}), encoding="utf-8")
        done = subprocess.run(
            [str(environment.python), "-P", "-m", "train.witness", str(request), str(answer)],
            env=environment.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            tail = "\n".join(done.stdout.strip().splitlines()[-SHOWN_LINES:])
            raise UsageFault(yaml_file, f"the trainer could not judge its rows:\n{tail}", "a yaml that it accepts")
        return [read_answer(line) for line in answer.read_text(encoding="utf-8").splitlines()]


def read_answer(line: str) -> Answer:
    """One line of the witness."""
    value = json.loads(line)
    return Answer(
        value["dataset"],
        value.get("row"),
        Outcome(value["outcome"]),
        value.get("tokens"),
        value.get("supervised"),
        value.get("error", ""),
    )


def compare(trainer: str, report: Report, answers: Sequence[Answer]) -> Confirmation:
    """Hold the answers against the report's predictions."""
    known = {dataset.name: dataset.predictions or {} for dataset in report.datasets}
    compared = 0
    wrong = []
    for answer in answers:
        rows = known[answer.dataset]
        for row in rows if answer.row is None else [answer.row]:
            compared += 1
            if not agrees(rows[row], answer):
                wrong.append(f"{answer.dataset} row {row}: predicted {shown(rows[row])}, the trainer: {told(answer)}")
    return Confirmation(trainer, compared, tuple(wrong))


def agrees(predicted: RowPrediction, answer: Answer) -> bool:
    """Same outcome and, where both know them, same counts. The trainer does not tell what it alters."""
    outcome = Outcome.TRAINED if predicted.outcome is Outcome.ALTERED else predicted.outcome
    if outcome is not answer.outcome:
        return False
    if predicted.tokens is None or answer.tokens is None:
        return True
    return (predicted.tokens, predicted.supervised) == (answer.tokens, answer.supervised)


def shown(predicted: RowPrediction) -> str:
    """A prediction in words."""
    return f"{predicted.outcome.value} ({predicted.tokens} tokens, {predicted.supervised} supervised)"


def told(answer: Answer) -> str:
    """An answer in words."""
    counts = f" ({answer.tokens} tokens, {answer.supervised} supervised)" if answer.tokens is not None else ""
    return f"{answer.outcome.value}{counts}" + (f": {answer.error}" if answer.error else "")
