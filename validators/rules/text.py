"""TXT: what is wrong with the characters and marks of a text."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from validators.findings import Found, Place
from validators.model import Role
from validators.rules import oddities
from validators.rules.oddities import hits, quoted
from validators.rules.rule import BatchView, DatasetView

TAGS_OF_HTML = r"</?[a-z][a-z0-9]*[ >/]"


def mojibake(view: BatchView) -> Iterator[Found]:
    """Text whose letters were read in the wrong encoding.

    ## What it finds
    UTF-8 that was read as cp1252, Latin-1 or GBK and stored so: `Ã©` for é, `â€™` for ’, `ï»¿`, `锟斤拷`.

    ## Why it matters
    The row trains. The model learns to write the broken letters, at several tokens each.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Where is it?"},
      {"role": "assistant", "content": "In a cafÃ© that isnâ€™t far."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Where is it?"},
      {"role": "assistant", "content": "In a café that isn’t far."}]}]
    ```

    ## Fix
    Read the source again as UTF-8; or undo it, for example with the package ftfy.
    """
    for row, turn, _, hit in hits(view.odd, oddities.MOJIBAKE):
        before = undone(hit)
        meant = f", which was {before!r}" if before else ""
        yield Found(Place(row, view.place(row, turn)), f"{hit!r}{meant}", "text read as UTF-8")


def undone(hit: str) -> str:
    """What a piece of mojibake was, where one decoder tells."""
    for codec in ("cp1252", "latin-1"):
        try:
            return hit.encode(codec).decode("utf-8")
        except UnicodeError:
            continue
    return ""


def replacement_character(view: BatchView) -> Iterator[Found]:
    """Text in which a letter was lost.

    ## What it finds
    U+FFFD, which decoders write for bytes that they cannot read.

    ## Why it matters
    The row trains, with the mark in the place of the letter. What stood there cannot be told from the text.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Where is it?"},
      {"role": "assistant", "content": "In a caf\\ufffd nearby."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Where is it?"},
      {"role": "assistant", "content": "In a café nearby."}]}]
    ```

    ## Fix
    Decode the source with its true encoding, or take the row out.
    """
    found = view.odd.with_columns(pl.col("content").str.count_matches(oddities.REPLACEMENT, literal=True).alias("n"))
    for row, turn, count in found.filter(pl.col("n") > 0).select("row", "turn", "n").iter_rows():
        yield Found(Place(row, view.place(row, turn)), f"{count} × U+FFFD", "the letters that were lost")


def control_character(view: BatchView) -> Iterator[Found]:
    """A control character in a text.

    ## What it finds
    C0 and C1 controls but tab and line ends: NUL, backspace, form feed, the escape of terminal colours.

    ## Why it matters
    The row trains, and the model learns to write what no reader sees.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What does the log say?"},
      {"role": "assistant", "content": "It says \\u001b[31mfailed\\u001b[0m."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What does the log say?"},
      {"role": "assistant", "content": "It says failed."}]}]
    ```

    ## Fix
    Take the character out.
    """
    # text read as Latin-1 is full of C1 controls: that is mojibake
    plain = view.odd.filter(~pl.col("content").str.contains(oddities.MOJIBAKE))
    yield from characters(view, plain, oddities.CONTROL, "no control characters but tab and line ends")


def invisible_character(view: BatchView) -> Iterator[Found]:
    """A character that nobody sees.

    ## What it finds
    Zero-width spaces, word joiners, soft hyphens, a byte order mark within the text, and marks that turn the
    direction of writing (U+202A to U+202E, U+2066 to U+2069). Joiners that scripts and emoji need are let be.

    ## Why it matters
    The row trains. The same word gets other tokens with such a character than without, and marks of direction show
    people another text than the model reads.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"},
      {"role": "assistant", "content": "A\\u200b cat."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A cat."}]}]
    ```

    ## Fix
    Take the character out.
    """
    yield from characters(
        view, view.odd.filter(~pl.col("content").str.contains("ï»¿")), oddities.INVISIBLE, "characters that are seen"
    )


def private_character(view: BatchView) -> Iterator[Found]:
    """A character without a meaning of its own.

    ## What it finds
    Code points for private use (U+E000 to U+F8FF) and noncharacters: icons and bullets of a font, as they come out of
    PDF files and web pages.

    ## Why it matters
    The row trains. What the character shows depends on a font; the model learns a sign that means nothing elsewhere.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is on the list?"},
      {"role": "assistant", "content": "\\uf0b7 milk and bread"}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is on the list?"},
      {"role": "assistant", "content": "• milk and bread"}]}]
    ```

    ## Fix
    Write the sign that was meant, or take it out.
    """
    yield from characters(view, view.odd, oddities.PRIVATE, "characters of the Unicode standard")


def characters(view: BatchView, turns: pl.DataFrame, pattern: str, expected: str) -> Iterator[Found]:
    """One finding a turn that holds a character of the class, which is named by its code point."""
    for row, turn, _, hit in hits(turns, pattern):
        yield Found(Place(row, view.place(row, turn)), f"U+{ord(hit):04X}", expected)


def chat_markup(view: BatchView) -> Iterator[Found]:
    """Marks of a chat template inside a text.

    ## What it finds
    `<|im_start|>`, `<|eot_id|>`, `<end_of_turn>`, `[INST]`, `### Human:` and the like in a turn: text that had a
    template already, or several turns in one.

    ## Why it matters
    LLaMA-Factory 0.9.5 puts its own template around each turn (data/template.py: Template._encode) and encodes the
    text as it is, so that such a mark becomes the very token that ends or opens a turn: the model learns to end in
    the middle, or to answer in the user's name.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi<|im_end|>"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Take the marks out; make turns of what they part.
    """
    for row, turn, _, hit in hits(view.odd, oddities.MARKUP):
        yield Found(Place(row, view.place(row, turn)), quoted(hit.strip()), "text without a template's marks")


def role_in_text(view: BatchView) -> Iterator[Found]:
    """A turn that begins with the name of its role.

    ## What it finds
    `Assistant:`, `GPT:`, `Human:`, `用户：` or a line `assistant` at the beginning of a turn, left over from another
    format.

    ## Why it matters
    LLaMA-Factory 0.9.5 names the roles by its template (data/template.py); the model learns to write them once more.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Human: Hi"}, {"role": "assistant", "content": "Assistant: Hello."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}]
    ```

    ## Fix
    Take the name of the role out.
    """
    for row, turn, _, hit in hits(view.odd, oddities.ROLE_WORD):
        yield Found(Place(row, view.place(row, turn)), f"begins with {hit.strip()!r}", "the turn's own words")


def html_entity(view: BatchView) -> Iterator[Found]:
    """Entities of HTML in a text that is no HTML.

    ## What it finds
    `&amp;`, `&quot;`, `&#39;`, `&nbsp;` and the like in a turn without tags of HTML and without code. Entities that
    are escaped once more (`&amp;lt;`) count beside tags, too.

    ## Why it matters
    The row trains, and the model learns to write `&#39;` for an apostrophe.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Whose is it?"},
      {"role": "assistant", "content": "It is Tom &amp; Ann&#39;s."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Whose is it?"},
      {"role": "assistant", "content": "It is Tom & Ann's."}]}]
    ```

    ## Fix
    Unescape the text once (Python: html.unescape).
    """
    content = pl.col("content")
    untagged = content.str.replace_all(oddities.TAG, "")
    plain = ~untagged.str.contains(TAGS_OF_HTML) | content.str.contains(r"&amp;(?:[a-z]+|#\d+);")
    for row, turn, _, hit in hits(view.odd.filter(plain & ~content.str.contains("`")), oddities.ENTITY):
        yield Found(Place(row, view.place(row, turn)), hit, "the character that it stands for")


def text_escaped_twice(view: BatchView) -> Iterator[Found]:
    """Escapes that nobody has undone.

    ## What it finds
    A backslash and an n where lines should end, in a turn that has no line end and no code; `\\\\u4e2d` three times
    or more; JSON within a string within JSON.

    ## Why it matters
    The row trains, and the model learns to write a backslash and an n instead of new lines.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is on the list?"},
      {"role": "assistant", "content": "Two things:\\\\n\\\\n- milk\\\\n- bread"}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is on the list?"},
      {"role": "assistant", "content": "Two things:\\n\\n- milk\\n- bread"}]}]
    ```

    ## Fix
    Parse the text once more (Python: json.loads), where the data are made.
    """
    likely = view.odd.filter(~pl.col("content").str.contains("`", literal=True))
    likely = likely.filter(pl.col("content").str.contains(oddities.TWICE))
    for row, turn, content in likely.select("row", "turn", "content").iter_rows():
        if (what := escaped_twice(content)) is not None:
            yield Found(Place(row, view.place(row, turn)), what, "text with its escapes undone")


def escaped_twice(content: str) -> str | None:
    """What in a text shows that it is escaped once too often; None where nothing does."""
    if "\n" not in content:
        ends = len(re.findall(r"\\n(?=\\n|\\r|[A-Z0-9*#•\u4e00-\u9fff -])", content))
        if ends >= 2:
            return f"{ends} × a backslash and an n for the end of a line"
    codes = len(re.findall(r"\\u[0-9a-fA-F]{4}", content))
    if codes >= 3:
        return f"{codes} × a code such as \\u4e2d for a letter"
    stripped = content.strip()
    if re.match(r'[\[{]\s*\\"', stripped) or re.fullmatch(r'"[^"\\]*\\"(?:[^"\\]|\\.)*"', stripped, re.DOTALL):
        return 'JSON with its quotes escaped (\\")'
    return None


def unclosed_code(view: BatchView) -> Iterator[Found]:
    """An answer whose block of code does not end.

    ## What it finds
    An odd number of ``` fences in an answer.

    ## Why it matters
    The row trains. Such an answer was most often cut off where its source had reached its limit, and teaches the
    model to stop in the middle.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Print one."},
      {"role": "assistant", "content": "So:\\n```python\\nprint(1"}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Print one."},
      {"role": "assistant", "content": "So:\\n```python\\nprint(1)\\n```"}]}]
    ```

    ## Fix
    Write the answer to its end, or take the row out.
    """
    fences = view.odd.filter(pl.col("canon") == Role.ASSISTANT.value).with_columns(
        pl.col("content").str.count_matches(oddities.FENCE).alias("n")
    )
    for row, turn, count in fences.filter(pl.col("n") % 2 == 1).select("row", "turn", "n").iter_rows():
        yield Found(Place(row, view.place(row, turn)), f"{count} × ``` at the beginning of a line", "an even number")


def unfilled_variable(view: BatchView) -> Iterator[Found]:
    """A variable of a prompt template that was never filled in.

    ## What it finds
    `{question}`, `{{ answer }}`, `${caption}`, `<your answer>` in a turn without code.

    ## Why it matters
    The row trains, on a text that no user would write, or that answers nothing.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "Answer this: {question}"},
      {"role": "assistant", "content": "It is a cat."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "Answer this: What is it?"},
      {"role": "assistant", "content": "It is a cat."}]}]
    ```

    ## Fix
    Fill the variable in where the data are made.
    """
    # MiniCPM's own {{image}} and {{audio}} beside media stop the run: MED202
    plain = view.odd.filter(~pl.col("content").str.contains(r"`|\{\{(?:image|audio)\}\}|\{%"))
    for row, turn, _, hit in hits(plain, oddities.VARIABLE):
        variable = re.sub(r"^[^{<$]", "", hit)  # the pattern takes the character before along
        yield Found(Place(row, view.place(row, turn)), quoted(variable), "the variable's value")


def encoded_data(view: BatchView) -> Iterator[Found]:
    """Base64 or the like inside a text.

    ## What it finds
    A run of letters and digits, of all kinds and without a space, that is longer than `min-blob-length`.

    ## Why it matters
    The row trains on tokens that mean nothing; an image in base64 is not seen as an image, and costs thousands.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"},
      {"role": "assistant", "content": "It is iVBORw0KGgoEqV8ib8HDy88YtDtXbiufMdI8X2Y4rUmer/BH3M1XS0DRdJuPnBIKpi99lSi0tcL21pffWQJEeNajnez0LHtfROUrWW6XnI3EM3HMRb1OcWrhQ7TTJ+chcVG6MOwUxOVHMWndqNCIEPx3mnPQC4vkRB5ICpeyOxJRkSq1LI7S1L10e0tza93Ce6KRDiKpFfez3gb9pvMEc0goRqG9hTCzppvEJqa+ZgIFI2g8Pahqfpgi9el+OuOjSXXMUHyQ2pqaWkwfV6Wf3gV/O116cFBIj2C"}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"},
      {"role": "assistant", "content": "It is a picture."}]}]
    ```

    ## Fix
    Store the medium as a file, name it in the row's list and put its tag into the text; take other data out.
    """  # noqa: E501 - a blob has no place to break it
    least = int(view.run.thresholds.min_blob_length)
    likely = view.odd.filter(pl.col("content").str.contains(oddities.BLOB))
    for row, turn, content in likely.select("row", "turn", "content").iter_rows():
        runs = (run for run in re.findall(r"[A-Za-z0-9+/=_-]{120,}", content) if len(run) >= least)
        blob = next((run for run in runs if len(set(run)) >= 16), None)
        if blob is not None:
            place = Place(row, view.place(row, turn))
            yield Found(place, f"{len(blob)} characters without a space: {quoted(blob, 24)}", "words")


def padded_answers(view: DatasetView) -> Iterator[Found]:
    """Answers that begin or end with white space.

    ## What it finds
    The number of answers of a dataset with spaces or line ends at their edges.

    ## Why it matters
    LLaMA-Factory 0.9.5 encodes answers as they are. A leading space gives the first word another token, and a
    trailing line end is learned as part of the answer.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": " A cat.\\n"}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A cat."}]}]
    ```

    ## Fix
    Strip the answers where the data are made.
    """
    yield from counted(view, "padded", "begin or end with white space")


def carriage_returns(view: DatasetView) -> Iterator[Found]:
    """Answers with the line ends of Windows.

    ## What it finds
    The number of answers of a dataset that hold a carriage return.

    ## Why it matters
    LLaMA-Factory 0.9.5 encodes answers as they are: the model learns to end lines with two characters.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"},
      {"role": "assistant", "content": "A cat.\\r\\nIt sits."}]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A cat.\\nIt sits."}]}]
    ```

    ## Fix
    Write line ends as a single line feed.
    """
    yield from counted(view, "returns", "hold a carriage return")


def counted(view: DatasetView, what: str, words: str) -> Iterator[Found]:
    """One finding for all answers of the dataset that the census has counted under that name."""
    answers = view.census.answers
    if answers[what]:
        yield Found(Place(None, view.dataset.entry.place()), f"{answers[what]} of {answers['all']} answers {words}")
