"""`make demo`: the whole path on real media, step by step, and what each step left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD, TINY = Path("build/demo"), Path("build/tiny-qwen2vl")
RECIPES = Path("train/recipes")
CURATE = (str(Path(sys.executable).with_name("curate")),)
PYTHON = (sys.executable,)


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the path, and what it promises to leave behind once it exits with 0."""

    title: str
    command: tuple[str, ...]
    artefacts: tuple[tuple[Path, str], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


STEPS = (
    Step(
        "raw captions and media to datasets",
        (*CURATE, "build", "examples/demo/recipe.yaml"),
        (
            (BUILD / "arrow", "Arrow datasets, opened by datasets.load_from_disk while writing"),
            (BUILD / "dataset_info.json", "entries for LLaMA-Factory"),
            (BUILD / "ledger.jsonl", "rows dropped and changed, with reasons"),
            (BUILD / "manifest.json", "content hashes, written last"),
        ),
    ),
    Step("check of all datasets", (*CURATE, "check", str(BUILD))),
    Step(
        "tiny random model and tokenizer",
        (
            *PYTHON,
            "-m",
            "train.tiny",
            str(TINY),
            "--text",
            *(f"{BUILD}/demo_{kind}.json" for kind in ("image", "video", "audio", "video_audio")),
        ),
        ((TINY / "model.safetensors", "random weights, Qwen2-VL's architecture"),),
    ),
    Step(
        "LoRA",
        (*CURATE, "train", str(RECIPES / "tiny_lora.yaml")),
        (
            (Path("runs/tiny-lora/adapter_model.safetensors"), "all numbers and all losses finite"),
            (Path("runs/tiny-lora/training_loss.png"), "loss plot"),
            (Path("runs/tiny-lora/run.json"), "what trained it: settings, base and data by hash, versions, outcome"),
        ),
    ),
    Step(
        "merge",
        (*CURATE, "export", str(RECIPES / "tiny_merge.yaml")),
        (
            (Path("runs/tiny-merged/model.safetensors"), "names and shapes of the base; only LoRA's targets differ"),
            (Path("runs/tiny-merged/merge_proof.json"), "each proof, as printed above"),
        ),
    ),
    Step(
        "full SFT, DeepSpeed ZeRO-2, two CPU processes",
        (*CURATE, "train", str(RECIPES / "tiny_full.yaml")),
        (
            (Path("runs/tiny-full/model.safetensors"), "all numbers and all losses finite"),
            (Path("runs/tiny-full/training_loss.png"), "loss plot"),
        ),
        (("NPROC_PER_NODE", "2"),),
    ),
    Step(
        "both runs side by side",
        (*CURATE, "runs", "runs/tiny-lora", "runs/tiny-full", "--html", "runs/compare.html"),
        ((Path("runs/compare.html"), "losses drawn, settings and data that differ"),),
    ),
)


def main() -> int:
    """Run the steps; stop at the first that fails."""
    os.chdir(ROOT)
    started = time.monotonic()
    took: list[float] = []
    for number, step in enumerate(STEPS, 1):
        print(f"\n=== {number}/{len(STEPS)}  {step.title}\n$ {' '.join(map(short, step.command))}", flush=True)
        begun = time.monotonic()
        code = subprocess.run(step.command, env=os.environ | dict(step.environment), check=False).returncode
        took.append(time.monotonic() - begun)
        missing = [str(path) for path, _ in step.artefacts if not path.exists()]
        if code != 0 or missing:
            reason = f"ended with {code}" if code else f"left no {', '.join(missing)}"
            print(f"\ndemo: step {number} ({step.title}) {reason}", file=sys.stderr)
            return 1
    print(f"\n=== the demo passed in {time.monotonic() - started:.0f} s\n")
    for step, seconds in zip(STEPS, took, strict=True):
        print(f"{step.title} ({seconds:.1f} s)")
        for path, meaning in step.artefacts:
            print(f"  {path}  {meaning}")
    return 0


def short(word: str) -> str:
    """A command's word without this environment's own folder."""
    return Path(word).name if word.startswith(str(Path(sys.executable).parent)) else word


if __name__ == "__main__":
    raise SystemExit(main())
