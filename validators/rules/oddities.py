"""Text out of the ordinary: the patterns that rules look for, and the turns that hold any of them.

All patterns are tried in one pass over the text; each rule then looks at the few turns that are left.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from validators.model import MediaKind

TAG = "|".join(kind.tag for kind in MediaKind)

# What cp1252 makes of a continuation byte (0x80-0xBF): C1 and Latin-1, or the 27 characters that it has instead.
CONTINUED = r"[\x{80}-\x{BF}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
MOJIBAKE = "|".join(
    [
        # Ã and Â end words of Portuguese and French in capitals: not before quotes, dashes and spaces
        r"[ÃÂ][\x{80}-\x{9F}¡-ª¬-º¼-¿€‚ƒ„†‡ˆ‰Š‹ŒŽ•˜™šœžŸ]",
        "â€|â\x80|ðŸ|ð\x9f|ï»¿|ï¿½",
        rf"â[†ˆ‰š›œž]{CONTINUED}",
        rf"(?:[ÐÑ]{CONTINUED}){{3}}",
        rf"(?:[äåæçèé]{CONTINUED}{{2}}){{2}}",
        "锟斤拷|烫烫烫",
    ]
)
"""UTF-8 that was read as cp1252, Latin-1 or GBK."""
REPLACEMENT = "\ufffd"
CONTROL = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F\x{80}-\x{9F}]"
INVISIBLE = r"[\x{AD}\x{200B}\x{2060}\x{FEFF}\x{202A}-\x{202E}\x{2066}-\x{2069}]"
PRIVATE = r"[\x{E000}-\x{F8FF}\x{FDD0}-\x{FDEF}\x{FFFE}\x{FFFF}]"
MARKUP = "|".join(
    [
        r"<\|(?:im_start|im_end|im_sep|user|assistant|system|observation|end|eot_id|eom_id|start_header_id"
        r"|end_header_id|begin_of_text|end_of_text|endoftext)\|>",
        r"<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>|<｜(?:User|Assistant|begin▁of▁sentence|end▁of▁sentence)｜>",
        r"^<s>[^<]*$|</s>\s*$|(?:^|\n)#{2,3} ?(?:Human|Assistant): ",
    ]
)
"""Marks by which chat templates tell turns apart."""
SPEAKER = "USER|User|Human|HUMAN|用户|人类|ASSISTANT|Assistant|GPT|ChatGPT|助手"
ROLE_WORD = rf"^\s*(?:(?:{SPEAKER})\s?[:：]|(?:user|assistant|system)\n)"
ENTITY = r"&(?:amp|lt|gt|quot|apos|nbsp|#0?39|#34|#x27|#x2[fF]);"
TWICE = r'(?:\\r)?\\n(?:(?:\\r)?\\n|[A-Z0-9*#•\p{Han} -])|\\u[0-9a-fA-F]{4}|^\s*(?:"[^"]*\\"|[\[{]\s*\\")'
"""Escapes of JSON or Python that no reader has undone."""
THOUGHT = "</?think>"
FENCE = r"(?:^|\n)[ \t]*```"
SLOT = "answer|question|caption|image|text|input|output|response|prompt|instruction|query|context|description|topic"
VARIABLE = (
    rf"(?:^|[^{{\\])\{{\{{ ?[A-Za-z_]{{3,}} ?\}}\}}|(?:^|[^\w\\$^{{}}])\$?\{{(?:{SLOT})\}}"
    r"|<(?:your|insert|the) [a-z ]{2,30}>"
)
BLOB = r"[A-Za-z0-9+/=_-]{120}"
"""The shortest run of base64 that a threshold can name."""
NEAR_TAG = (
    r"<(?:Image|IMAGE|img|images|im|Img|IMG|Video|VIDEO|videos|Audio|AUDIO|audios|sound)>"
    r"|< ?/?(?:image|video|audio) />|< (?:image|video|audio)>|<(?:image|video|audio) >"
    r"|<\|(?:image|video|audio)(?:_\d+)?\|>|<(?:image|video|audio)[_-]?\d+>|<(?:Image|Video|Audio)Here>"
    r"|<(?:image|video|audio)_placeholder>|\[(?:IMAGE|VIDEO|AUDIO|image|video|audio)\]"
    r"|<__(?:media|image|video|audio)__>|<image_token>"
)
"""What people write for a placeholder that LLaMA-Factory knows in one spelling only."""
MEDIA_FILE = r"(?i:\.(?:jpe?g|png|webp|gif|bmp|tiff?|mp4|avi|mov|mkv|webm|wav|mp3|flac|ogg|m4a))\b"
PLUGIN_MARK = r"\(<(?:image|audio)>\./</(?:image|audio)>\)"
ODD = "|".join(
    f"(?:{pattern})"
    for pattern in (
        MOJIBAKE,
        REPLACEMENT,
        CONTROL,
        INVISIBLE,
        PRIVATE,
        MARKUP,
        ROLE_WORD,
        ENTITY,
        TWICE,
        THOUGHT,
        FENCE,
        VARIABLE,
        BLOB,
        NEAR_TAG,
        PLUGIN_MARK,
        # without its end of a word, which made the whole search fifty times as slow in texts that are not ASCII
        MEDIA_FILE.removesuffix(r"\b"),
    )
)


def odd_turns(turns: pl.DataFrame) -> pl.DataFrame:
    """The turns whose text holds any of the patterns: rules that look for one need to look no further."""
    return turns.filter(pl.col("content").str.contains(ODD))


def holding(turns: pl.DataFrame, pattern: str) -> pl.DataFrame:
    """The turns that hold a pattern, with the first place where they do as `hit`."""
    return turns.with_columns(pl.col("content").str.extract(f"({pattern})", 1).alias("hit")).filter(
        pl.col("hit").is_not_null()
    )


def hits(turns: pl.DataFrame, pattern: str) -> Iterator[tuple[int, int, str, str]]:
    """Row, turn, role and first hit of the turns that hold a pattern."""
    return holding(turns, pattern).select("row", "turn", "role", "hit").iter_rows()


def quoted(text: str, most: int = 40) -> str:
    """A text of the data in one line, cut where it is long."""
    return repr(text if len(text) <= most else text[: most - 1] + "…")
