"""`make bench`: start-up, the check of the demo, throughput on many rows, the trainer's own preprocessing beside it.

All figures come from one run on one machine; ratios mean more than seconds. Prints a table and writes it to
bench/results.md.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
CURATE = str(Path(sys.executable).with_name("curate"))
MEDIA = ROOT / "examples" / "demo" / "media"
ROUNDS = 5
MANY, SOME = 50_000, 300


def seconds(command: list[str]) -> float:
    """The median wall time of a command over ROUNDS runs."""
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def demo_is_built() -> None:
    """Datasets and tiny model of the demo, if they are not there."""
    subprocess.run([CURATE, "build", "examples/demo/recipe.yaml"], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    texts = sorted(str(path) for path in (ROOT / "build/demo").glob("demo_*.json"))
    subprocess.run(
        [sys.executable, "-m", "train.tiny", "build/tiny-qwen2vl", "--text", *texts],
        check=True,
        cwd=ROOT,
        capture_output=True,
    )


def rows(count: int) -> list[dict[str, object]]:
    """Rows of a question, a picture of the demo and an answer of about a hundred words."""
    answer = "It shows players on a pitch who celebrate, in white and red, before a crowd. " * 7
    return [
        {
            "messages": [
                {"role": "user", "content": f"<image>What does picture {number} show?"},
                {"role": "assistant", "content": answer},
            ],
            "images": [f"images/{number % 3 + 1}.jpg"],
        }
        for number in range(count)
    ]


def project(folder: Path, count: int) -> Path:
    """A dataset of that many rows with its train yaml."""
    from curate.writers.dataset_info import entry
    from validators.model import MediaKind

    (folder / "data.json").write_text(json.dumps(rows(count)))
    (folder / "dataset_info.json").write_text(json.dumps({"data": entry("data", [MediaKind.IMAGE])}))
    yaml_file = folder / "train.yaml"
    settings = {
        "template": "qwen2_vl",
        "model_name_or_path": str(ROOT / "build/tiny-qwen2vl"),
        "dataset": "data",
        "dataset_dir": str(folder),
        "media_dir": str(MEDIA),
        "cutoff_len": 2048,
        "output_dir": "out",
    }
    yaml_file.write_text(json.dumps(settings))
    return yaml_file


def check_rate(folder: Path) -> tuple[float, float]:
    """Rows a second and peak memory in MiB of one check of MANY rows, start-up included."""
    yaml_file = project(folder, MANY)
    started = time.perf_counter()
    code = os.spawnv(os.P_NOWAIT, CURATE, [CURATE, "check", str(yaml_file)])
    _, status, usage = os.wait4(code, 0)
    taken = time.perf_counter() - started
    if status:
        raise SystemExit("bench: the check found something in sound rows")
    return MANY / taken, usage.ru_maxrss / 1024


def trainer_rate() -> float:
    """Rows a second of llamafactory's own converter and processor over SOME rows, imports not counted."""
    from curate.writers.dataset_info import entry
    from tests.agreement.oracle import Oracle, qwen_processor
    from validators.model import MediaKind

    processor = qwen_processor(ROOT / "build/tiny-qwen2vl")
    oracle = Oracle("qwen2_vl", processor, entry("data", [MediaKind.IMAGE]), media_dir=str(MEDIA), cutoff_len=2048)
    sample = rows(SOME)
    started = time.perf_counter()
    for row in sample:
        aligned = {key: [value] for key, value in oracle.converter(row).items()}
        oracle.limited.preprocess_dataset(aligned)
    return SOME / (time.perf_counter() - started)


def main() -> int:
    """Measure and report."""
    demo_is_built()
    start = seconds([CURATE, "--help"])
    demo = seconds([CURATE, "check", "train/recipes/tiny_lora.yaml"])
    with tempfile.TemporaryDirectory() as folder:
        rate, memory = check_rate(Path(folder))
    trainer = trainer_rate()
    lines = [
        "# Benchmark",
        "",
        f"`make bench`, Python {platform.python_version()}, {os.cpu_count()} cores, no GPU.",
        "",
        "| what | measured | limit |",
        "|---|---|---|",
        f"| `curate --help`, median of {ROUNDS} | {start:.3f} s | 0.3 s |",
        f"| `curate check` of the demo's train yaml, median of {ROUNDS} | {demo:.2f} s | 1.0 s |",
        f"| `curate check`, {MANY} rows with a picture each, start-up included | {rate:.0f} rows/s | |",
        f"| its peak memory | {memory:.0f} MiB | |",
        f"| LLaMA-Factory's preprocessing of such rows, one process, imports not counted | {trainer:.0f} rows/s | |",
        f"| ratio | {rate / trainer:.0f} × | |",
    ]
    text = "\n".join(lines) + "\n"
    (ROOT / "bench" / "results.md").write_text(text, encoding="utf-8")
    print(text)
    late = [name for name, value, limit in (("--help", start, 0.3), ("check", demo, 1.0)) if value > limit]
    if late:
        print(f"bench: over the limit: {', '.join(late)}", file=sys.stderr)
    return 1 if late else 0


if __name__ == "__main__":
    raise SystemExit(main())
