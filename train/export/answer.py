"""One answer of a merged model, in a process of its own: `python -m train.export.answer FOLDER`.

Prints one JSON line: {"processor": "" or its error, "model": …, "answer": …, "saw": "image" or "text", "tokens": n}.
Nothing is fetched. Code of the model's own is run with --trust alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from train.export.merge import Merge
from train.export.own_code import CONFIG, MAP, code_of
from train.own_chat import chat, counted, takes_messages
from train.tensors import weights_of
from train.verify import Proof, unknown
from validators.budgets.text import read_config

TOKENS = 4
QUESTION = "What is this?"
PIXELS = 112
"""Side of the picture that is shown: a few patches of any encoder."""
COLOUR = (200, 30, 30)
OWN_MODELS = ("AutoModelForImageTextToText", "AutoModelForCausalLM", "AutoModel")
"""What a model's own code may be loaded by, in the order of LLaMA-Factory 0.9.5 (model/loader.py: load_model); the last
is for those that it does not load."""
MODEL = "the merged model loads"
ANSWER = "the merged model answers"
PROCESSOR = "processor loads"


def verify_answer(merge: Merge) -> list[Proof]:
    """The merged folder's processor and model load and give finite numbers, without any network.

    Code of the model's own is run in that process where the yaml trusts it, as the merge itself has run it.
    """
    own, trusted = needs_own_code(merge.out), merge.arguments.on("trust_remote_code")
    if own and not trusted:
        why = f"{own}: it needs code of its own, which `trust_remote_code: true` in the yaml lets run"
        return [unknown(what, merge.out, why) for what in (PROCESSOR, MODEL, ANSWER)]
    load = not merge.quantizes and fits(merge.out)
    options = [*([] if load else ["--processor"]), *(["--trust"] if own else [])]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "train.export.answer", str(merge.out), *options],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        lines = done.stderr.strip().splitlines()
        why = f"ended with {done.returncode}" + (f": {lines[-1][:200]}" if lines else "")
        return [Proof(ANSWER, merge.out, False, why)]
    by = "by its own code" if own else ""
    proofs = [Proof(PROCESSOR, merge.out, not found["processor"], found["processor"] or by)]
    if not load:
        why = "quantized" if merge.quantizes else "more weights than free memory"
        return [*proofs, unknown(MODEL, merge.out, why), unknown(ANSWER, merge.out, why)]
    proofs.append(Proof(MODEL, merge.out, not found["model"], found["model"] or by))
    if not found["processor"] and not found["model"]:
        detail = found["answer"] or f"{found['tokens']} tokens to {found['saw']}, finite"
        proofs.append(Proof(ANSWER, merge.out, not found["answer"], detail))
    return proofs


def needs_own_code(folder: Path) -> str:
    """The model's type where transformers cannot load it without the model's own code, else ""."""
    if not any(True for _ in code_of(folder)):
        return ""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    kind = str(read_config(folder / CONFIG).get("model_type", ""))
    return "" if kind in CONFIG_MAPPING_NAMES else kind or "a model without a type"


def fits(folder: Path) -> bool:
    """Whether the free memory takes the weights and a fifth more."""
    needed = sum(file.stat().st_size for file in {info.file for info in weights_of(folder).infos.values()})
    return needed * 1.2 < os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + cached()


def cached() -> int:
    """Bytes that the system would give up for a process: Linux counts files in its cache as used."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Cached:"))


def answer(folder: str, whole: bool, trusted: bool = False) -> dict[str, object]:
    """Load and ask; each step's error in words. whole: the model too; trusted: by code of the folder's own."""
    import transformers

    found: dict[str, object] = {"processor": "", "model": "", "answer": "", "saw": "", "tokens": 0}
    try:
        processor = transformers.AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=trusted)
    except Exception as error:
        return found | {"processor": said(error)}
    if not whole:
        return found
    try:
        model = load(folder, trusted)
    except Exception as error:
        return found | {"model": said(error)}
    try:
        saw, tokens = ask_own(processor, model) if trusted else ask(processor, model)
    except Exception as error:
        return found | {"answer": said(error)}
    return found | {"saw": saw, "tokens": tokens}


def load(folder: str, trusted: bool) -> Any:  # noqa: ANN401 (a transformers model)
    """The model by the class that its own config.json names; ValueError where weights are missing or left over.

    The file itself is read first: transformers 4.57.1 has a class for the thinker of Qwen2.5-Omni, which is what a
    merge of that model leaves, and AutoConfig does not know its type. For Qwen2-VL the class is in text_config.
    """
    import transformers

    config = read_config(Path(folder) / CONFIG)
    own, classes = config.get(MAP), config.get("architectures")
    if not classes:
        loaded = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trusted)
        classes = loaded.architectures
    name = next((known for known in OWN_MODELS if isinstance(own, dict) and known in own), "") if trusted else ""
    name = name or str(classes[0] if isinstance(classes, list) and classes else "")
    kind = getattr(transformers, name, None) or transformers.AutoModelForCausalLM
    options = {"trust_remote_code": True} if trusted else {}
    model, info = kind.from_pretrained(folder, local_files_only=True, dtype="auto", output_loading_info=True, **options)
    for what, names in (("missing", info["missing_keys"]), ("left over", info["unexpected_keys"])):
        if names:
            raise ValueError(f"weights {what}: {', '.join(sorted(names)[:3])}")
    return model.eval()


def ask_own(processor: Any, model: Any) -> tuple[str, int]:  # noqa: ANN401 (objects of the model's own code)
    """What was shown to a model of its own code, and how many tokens came.

    `generate` is asked as for any model; where it fails, or takes no image, the model's own `chat` is.
    """
    tokenizer = getattr(processor, "tokenizer", processor)
    chats = takes_messages(model)
    if not chats or image_place(processor, tokenizer, model.config):
        try:
            return ask(processor, model)
        except Exception:
            if not chats:
                raise
    shows = getattr(processor, "image_processor", None) is not None
    content = [Image.new("RGB", (PIXELS, PIXELS), COLOUR), QUESTION] if shows else [QUESTION]
    with counted(model) as count:
        chat(model, tokenizer, processor, [{"role": "user", "content": content}], TOKENS)
    return f"{'a picture' if shows else 'a text'} by its own chat", count.passes


def ask(processor: Any, model: Any) -> tuple[str, int]:  # noqa: ANN401 (transformers objects)
    """What was shown, and how many tokens came; ValueError where a number is not finite."""
    import torch

    if not hasattr(model, "generate"):
        raise ValueError(f"{type(model).__name__} does not generate")
    tokenizer = getattr(processor, "tokenizer", processor)
    place = image_place(processor, tokenizer, model.config)
    if place:
        picture = Image.new("RGB", (PIXELS, PIXELS), COLOUR)
        inputs = processor(text=[place + QUESTION], images=[picture], return_tensors="pt")
    else:
        inputs = tokenizer([QUESTION], return_tensors="pt")
    inputs = {
        name: value.to(model.dtype) if value.is_floating_point() else value
        for name, value in inputs.items()
        if isinstance(value, torch.Tensor)
    }
    with torch.inference_mode():
        made = model.generate(
            **inputs, max_new_tokens=TOKENS, do_sample=False, return_dict_in_generate=True, output_logits=True
        )
    if not all(bool(logits.isfinite().all()) for logits in made.logits):
        raise ValueError("numbers that are not finite")
    return ("a picture" if place else "a text"), len(made.logits)


def image_place(processor: Any, tokenizer: Any, config: Any) -> str:  # noqa: ANN401 (transformers objects)
    """The text that stands for a picture; "" where the model takes none."""
    token = getattr(processor, "image_token", None)
    if getattr(processor, "image_processor", None) is None or not isinstance(token, str):
        return ""
    # Qwen-VL counts pictures by the token before them
    around = [getattr(config, f"vision_{end}_token_id", None) for end in ("start", "end")]
    before, after = (tokenizer.decode([each]) if isinstance(each, int) else "" for each in around)
    return before + token + after


def said(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:300]


if __name__ == "__main__":
    sys.stdout.write(
        "\n" + json.dumps(answer(sys.argv[1], "--processor" not in sys.argv, "--trust" in sys.argv)) + "\n"
    )
