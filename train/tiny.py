"""A tiny random Qwen2-VL and a tokenizer trained on the demo text: the whole path runs on a CPU in seconds a step.

`python -m train.tiny OUT --text FILE …` makes it; made once from the same text, it is left as it is.
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

from validators.sources.rows import iter_rows

SEED = 7
VOCABULARY = 600
STAMP = "tiny.json"
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tiny(out: Path, texts: Sequence[Path], force: bool = False) -> bool:
    """Save model and processor to `out`; False when the same one already stands there."""
    stamp = hashlib.sha256(
        b"".join(path.read_bytes() for path in sorted(texts)) + Path(__file__).read_bytes()
    ).hexdigest()
    known = out / STAMP
    if not force and known.is_file() and json.loads(known.read_text())["made_from"] == stamp:
        return False
    staging = out.with_name(f".{out.name}.staging")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    save_model(staging, save_processor(staging, texts))
    (staging / STAMP).write_text(json.dumps({"made_from": stamp}) + "\n")
    shutil.rmtree(out, ignore_errors=True)
    staging.rename(out)
    return True


def contents(texts: Sequence[Path]) -> Iterator[str]:
    """All message texts of sharegpt files."""
    for path in sorted(texts):
        for raw in iter_rows(path):
            if isinstance(raw.value, dict):
                yield from (message["content"] for message in raw.value["messages"])


def save_processor(out: Path, texts: Sequence[Path]) -> Any:  # noqa: ANN401 (a transformers tokenizer)
    """Train a byte-level BPE as Qwen's and save it in a Qwen2VLProcessor; returns the tokenizer."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import (
        PreTrainedTokenizerFast,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    raw = Tokenizer(models.BPE())
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
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        contents(texts), trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    )
    raw.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL_TOKENS])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL_TOKENS),
        chat_template=CHAT_TEMPLATE,
        model_max_length=32768,
    )
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=CHAT_TEMPLATE,
    )
    processor.save_pretrained(out)
    return tokenizer


def save_model(out: Path, tokenizer: Any) -> None:  # noqa: ANN401 (a transformers tokenizer)
    """A Qwen2-VL of about 0.3 million random parameters."""
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    torch.manual_seed(SEED)
    token_id = tokenizer.convert_tokens_to_ids
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 32768,
            # head size 16: the sections of time, height and width fill its half, 8
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
            "bos_token_id": None,
            "eos_token_id": token_id("<|im_end|>"),
            "pad_token_id": token_id("<|endoftext|>"),
        },
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 2},
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
        tie_word_embeddings=False,
    )
    model = Qwen2VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = token_id("<|im_end|>")
    model.generation_config.pad_token_id = token_id("<|endoftext|>")
    model.save_pretrained(out)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m train.tiny", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="built sharegpt files")
    parser.add_argument("--force", action="store_true", help="make it anew")
    args = parser.parse_args()
    made = make_tiny(args.out, args.text, args.force)
    sys.stdout.write(f"{args.out}: {'made' if made else 'already there, from the same text'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
