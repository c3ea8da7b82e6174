"""TXT: answers that teach what nobody wants to hear, and thoughts that do not end."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from validators.findings import Found, Place
from validators.model import Role
from validators.rules import oddities
from validators.rules.oddities import hits, quoted
from validators.rules.rule import BatchView

SHORT = 400  # bytes of an answer that a refusal or a placeholder can be the whole of
WORDLESS = rf"^(?:{oddities.TAG}|\s|[\p{{P}}--[?!？！]])*$"  # a question mark is an answer in a chat
APOLOGY = r"(?:(?:I['’]?m|I am) (?:really |very |so |truly )?sorry|Sorry|My apologies|I apologi[sz]e)"
UNABLE = r"(?:can['’]?t|cannot|can not|won['’]t|am unable|am not able|['’]m unable|['’]m not able|am not allowed)"
REFUSAL = "|".join(
    [
        rf"(?i)^\W*{APOLOGY}[,.!]?\s+(?:but,? )?(?:as an? [\w -]{{2,40}}, )?I ?{UNABLE}",
        r"(?i)^\W*As an? (?:AI|artificial intelligence|(?:large )?language model)\b",
        rf"(?i)^\W*I ?{UNABLE} (?:to )?(?:assist|help|comply|fulfil|provide|answer|engage|discuss)",
        r"^(?:很|非常)?(?:抱歉|对不起|不好意思)[，,。！!]?\s?(?:但是?|不过)?(?:作为[^，,]{0,20}[，,])?我?(?:无法|不能|没法)",
        r"^作为(?:一个|一名|一款)?(?:AI|人工智能|大?语言模型)",
    ]
)
MEDIUM = r"(?:images?|pictures?|photos?|videos?|audios?|recordings?|attachments?)"
SEEN = r"(?:see|view|access|open|process|analy[sz]e|look at|hear|listen to|watch|play)"
MEDIUM_ZH = "(?:图|照片|视频|音频|录音)"
DENIAL = "|".join(
    [
        rf"(?i)(?:can['’]?t|cannot|can not|unable to|not able to|ability to) (?:directly )?{SEEN} "
        r"(?:the |any |this |that |your |an? |attached |uploaded |actual )*"
        rf"{MEDIUM}(?:$|[.,;!]| (?:or|and|directly|you))",
        rf"(?i)\b(?:no|not see an?|not see any) {MEDIUM} (?:was |were |is |has been |have been )?"
        r"(?:provided|attached|uploaded|shared)",
        rf"(?i)please (?:provide|upload|share|attach) (?:the |an? |your )?{MEDIUM}\b",
        rf"(?:无法|不能|没法)(?:直接)?(?:查看|看到|看见|访问|打开|处理|听到|播放)[^，。]{{0,8}}{MEDIUM_ZH}",
        rf"请(?:您|你)?(?:先|重新)?(?:提供|上传|发送)[^，。]{{0,4}}{MEDIUM_ZH}",
        rf"(?:没有|未|并未)(?:收到|上传)[^，。]{{0,4}}{MEDIUM_ZH}",
    ]
)
BLANK = r"(?:answer|response|caption|description|output|text)"
PLACEHOLDER = (
    r"^\s*(?:N/A|n/a|None|null|NULL|nan|NaN|undefined"
    r"|(?:(?i:todo|tbd|fixme|to be (?:done|filled in)|lorem ipsum\b.*|placeholder)|待补充|待填写|占位符)[\s.。!…]*"
    rf"|[\[<(](?i:(?:your |insert |add |the )?(?:{BLANK}|placeholder)(?: (?:goes )?here)?)[\])>]"
    rf"|(?i:(?:your |insert |add |the )(?:the )?{BLANK}(?: goes)? here)\.?)\s*$"
)
SHORTEST, LONG = 12, 60  # characters of a question that is not said again by chance, whole and as a beginning
TAIL = 32  # characters at the end of an answer that are looked for before it


def wordless_answer(view: BatchView) -> Iterator[Found]:
    """An answer without a word.

    ## What it finds
    An answer of punctuation or media tags alone. One without any text is an empty turn (TRN002).

    ## Why it matters
    The row trains, and the model learns to answer with a dash.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "..."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A cat."}]}]
    ```

    ## Fix
    Write the answer, or take the row out.
    """
    blank = pl.col("content").str.strip_chars() == ""
    for row, turn, content in answers(view).filter(matches(WORDLESS) & ~blank).iter_rows():
        yield Found(Place(row, view.place(row, turn)), quoted(content.strip()), "words")


def refusal(view: BatchView) -> Iterator[Found]:
    """An answer that refuses.

    ## What it finds
    A short answer that begins with "I'm sorry, but I can't", "As an AI language model", 抱歉，我无法 and the like.

    ## Why it matters
    The row trains. Refusals that a generating model has left in the data teach to refuse ordinary questions.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "How many legs has a cat?"},
      {"role": "assistant", "content": "I'm sorry, but I can't help with that."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "How many legs has a cat?"},
      {"role": "assistant", "content": "Four."}]}]
    ```

    ## Fix
    Take the row out; ignore the rule where refusals are meant.
    """
    refused = answers(view, SHORT).filter(matches(REFUSAL))
    if refused.is_empty():
        return
    denied = refused.filter(matches(DENIAL)).join(view.batch.media, on="row", how="semi")  # that is TXT307
    for row, turn, content in refused.join(denied, on=["row", "turn"], how="anti", maintain_order="left").iter_rows():
        yield Found(Place(row, view.place(row, turn)), quoted(content), "an answer to the question")


def media_denied(view: BatchView) -> Iterator[Found]:
    """An answer that says there is no medium, in a row that has one.

    ## What it finds
    "I cannot see images", "Please upload the image", 请上传图片 and the like in a short answer of a row with media.

    ## Why it matters
    The row trains, and the model learns to say that it sees nothing while it is shown something.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"},
      {"role": "assistant", "content": "I am unable to view the image."}], "images": ["cat.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Answer from the medium, or take the row out.
    """
    denied = answers(view, SHORT).filter(matches(DENIAL))
    for row, turn, content in denied.join(view.batch.media, on="row", how="semi", maintain_order="left").iter_rows():
        yield Found(Place(row, view.place(row, turn)), quoted(content), "an answer from the row's media")


def placeholder_answer(view: BatchView) -> Iterator[Found]:
    """An answer that only holds a place.

    ## What it finds
    `N/A`, `TODO`, `null`, `None`, `nan`, `[caption]`, `your answer here`, `lorem ipsum …` as a whole answer.

    ## Why it matters
    The row trains. Most often a missing value of a table has become the answer.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "nan"}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A cat."}]}]
    ```

    ## Fix
    Write the answer, or take the row out.
    """
    for row, turn, content in answers(view, SHORT).filter(matches(PLACEHOLDER)).iter_rows():
        yield Found(Place(row, view.place(row, turn)), quoted(content.strip()), "an answer")


def answer_repeats_question(view: BatchView) -> Iterator[Found]:
    """An answer that says the question again.

    ## What it finds
    An answer that is its question of 12 characters or more, media tags aside, or that begins with the whole of a
    question of 60 or more.

    ## Why it matters
    The row trains, and the model learns to echo. The columns of question and answer may have been mixed up, or the
    answer was stored with its prompt.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it that you see?"},
      {"role": "assistant", "content": "What is it that you see?"}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it that you see?"},
      {"role": "assistant", "content": "A cat."}]}]
    ```

    ## Fix
    Take the question out of the answer, or the row out of the data.
    """
    asked = view.batch.turns.filter((pl.col("pos") >= 0) & (pl.col("pos") % 2 == 0)).select(
        "row",
        pl.col("pos") + 1,
        pl.col("content").str.replace_all(oddities.TAG, "").str.strip_chars().alias("question"),
    )
    said = view.batch.turns.filter(pl.col("canon") == Role.ASSISTANT.value).select("row", "turn", "pos", "content")
    paired = said.join(asked, on=["row", "pos"], maintain_order="left")
    answer, size = pl.col("content").str.strip_chars(), pl.col("question").str.len_chars()
    echoes = paired.filter(
        (size >= SHORTEST) & pl.col("content").str.strip_chars_start().str.starts_with(pl.col("question"))
    ).with_columns((answer == pl.col("question")).alias("same"))
    for row, turn, is_same, text in (
        echoes.filter(pl.col("same") | (size >= LONG)).select("row", "turn", "same", "content").iter_rows()
    ):
        words = "the answer is the question" if is_same else "the answer begins with the whole question"
        yield Found(Place(row, view.place(row, turn)), f"{words}: {quoted(text)}", "an answer")


def repeating_answer(view: BatchView) -> Iterator[Found]:
    """An answer that ends in a loop.

    ## What it finds
    An answer whose end is one piece of text, `max-repeats` times or more without a break.

    ## Why it matters
    The row trains. A model that has lost its way writes such answers until its limit; they teach the same.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"},
      {"role": "assistant", "content": "A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat. A cat on a mat."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A cat on a mat."}]}]
    ```

    ## Fix
    Cut the answer where it begins to repeat itself, or take the row out.
    """  # noqa: E501 - it repeats itself
    most = int(view.run.thresholds.max_repeats)
    text = pl.col("content").str.strip_chars_end()
    tail = text.str.tail(TAIL)
    # a piece longer than the tail brings it as often as it stands there; a shorter one brings it again near the end
    again = text.str.count_matches(tail, literal=True) >= most
    near = text.str.tail(2 * TAIL).str.find(tail, literal=True) < TAIL
    long = pl.col("content").str.len_bytes() >= TAIL * 2
    for row, turn, content in answers(view).filter(long).filter(again | near).iter_rows():
        piece, times = loop(content.rstrip(), most)
        if times and len(set(filter(str.isalpha, piece))) >= 3:  # rules of tables and rows of numbers are no loops
            place = Place(row, view.place(row, turn))
            yield Found(place, f"ends with {times} × {quoted(piece)}", "each thing said once")


def loop(text: str, least: int) -> tuple[str, int]:
    """The piece that a text's end repeats, and how often; ("", 0) where that is less than `least` times."""
    at = text.rfind(text[-TAIL:], 0, len(text) - 1)
    period = len(text) - TAIL - at
    if at < 0 or period * least > len(text):
        return "", 0
    start = at
    while start > 0 and text[start - 1] == text[start - 1 + period]:
        start -= 1
    times = (len(text) - start) // period
    return (text[-period:], times) if times >= least else ("", 0)


def unbalanced_thought(view: BatchView) -> Iterator[Found]:
    """A thought that does not end, or ends without a beginning.

    ## What it finds
    `<think>` without `</think>`, the other way round, or one within another, in an answer.

    ## Why it matters
    The row trains with half a thought. LLaMA-Factory 0.9.5 (data/template.py: ReasoningTemplate) adds an empty
    thought only to answers that hold neither mark, and takes thoughts out only where both are there in order: this
    answer gets none, and keeps its own whatever `enable_thinking` says.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"},
      {"role": "assistant", "content": "<think>\\nIt has fur.\\n\\nA cat."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"},
      {"role": "assistant", "content": "<think>\\nIt has fur.\\n</think>\\n\\nA cat."}]}]
    ```

    ## Fix
    Put the missing mark where the thought ends, or take the half out.
    """
    template = view.run.template
    closes_only = template is not None and template.spec["class"] == "Glm47ReasoningTemplate"
    spoken = view.odd.filter((pl.col("canon") == Role.ASSISTANT.value) & matches(oddities.THOUGHT))
    for row, turn, content in spoken.select("row", "turn", "content").iter_rows():
        marks = re.findall(oddities.THOUGHT, content)
        if marks != ["<think>", "</think>"] * (len(marks) // 2) and not (closes_only and marks == ["</think>"]):
            more = f" and {len(marks) - 6} more" if len(marks) > 6 else ""
            yield Found(Place(row, view.place(row, turn)), ", ".join(marks[:6]) + more, "<think>, </think> in turn")


def thought_without_answer(view: BatchView) -> Iterator[Found]:
    """An answer that ends with its thought.

    ## What it finds
    An answer with nothing but white space behind its last `</think>`.

    ## Why it matters
    The row trains, and the model learns to think and say nothing. Where `enable_thinking: false` takes thoughts out,
    LLaMA-Factory 0.9.5 trains on an empty answer (data/template.py: ReasoningTemplate).

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"},
      {"role": "assistant", "content": "<think>\\nIt has fur.\\n</think>"}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"},
      {"role": "assistant", "content": "<think>\\nIt has fur.\\n</think>\\n\\nA cat."}]}]
    ```

    ## Fix
    Write the answer behind the thought, or take the row out.
    """
    spoken = view.odd.filter(pl.col("canon") == Role.ASSISTANT.value)
    for row, turn, _, _ in hits(spoken, r"</think>\s*$"):
        yield Found(Place(row, view.place(row, turn)), "nothing follows </think>", "an answer")


def question_said_twice(view: BatchView) -> Iterator[Found]:
    """An instruction that is its own input.

    ## What it finds
    In alpaca data: a question that is one text twice, since `instruction` and `input` are the same.

    ## Why it matters
    LLaMA-Factory 0.9.5 joins the two columns with a line end (data/converter.py: AlpacaDatasetConverter). The row
    trains on a question that is asked twice.

    ## Bad
    ```json data.json
    [{"instruction": "Name a cat.", "input": "Name a cat.", "output": "Tom."}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "alpaca"}}
    ```

    ## Good
    ```json data.json
    [{"instruction": "Name a cat.", "input": "", "output": "Tom."}]
    ```
    ```json dataset_info.json
    {"data": {"file_name": "data.json", "formatting": "alpaca"}}
    ```

    ## Fix
    Leave `input` empty.
    """
    if view.dataset.entry.formatting != "alpaca":
        return
    content = pl.col("content")
    half = (content.str.len_chars() - 1) // 2
    twice = content.str.head(half) + "\n" + content.str.head(half) == content
    asked = view.batch.turns.filter((pl.col("canon") == Role.USER.value) & (content.str.len_chars() > 2))
    for row, turn, text in asked.filter(twice).select("row", "turn", "content").iter_rows():
        yield Found(Place(row, view.place(row, turn)), quoted(text), "each question once")


def thought_not_removed(view: BatchView) -> Iterator[Found]:
    """A thought that is to be taken out, and stays.

    ## What it finds
    Under `enable_thinking: false`, or in earlier answers under `mask_history: true`: a thought that is written
    otherwise than the template writes it, such as `<think>It has fur.</think>` without line ends.

    ## Why it matters
    LLaMA-Factory 0.9.5 takes out what stands between the template's own words, line ends included
    (data/template.py: Template.remove_thought, `<think>\\n` to `\\n</think>\\n\\n`). Any other thought is left in
    the text and is learned.

    ## Bad
    ```yaml train.yaml
    template: qwen3
    enable_thinking: false
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"},
      {"role": "assistant", "content": "<think>It has fur.</think>A cat."}]}]
    ```

    ## Good
    ```yaml train.yaml
    template: qwen3
    enable_thinking: false
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"},
      {"role": "assistant", "content": "<think>\\nIt has fur.\\n</think>\\n\\nA cat."}]}]
    ```

    ## Fix
    Write thoughts as the template does, line ends included, or take them out of the data.
    """
    template, settings = view.run.template, view.run.settings
    if template is None or not template.is_reasoning:
        return
    discards = settings.mask_history and not settings.preserve_thinking
    if settings.enable_thinking is not False and not discards:
        return
    first, last = template.thought_words
    turns = view.batch.turns.with_columns((pl.col("pos") == pl.col("pos").max().over("row")).alias("last"))
    if settings.enable_thinking is not False:
        turns = turns.filter(~pl.col("last"))
    spoken = turns.filter(
        (pl.col("pos") % 2 == 1)
        & pl.col("content").str.contains(first.strip(), literal=True)
        & pl.col("content").str.contains(last.strip(), literal=True)
    )
    for row, turn, content in spoken.select("row", "turn", "content").iter_rows():
        kept = template.without_thoughts([(Role.ASSISTANT, content)], range(1))[0][1]
        if first.strip() in kept and last.strip() in kept:
            yield Found(
                Place(row, view.place(row, turn)),
                f"{quoted(kept[kept.index(first.strip()) :])} stays in the answer",
                f"a thought between {first!r} and {last!r}",
            )


def thought_in_question(view: BatchView) -> Iterator[Found]:
    """A thought in a question.

    ## What it finds
    A whole `<think>…</think>` in a turn of the user.

    ## Why it matters
    The row trains, with the thought as something that the user has said. It most often belongs to the answer.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<think>\\nIt has fur.\\n</think>\\n\\nWhat is it?"},
      {"role": "assistant", "content": "A cat."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"},
      {"role": "assistant", "content": "<think>\\nIt has fur.\\n</think>\\n\\nA cat."}]}]
    ```

    ## Fix
    Move the thought to the answer, or take it out.
    """
    asked = view.odd.filter(pl.col("canon") == Role.USER.value)
    for row, turn, _, hit in hits(asked, "<think>(?s:.*?)</think>"):
        yield Found(Place(row, view.place(row, turn)), quoted(hit), "thoughts in answers only")


def answers(view: BatchView, most: int | None = None) -> pl.DataFrame:
    """The assistant's turns, of at most so many bytes: row, turn, content."""
    size = pl.lit(True) if most is None else pl.col("content").str.len_bytes() <= most
    chosen = (pl.col("canon") == Role.ASSISTANT.value) & size
    return view.batch.turns.filter(chosen).select("row", "turn", "content")


def matches(pattern: str) -> pl.Expr:
    """Whether a turn's text holds the pattern."""
    return pl.col("content").str.contains(pattern)
