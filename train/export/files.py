"""The files beside the weights: what the trainer did not save is copied from the base, or named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from train.export.merge import Merge
from train.export.own_code import CONFIG, code_of, missing_modules, other_code, restore_code
from train.verify import Proof, unknown
from validators.budgets.text import read_config

PROCESSOR = ("preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json")
"""All of them: transformers 5 writes the last alone, and older readers (vLLM, transformers 4) look for the first."""
TEMPLATES = ("chat_template.jinja", "chat_template.json")
GENERATION = "generation_config.json"
TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model",
)  # fmt: skip
WHOLE_TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "vocab.json",
)
"""One of these holds a whole vocabulary."""
CHANGE_VOCABULARY = ("resize_vocab", "add_tokens", "add_special_tokens", "new_special_tokens_config")


def restore(merge: Merge) -> list[Proof]:
    """Copy what the merged folder lacks and the base has, and put back which code loads it (own_code.py).

    Nothing else that is there is written over. Where the yaml adds to the vocabulary, the base's tokenizer is no longer
    the model's, and is named instead.
    """
    base, out = merge.base_folder, merge.out
    if base is None:
        lost = needed(out, out)
        why = f"{merge.base} is on a hub, and not in the cache here" + (f"; missing {', '.join(lost)}" if lost else "")
        return [unknown("files of the base", out, why)]
    changed = any(merge.arguments.on(key) for key in CHANGE_VOCABULARY)
    copied, kept_out = [], []
    for name in wanted(base, out):
        if changed and name in TOKENIZER:
            kept_out.append(f"{name} (the yaml adds tokens to it)")
        elif not stays_inside(base / name, base):
            kept_out.append(f"{name} (a link out of {base})")
        elif place(base / name, out / name):
            copied.append(name)
    for name in other_code(base, out):
        if not stays_inside(base / name, base):
            kept_out.append(f"{name} (a link out of {base})")
            continue
        (out / name).unlink()
        if place(base / name, out / name):
            copied.append(name)
    copied += restore_code(base, out)
    missing = [*kept_out, *needed(base, out)]
    proofs = [Proof("files of the base", out, not missing, f"missing {', '.join(missing)}" if missing else "all there")]
    if copied:
        hub = merge.arguments["export_hub_model_id"]
        also = f"; {hub} was uploaded without them: `hf upload {hub} {out}`" if hub else ""
        proofs.append(Proof("restored from the base", out, True, ", ".join(copied) + also))
    elsewhere = sorted({repository for repository, _ in code_of(out) if repository})
    if elsewhere:
        proofs.append(unknown("the model's own code", out, f"not in the folder: fetched from {', '.join(elsewhere)}"))
    return proofs


def wanted(base: Path, out: Path) -> list[str]:
    """Names of files that the base has, the merged folder lacks, and some reader needs."""
    names = [*PROCESSOR, GENERATION]
    if not has_template(out):
        names += TEMPLATES
    if not any((out / name).is_file() for name in WHOLE_TOKENIZERS):
        names += TOKENIZER
    elif not (out / "tokenizer_config.json").is_file():
        names.append("tokenizer_config.json")
    if any(True for _ in code_of(base)):
        names += sorted(path.name for path in base.glob("*.py"))
    return [name for name in names if (base / name).is_file() and not os.path.lexists(out / name)]


def needed(base: Path, out: Path) -> list[str]:
    """What the merged folder cannot do without, and still lacks."""
    lacking = [] if (out / CONFIG).is_file() else [CONFIG]
    if not any((out / name).is_file() for name in WHOLE_TOKENIZERS):
        lacking.append("a tokenizer")
    if has_template(base) and not has_template(out):
        lacking.append("a chat template")
    if any((base / name).is_file() for name in PROCESSOR) and not any((out / name).is_file() for name in PROCESSOR):
        lacking.append("a processor")
    return lacking + missing_modules(out)


def has_template(folder: Path) -> bool:
    """Whether there is a chat template, in a file of its own or in the tokenizer's."""
    named = any((folder / name).is_file() for name in TEMPLATES)
    return named or bool(read_config(folder / "tokenizer_config.json").get("chat_template"))


def stays_inside(path: Path, base: Path) -> bool:
    """Whether a file lies in the base, or, for a snapshot in the hub's cache, among its model's files there."""
    real = path.resolve()
    roots = [base.resolve()]
    if base.parent.name == "snapshots":
        roots.append((base.parent.parent / "blobs").resolve())
    return any(real.is_relative_to(root) for root in roots)


def place(source: Path, target: Path) -> bool:
    """Copy a file whole, unless something of that name is there by now."""
    beside = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(source, beside)
        os.link(beside, target)  # unlike a rename, this never takes another's place
    except FileExistsError:
        return False
    finally:
        beside.unlink(missing_ok=True)
    return True
