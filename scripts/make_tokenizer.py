"""Write validators/budgets/qwen2.merges.xz, the vocabulary of Qwen2 to Qwen3, from Alibaba Cloud's own package.

The source is dashscope (Apache-2.0), resources/qwen.tiktoken: token bytes and ranks. A wheel of the version that
requirements/tokenizer.txt pins by hash is fetched with uv, or named on the command line; nothing of it is run.

tokenizers wants merges, which the ranks imply: a token's merge is what encoding its bytes with the ranks below its own
leaves, two parts. The result is that of the models' published merges.txt. Since token 256 + n is the union of the
parts of merge n, pairs of ids are all that has to be kept: six planes of bytes (left part's high, middle and low byte,
then the right part's), compressed.

Run by `make tokenizer`. `--check` writes nothing and exits 1 when what stands there says something else.
"""

from __future__ import annotations

import base64
import lzma
import subprocess
import sys
import tempfile
import zipfile
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASSET = ROOT / "validators" / "budgets" / "qwen2.merges.xz"
PIN = ROOT / "requirements" / "tokenizer.txt"
UV = ROOT / ".venv" / "uv" / "bin" / "uv"
MEMBER = "dashscope/resources/qwen.tiktoken"
BYTES = 256


def fetch() -> bytes:
    """The ranks file of the pinned package; uv refuses a wheel with another hash."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [UV, "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", folder, "-r", PIN],
            check=True,
        )
        return (Path(folder) / MEMBER).read_bytes()


def read_ranks(text: bytes) -> dict[bytes, int]:
    """Token bytes to rank; lines are `base64 rank`."""
    fields = (line.split() for line in text.splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in fields}


def parts_of(token: bytes, ranks: dict[bytes, int]) -> tuple[int, int]:
    """The two tokens that merge into this one: its bytes encoded with lower ranks only."""
    parts = [token[place : place + 1] for place in range(len(token))]
    while len(parts) > 2:
        rank, place = min((ranks.get(a + b, len(ranks)), place) for place, (a, b) in enumerate(pairwise(parts)))
        if rank >= ranks[token]:
            raise SystemExit(f"{token!r} is not the union of two tokens below it")
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    left, right = parts
    return ranks[left], ranks[right]


def pack(ranks: dict[bytes, int]) -> bytes:
    """The merges in order, as planes."""
    tokens = sorted(ranks, key=ranks.__getitem__)
    if [ranks[token] for token in tokens] != list(range(len(tokens))):
        raise SystemExit("ranks have gaps")
    if b"".join(tokens[:BYTES]) != alphabet():
        raise SystemExit("the first ranks are not the bytes in the order of byte-level BPE")
    merges = [parts_of(token, ranks) for token in tokens[BYTES:]]
    return b"".join(bytes(merge[side] >> shift & 255 for merge in merges) for side in (0, 1) for shift in (16, 8, 0))


def alphabet() -> bytes:
    """The 256 bytes, printable ones first, as GPT-2 numbered them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return bytes(printable + [byte for byte in range(BYTES) if byte not in printable])


def main() -> int:
    """Write, or compare what is packed: another liblzma may press the same bytes otherwise."""
    wheels = [word for word in sys.argv[1:] if word.endswith(".whl")]
    planes = pack(read_ranks(zipfile.ZipFile(wheels[0]).read(MEMBER) if wheels else fetch()))
    if "--check" in sys.argv:
        stale = not ASSET.is_file() or lzma.decompress(ASSET.read_bytes()) != planes
        if stale:
            print(f"{ASSET.relative_to(ROOT)} is stale: run `make tokenizer`", file=sys.stderr)
        return int(stale)
    ASSET.write_bytes(lzma.compress(planes, preset=9 | lzma.PRESET_EXTREME))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
