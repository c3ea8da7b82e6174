"""Random strings that are hard to tokenize, from a seed."""

from __future__ import annotations

import random

SPECIALS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<think>",
    "</tool_call>",
    "<|image_pad|>",
    "<|im_start",
    "|>",
)
PIECES = (
    *("the", " The", "ing", "'s", "'LL", "don't", "tokenization", "naïve"),
    *("Straße", "ﬁ", "été", "e\u0301te\u0301", "\u1e9b\u0323"),
    *("图片里有什么", "你好，", "。", "東京", "カﾞ", "가나", "\u1112\u1161\u11ab", "नमस्ते"),
    *("สวัสดี", "שלום", "مرحبا", "Привет", "ελληνικά"),
    *("😀", "👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "☃️", "∑∫", "→", "“”", "…", "½", "Ⅷ", "٣", "１２"),
    *("1234567890", "3.14", "1,000", "0x1F", "2024-01-01", "007"),
    *(" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n", "\n "),
    *("\u00a0", "\u3000", "\u2028", "\x0b", "\x00", "\x7f", "\ufeff"),
    *("{", "}", "();", "==", "->", "def f(x):\n    return x", "https://example.org/a?b=c"),
    *("\\frac{a}{b}", "#" * 9, "-" * 40),
    *("<image>", "<unk>", "</s>", "<|", "|>"),
)  # fmt: skip
RANGES = ((32, 126), (160, 591), (768, 879), (913, 1103), (1425, 1514), (0x900, 0x97F), (0x3041, 0x30FF))
RANGES += ((0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x1F300, 0x1F64F), (0x20000, 0x2A6D6))


def random_strings(seed: int, count: int, specials: bool) -> list[str]:
    """`count` strings; with special tokens and halves of them among the pieces, or without."""
    rng = random.Random(seed)
    pieces = PIECES + SPECIALS * 3 if specials else PIECES

    def piece() -> str:
        if rng.random() < 0.7:
            return rng.choice(pieces)
        first, last = rng.choice(RANGES)
        return "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, 6)))

    return ["".join(piece() for _ in range(rng.randint(0, 12))) for _ in range(count)]
