"""A tiny random model and a tokenizer trained on the demo text: the whole path runs on a CPU in seconds a step.

`python -m train.tiny OUT --text FILE … [--family NAME]` makes it; made once from the same text, it is left as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from train import tiny_families
from train.tiny_families import DEFAULT, FAMILIES, Family
from validators.sources.rows import iter_rows

SEED = 7
VOCABULARY = 600
STAMP = "tiny.json"
CODE = Path(__file__).with_name("demo") / "minicpm"
"""What is copied beside the weights of a model with code of its own."""
CHAT_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tiny(out: Path, texts: Sequence[Path], force: bool = False, family: str = DEFAULT) -> bool:
    """Save model and processor to `out`; False when the same one already stands there."""
    stamp = hashlib.sha256(family.encode())
    for path in (*sorted(texts), Path(__file__), Path(tiny_families.__file__), *sorted(CODE.glob("*.py"))):
        stamp.update(path.read_bytes())
    known = out / STAMP
    if not force and known.is_file() and json.loads(known.read_text())["made_from"] == stamp.hexdigest():
        return False
    staging = out.with_name(f".{out.name}.staging")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    save(staging, FAMILIES[family], train_tokenizer(texts, FAMILIES[family]))
    (staging / STAMP).write_text(json.dumps({"made_from": stamp.hexdigest()}) + "\n")
    shutil.rmtree(out, ignore_errors=True)
    staging.rename(out)
    return True


def contents(texts: Sequence[Path]) -> Iterator[str]:
    """All message texts of sharegpt files."""
    for path in sorted(texts):
        for raw in iter_rows(path):
            if isinstance(raw.value, dict):
                yield from (message["content"] for message in raw.value["messages"])


def split_as_qwen2(raw: Any) -> None:  # noqa: ANN401 (a tokenizers.Tokenizer)
    """Give a byte-level BPE Qwen2's normaliser, split and decoder (transformers, convert_slow_tokenizer.py:
    Qwen2Converter)."""
    from tokenizers import Regex, decoders, normalizers, pre_tokenizers

    raw.normalizer = normalizers.NFC()
    # Qwen2's split: words, single digits, punctuation, line breaks
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    raw.decoder = decoders.ByteLevel()


def train_tokenizer(texts: Sequence[Path], family: Family) -> Any:  # noqa: ANN401 (a transformers tokenizer)
    """A byte-level BPE as Qwen's, with the family's special tokens after ChatML's own.

    Of the class that Qwen's models publish: transformers 4's Qwen2VLProcessor takes no other.
    """
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
    from transformers import Qwen2TokenizerFast

    tokens = [*CHAT_TOKENS, *family.tokens]
    raw = Tokenizer(models.BPE())
    split_as_qwen2(raw)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        contents(texts), trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    )
    raw.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in tokens])
    from train.demo.minicpm.tokenization_minicpm import MiniCPMTokenizerFast

    kind = MiniCPMTokenizerFast if family.own_code else Qwen2TokenizerFast
    named = {"extra_special_tokens": dict(family.named)} if family.named else {}
    return kind(
        tokenizer_object=raw,
        unk_token="<unk>" if "<unk>" in tokens else None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=32768,
        **named,
    )


def save(out: Path, family: Family, tokenizer: Any) -> None:  # noqa: ANN401 (a transformers tokenizer)
    """Write a family's processor and its random model, of about 0.3 million parameters."""
    import torch
    from transformers import GenerationConfig

    processor = family.processor(tokenizer)
    tokenizer.chat_template = processor.chat_template = CHAT_TEMPLATE
    processor.save_pretrained(out)
    join_preprocessors(processor, out / "preprocessor_config.json")
    torch.manual_seed(SEED)
    model = family.model(tokenizer)
    # transformers gives a model with code of its own one only where it loads it
    model.generation_config = model.generation_config or GenerationConfig()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(out)
    model.generation_config.save_pretrained(out)
    if family.speakers:
        torch.save({}, out / "spk_dict.pt")
    if family.own_code:
        add_code(out, family.own_code)
    else:
        forget_text_type(out)


def forget_text_type(out: Path) -> None:
    """Take the type out of config.json's text_config: transformers 4.57.1 takes it for the whole model's, so that
    llamafactory freezes nothing (quirk nested-type-hides-its-model)."""
    config = json.loads((out / "config.json").read_text())
    if config["model_type"] == "qwen2_vl":
        config["text_config"].pop("model_type", None)
        (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def join_preprocessors(processor: Any, file: Path) -> None:  # noqa: ANN401 (a transformers processor)
    """Write the keys of images and of sounds into one file, as models that take both publish it.

    Each part saves itself to that file under transformers 4, over the one before it (processing_utils.py).
    """
    names = ("image_processor", "feature_extractor")
    parts = [getattr(processor, name) for name in names if hasattr(processor, name)]
    if len(parts) < len(names) or not file.is_file():
        return
    joined = {key: value for part in parts for key, value in json.loads(part.to_json_string()).items()}
    file.write_text(json.dumps(joined, indent=2) + "\n")


def add_code(out: Path, name: str) -> None:
    """Put the code of a model's own beside its weights, and the words by which transformers finds the classes there.

    As MiniCPM-V 4.5 publishes them: AutoTokenizer has the fast class in the place of the slow one.
    """
    for file in CODE.glob("*_minicpm.py"):
        shutil.copy(file, out)
    model = f"modeling_minicpm.{name}"
    auto = {
        "config.json": {
            "AutoConfig": f"configuration_minicpm.{name}Config",
            "AutoModel": model,
            "AutoModelForCausalLM": model,
        },
        "preprocessor_config.json": {
            "AutoProcessor": f"processing_minicpm.{name}Processor",
            "AutoImageProcessor": "image_processing_minicpm.MiniCPMImageProcessor",
        },
        "tokenizer_config.json": {"AutoTokenizer": ["tokenization_minicpm.MiniCPMTokenizerFast", None]},
    }
    for name_of_file, classes in auto.items():
        config = json.loads((out / name_of_file).read_text()) | {"auto_map": classes}
        if name_of_file == "preprocessor_config.json":
            config |= {"image_processor_type": "MiniCPMImageProcessor", "processor_class": f"{name}Processor"}
        (out / name_of_file).write_text(json.dumps(config, indent=2) + "\n")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m train.tiny", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="built sharegpt files")
    parser.add_argument("--family", choices=FAMILIES, default=DEFAULT, help="architecture (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="make it anew")
    args = parser.parse_args()
    made = make_tiny(args.out, args.text, args.force, args.family)
    sys.stdout.write(f"{args.out}: {'made' if made else 'already there, from the same text'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
