"""The vocabulary of Qwen2, Qwen2.5 and Qwen3, embedded: text is counted exactly without the model at hand.

qwen2.merges.xz is made by scripts/make_tokenizer.py, which says what is in it. Normal form and split are those of
transformers 5.6.0, models/qwen2/tokenization_qwen2.py.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from validators.budgets.releases import CODE, THINK, Release, find_release
from validators.budgets.text import TextCounter

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ASSET = Path(__file__).with_name("qwen2.merges.xz")
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PLAIN = frozenset(CODE + THINK)
"""Added tokens that are not special: cut out of the text like the others, but kept when it is decoded."""


def embedded(model: str | None, template: str) -> TextCounter | None:
    """The tokenizer of the published release that the model's name and the template tell; None where they do not.

    `assumed` of the result says which one that is.
    """
    release = find_release(model, template)
    if release is None:
        return None
    return TextCounter(ASSET, tokenizer_of(release), False, f"Qwen2 vocabulary with the added tokens of {release.name}")


@lru_cache(maxsize=2)  # of some 50 MB each
def tokenizer_of(release: Release) -> Tokenizer:
    """The release's tokenizer, built in a third of a second."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

    words, merges = vocabulary(read_merges())
    ids = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(ids, merges, fuse_unk=False, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    added = [AddedToken(text, special=text not in PLAIN, normalized=False) for text in release.added]
    words_too = [AddedToken(text, special=True, normalized=False) for text in release.special_words]
    tokenizer.add_tokens(added + words_too)
    return tokenizer


def read_merges() -> list[tuple[int, int]]:
    """The ids of the two parts of each merge, in the order of rank."""
    import lzma

    planes = lzma.decompress(ASSET.read_bytes())
    count = len(planes) // 6
    columns = (planes[start : start + count] for start in range(0, len(planes), count))
    return [(a << 16 | b << 8 | c, d << 16 | e << 8 | f) for a, b, c, d, e, f in zip(*columns, strict=True)]


def vocabulary(merges: list[tuple[int, int]]) -> tuple[list[str], list[tuple[str, str]]]:
    """Tokens by id, and merges, in the letters that stand for bytes: merge n makes token 256 + n."""
    words = letters()
    pairs = []
    for left, right in merges:
        pair = (words[left], words[right])
        pairs.append(pair)
        words.append("".join(pair))
    return words, pairs


def letters() -> list[str]:
    """GPT-2's letters for the 256 bytes, in its order: printable bytes as themselves, then the others from U+0100."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(256 - len(printable))]
