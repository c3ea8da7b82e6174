"""MiniCPM's published code as a family of the agreement suite: code and vocabulary real, the network small and random.

The folder holds a published model's files without its weights (MMCURATE_REAL_MINICPM); nothing of it is kept here.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.agreement.compare import Arena, Verdict
from tests.agreement.faults import Row, entry_for
from tests.agreement.media_factory import Stock
from tests.agreement.oracle import Family
from tests.agreement.strategies import Case, Plan, RowPlan, draw_plan, recall_plans

SMALL = {
    "hidden_size": 128,  # the resampler has a head for each 128
    "intermediate_size": 128,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_window_layers": 1,
    "torch_dtype": "float32",
}
SMALL_VISION = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1}


def real_family(source: Path, folder: Path) -> Family:
    """A random model of the published code in `source`, made in `folder`; without tokenizer.json it is made of the
    vocabulary and the merges."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.suffix in (".py", ".json", ".txt"):
            shutil.copy(file, folder)
    config = json.loads((folder / "config.json").read_text()) | SMALL
    config["vision_config"] |= SMALL_VISION
    (folder / "config.json").write_text(json.dumps(config))
    if not (folder / "tokenizer.json").is_file():
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
        tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    AutoModelForCausalLM.from_config(
        AutoConfig.from_pretrained(folder, trust_remote_code=True), trust_remote_code=True
    ).save_pretrained(folder)
    return loaded_family(folder)


def loaded_family(folder: Path) -> Family:
    """A MiniCPM-V 4.5 with code of its own, as the trainer loads it; every row is run through the network."""
    import torch
    from transformers import AutoModelForCausalLM, AutoProcessor

    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    processor.tokenizer.padding_side = "right"
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype=torch.float32)
    return Family("v-4.5", "minicpm_v", folder, processor, model.train(), every=1)


def real_plans(seed: int, files: int, rows: int) -> list[Plan]:
    """Rows with one fault each, mixed rows, and limits within three tokens of an edge of a row."""
    rng = random.Random(seed)
    plans = list(recall_plans(rng, "v-4.5", 1))
    plans = [Plan(p.family, p.purpose, p.rows[:rows], p.settings, p.entry_fault, p.aim, p.jsonl) for p in plans[:files]]
    sound = [Plan("v-4.5", "sound", tuple(RowPlan(at, (), rng.randrange(2**31)) for at in range(rows)), SOUND)]
    return [*sound, *plans, *(draw_plan(rng, "v-4.5", kind, rows) for _ in range(files) for kind in ("mixed", "edge"))]


SOUND = (("cutoff_len", 4096), ("video_maxlen", 4))


def told(verdicts: Sequence[Verdict]) -> str:
    """Rows, disagreements and token errors, of each kind of row."""
    groups: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        for kind in ("all", verdict.purpose, *media_of(verdict)):
            count = groups.setdefault(kind, Counter())
            count["rows"] += 1
            count["disagree"] += not verdict.agrees
            count["miscounted"] += verdict.miscounted
    lines = [f"{'kind':<12} {'rows':>6} {'disagree':>9} {'token errors':>13}"]
    for kind, count in groups.items():
        lines.append(f"{kind:<12} {count['rows']:>6} {count['disagree']:>9} {count['miscounted']:>13}")
    return "\n".join(lines)


def media_of(verdict: Verdict) -> tuple[str, ...]:
    """What a row holds, in words."""
    images = verdict.row.get("images") or []
    several = isinstance(images, list) and len(images) > 1
    if images:
        return ("multi-image",) if several else ("image",)
    return ("video",) if verdict.row.get("videos") else ("text",)


MARKS = ("<unk>", "</image>", "<slice>", "</slice>", "<image_id>", "</image_id>", "<|audio_start|>", "<|im_end|>")
TYPED = (
    *MARKS,
    *("<slice></slice>", "<slice>a</slice>", "<slice>a b c 1 2 3</slice>", "</slice><slice>", "<slice></image>"),
    *(
        "<image_id>0</image_id>",
        "<slice></slice><slice></slice>",
        "<slice><slice></slice></slice>",
        "<slice></slice>" * 3,
    ),
)


def literal_rows(stock: Stock) -> list[Row]:
    """Marks typed in a system prompt, a question or an answer, with an image in the row and without."""
    image = stock.groups["image"][0]
    rows = []
    for text in TYPED:
        for place in ("system", "user", "assistant"):
            for images in ([], [image]):
                turns = {"system": "Be brief.", "user": "<image>" * len(images) + "What?", "assistant": "A cat."}
                turns[place] += f" {text} here"
                messages = [{"role": role, "content": content} for role, content in turns.items()]
                rows.append({"messages": messages, "images": images})
    return rows


def disagreements(arena: Arena, rows: list[Row]) -> tuple[list[str], int]:
    """What disagrees of rows written by hand, in words, and how many rows were run."""
    plan = Plan("v-4.5", "literal", (), SOUND)
    entry = entry_for(rows) | {"file_name": "data.json"}
    folder = arena.work / "literals"
    folder.mkdir()
    verdicts = arena.compare(Case(plan, tuple(rows), ((),) * len(rows), entry), folder)
    return [verdict.describe() for verdict in verdicts if not verdict.agrees], len(verdicts)
