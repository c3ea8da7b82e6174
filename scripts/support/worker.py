"""`python -m scripts.support.worker REQUEST`: the families of one pair of versions, one after the other.

The request is a JSON file: {"llamafactory", "transformers", "families", "work", "published", "answer"}. llamafactory is
imported once; each run is a fork of this process, so that what one leaves behind never reaches the next. A line of the
file `answer` is one cell.
"""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.support.cells import Cell
from scripts.support.data import make_data
from scripts.support.families import FAMILIES, PublishedFamily, SupportFamily
from scripts.support.folders import make_folder
from scripts.support.runs import Ran, run

LOADING = {"arguments", "tokenizer and processor", "template", "config", "model"}
"""Stages that come before any row's media: a family that fails there fails on all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the runs of one family have in common."""

    model: Path
    template: str
    data: Path
    out: Path
    target: str = "all"
    """lora_target."""


def main() -> int:
    """Run the request's families."""
    request = json.loads(Path(sys.argv[1]).read_text())
    import torch

    torch.set_num_threads(1)
    check_versions(request["llamafactory"], request["transformers"])
    work = Path(request["work"])
    make_data(work / "data")
    with Path(request["answer"]).open("a") as answers:
        for name in request["families"]:
            try:
                cell = try_family(name, request, work)
            except Exception:
                traceback.print_exc()
                print(f"{name}: no cell", file=sys.stderr)
                continue
            answers.write(json.dumps(cell.entry()) + "\n")
            answers.flush()
            print(f"{name}: {cell.result} {cell.stage} {cell.words} {dict(cell.fails_on)}", flush=True)
    return 0


def check_versions(llamafactory: str, transformers: str) -> None:
    """Import both, and raise RuntimeError unless they are the versions asked for."""
    import transformers as installed
    from llamafactory.extras.env import VERSION
    from llamafactory.train import tuner  # noqa: F401 (before the forks)

    if installed.__version__ != transformers or llamafactory not in {VERSION, "main"}:
        raise RuntimeError(f"llamafactory {VERSION} and transformers {installed.__version__} are installed")


def try_family(name: str, request: dict[str, Any], work: Path) -> Cell:
    """One family's cell."""
    family = FAMILIES[name]
    folder, model = work / name, work / name / "model"
    if isinstance(family, SupportFamily):
        whole = make_folder(family, model)
        what = f"tiny random model of transformers' {family.architecture}"
        if not whole:
            what = f"a folder with the config.json of {family.architecture}, a class that this transformers lacks"
    else:
        folder.mkdir()
        model = Path(request["published"]) / name
        what = f"the published code of {family.folder} with small sizes and random weights"
        what += "".join(f", {words}" for words in (family.revision, family.words) if words)
    rows = ("text", *family.media)
    plan = Plan(model=model, template=family.template, data=work / "data", out=folder)
    ran: dict[str, Ran] = {}
    whole_run = train(plan, rows)
    text = whole_run if whole_run.trained else train(plan, ("text",))
    if text.words.startswith("ValueError: Target module"):
        ran["lora_target: all"] = text
        plan = replace(plan, target="q_proj,v_proj", out=folder / "projections")
        whole_run = train(plan, rows)
        text = whole_run if whole_run.trained else train(plan, ("text",))
    if not whole_run.trained:
        ran["text"] = text
        if text.trained or text.stage not in LOADING:
            ran |= {medium: train(plan, (medium,)) for medium in family.media}
    versions = f"llamafactory {request['llamafactory']}, transformers {request['transformers']}"
    return Cell(
        family=name,
        llamafactory=request["llamafactory"],
        transformers=request["transformers"],
        revision=family.revision if isinstance(family, PublishedFamily) else "",
        evidence=f"{what}, LoRA of {plan.target} on a CPU, one step each on a row of {', '.join(rows)}",
        **outcome(family.media, whole_run, ran, f"{versions}{request['note']}"),
    )


def train(plan: Plan, datasets: tuple[str, ...]) -> Ran:
    """One run, a step a row, in the order of the datasets."""
    plan.out.mkdir(exist_ok=True)
    arguments = {
        "model_name_or_path": str(plan.model),
        "trust_remote_code": True,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": 4,
        "lora_target": plan.target,
        "dataset_dir": str(plan.data),
        "dataset": ",".join(datasets),
        "template": plan.template,
        "cutoff_len": 4096,
        "overwrite_cache": True,
        "disable_shuffling": True,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 1,
        "max_steps": len(datasets),
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
    }
    return run(arguments, plan.out / "-".join(datasets))


def outcome(media: tuple[str, ...], whole: Ran, ran: dict[str, Ran], versions: str) -> dict[str, Any]:
    """result, stage, words, fails_on and source of a cell, from the run of all rows and those after it failed."""
    failed = {name: one for name, one in ran.items() if not one.trained}
    if whole.trained or any(name in ran and ran[name].trained for name in media or ("text",)):
        first = next(iter(failed.values()), whole)
        words = {name: one.words for name, one in failed.items()} or (
            {} if whole.trained else {"together": whole.words}
        )
        source = first.source or "llamafactory/train/tuner.py: run_exp"
        return {"result": "trains", "stage": first.stage, "fails_on": words, "source": f"{versions}: {source}"}
    first = ran["text"] if not ran["text"].trained else next(iter(failed.values()))
    return {"result": "fails", "stage": first.stage, "words": first.words, "source": f"{versions}: {first.source}"}


if __name__ == "__main__":
    raise SystemExit(main())
