"""`python -m scripts.support.worker REQUEST`: the families of one pair of versions, one after the other.

The request is a JSON file: {"llamafactory", "transformers", "families", "work", "published", "answer"}. llamafactory is
imported once; each run is a fork of this process, so that what one leaves behind never reaches the next. A line of the
file `answer` is one cell.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

from scripts.support.cells import Cell
from scripts.support.data import make_data
from scripts.support.families import FAMILIES, PublishedFamily, SupportFamily
from scripts.support.folders import make_folder
from scripts.support.runs import Ran, run

LOADING = {"arguments", "tokenizer and processor", "template", "config", "model"}
"""Stages that come before any row's media: a family that fails there fails on all."""


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
        what += f", {family.words}" if family.words else ""
    rows = ("text", *family.media)
    ran = {}
    if not (whole_run := train(family, rows, model, folder)).trained:
        ran["text"] = train(family, ("text",), model, folder)
        if ran["text"].trained or ran["text"].stage not in LOADING:
            ran |= {medium: train(family, (medium,), model, folder) for medium in family.media}
    versions = f"llamafactory {request['llamafactory']}, transformers {request['transformers']}"
    return Cell(
        family=name,
        llamafactory=request["llamafactory"],
        transformers=request["transformers"],
        evidence=f"{what}, LoRA on a CPU, one step each on a row of {', '.join(rows)}",
        **outcome(family.media, whole_run, ran, f"{versions}{request['note']}"),
    )


def train(family: SupportFamily | PublishedFamily, datasets: tuple[str, ...], model: Path, folder: Path) -> Ran:
    """One run, a step a row, in the order of the datasets."""
    arguments = {
        "model_name_or_path": str(model),
        "trust_remote_code": True,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": 4,
        "lora_target": "q_proj,v_proj" if isinstance(family, PublishedFamily) else "all",
        "dataset_dir": str(folder.parent / "data"),
        "dataset": ",".join(datasets),
        "template": family.template,
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
    return run(arguments, folder / "-".join(datasets))


def outcome(media: tuple[str, ...], whole: Ran, ran: dict[str, Ran], versions: str) -> dict[str, Any]:
    """result, stage, words, fails_on and source of a cell, from the run of all rows and those of each modality."""
    failed = {name: one for name, one in ran.items() if not one.trained}
    if whole.trained:
        return {"result": "trains", "source": f"{versions}: train/tuner.py: run_exp"}
    if any(name in ran and ran[name].trained for name in media or ("text",)):
        first = next(iter(failed.values()), whole)
        words = {name: one.words for name, one in failed.items()} or {"together": whole.words}
        return {"result": "trains", "stage": first.stage, "fails_on": words, "source": f"{versions}: {first.source}"}
    first = ran["text"] if not ran["text"].trained else next(iter(failed.values()))
    return {
        "result": "fails",
        "stage": first.stage,
        "words": first.words,
        "source": f"{versions}: {first.source}",
    }


if __name__ == "__main__":
    raise SystemExit(main())
