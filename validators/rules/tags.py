"""TAG: placeholders in the text against the media lists and the template."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import polars as pl

from validators.findings import Found, Place
from validators.model import MediaKind, Role
from validators.rules.oddities import MEDIA_FILE, NEAR_TAG, PLUGIN_MARK, TAG, hits, holding, quoted
from validators.rules.rule import BatchView

MINICPM = "MiniCPMVPlugin"
UNMIXED = (MINICPM, "MiniCPMV4_6Plugin")
TEXT_ONLY = "BasePlugin"

MORE_PAGE = """More {tag} tags in the text than entries in "{column}".

## What it finds
{tag} counted over all turns but the system's, the assistant's included, is more than the row's list holds. A literal
{tag} in an answer counts as well.

## Why it matters
LLaMA-Factory 0.9.5 stops the whole run in preprocessing with "The number of {column} does not match the number of
{tag} tokens" (data/mm_plugin.py: _validate_messages), without the row's number.

## Bad
```yaml train.yaml
template: {template}
```
```json data.json
[{{"messages": [{{"role": "user", "content": "{tag}{tag}What is it?"}},
  {{"role": "assistant", "content": "It is short."}}], "{column}": ["{file}"]}}]
```

## Good
```yaml train.yaml
template: {template}
```
```json data.json
[{{"messages": [{{"role": "user", "content": "{tag}What is it?"}},
  {{"role": "assistant", "content": "It is short."}}], "{column}": ["{file}"]}}]
```

## Fix
Remove the surplus tag, or add the missing entry: one entry for each tag, in the order of the text.
"""
FEWER_PAGE = """Fewer {tag} tags in the text than entries in "{column}".

## What it finds
{tag} counted over all turns but the system's is less than the row's list holds.

## Why it matters
LLaMA-Factory 0.9.5 stops the whole run in preprocessing with "The number of {column} does not match the number of
{tag} tokens" (data/mm_plugin.py: _validate_messages), without the row's number. Tags in a system turn do not count.

## Bad
```yaml train.yaml
template: {template}
```
```json data.json
[{{"messages": [{{"role": "user", "content": "What is it?"}},
  {{"role": "assistant", "content": "It is short."}}], "{column}": ["{file}"]}}]
```

## Good
```yaml train.yaml
template: {template}
```
```json data.json
[{{"messages": [{{"role": "user", "content": "{tag}What is it?"}},
  {{"role": "assistant", "content": "It is short."}}], "{column}": ["{file}"]}}]
```

## Fix
Put a {tag} where the medium belongs, or take the entry out of the list.
"""
NEAR_WORDS = {
    MediaKind.IMAGE: re.compile("(?i)im|media"),
    MediaKind.VIDEO: re.compile("(?i)video|media"),
    MediaKind.AUDIO: re.compile("(?i)audio|sound|media"),
}
EXAMPLES = {MediaKind.IMAGE: "cat.jpg", MediaKind.VIDEO: "clip.mp4", MediaKind.AUDIO: "tone.wav"}


def count_rule(kind: MediaKind, page: str, more: bool) -> Callable[[BatchView], Iterator[Found]]:
    """The rule for one modality and one direction; its page is filled in for the modality."""

    def find(view: BatchView) -> Iterator[Found]:
        if is_text_only(view):
            return  # such a template takes tags for plain text; TAG208 reports the media
        wrong = pl.col("tags") > pl.col("entries") if more else pl.col("tags") < pl.col("entries")
        off = view.tag_balance.filter((pl.col("kind") == kind.value) & wrong)
        column = view.dataset.entry.media_column(kind)
        listed = f'"{column}"' if column else f"no column mapped to {kind.column}"
        near = {} if more or off.is_empty() else near_tags(view, kind)
        for row, tags, entries in off.select("row", "tags", "entries").iter_rows():
            surplus = abs(tags - entries)
            if more:
                cure = f"remove {surplus} {kind.tag} or add {surplus} entries"
                if entries == 1:
                    cure += f"; if the same {kind.value} is meant each time, name it {tags} times"
            elif row in near:
                cure = f"write {kind.tag} for {near[row][0][1]}"
            else:
                cure = f"add {surplus} {kind.tag} to the text or remove {surplus} entries"
            yield Found(
                Place(row, column or "messages"),
                f"{tags} × {kind.tag} in the text, {entries} entries in {listed}",
                "as many tags as entries",
                cure,
            )

    find.__doc__ = page.format(
        tag=kind.tag,
        column=kind.column,
        file=EXAMPLES[kind],
        template="minicpm_o" if kind is MediaKind.AUDIO else "qwen2_vl",
    )
    return find


more_image_tags = count_rule(MediaKind.IMAGE, MORE_PAGE, more=True)
fewer_image_tags = count_rule(MediaKind.IMAGE, FEWER_PAGE, more=False)
more_video_tags = count_rule(MediaKind.VIDEO, MORE_PAGE, more=True)
fewer_video_tags = count_rule(MediaKind.VIDEO, FEWER_PAGE, more=False)
more_audio_tags = count_rule(MediaKind.AUDIO, MORE_PAGE, more=True)
fewer_audio_tags = count_rule(MediaKind.AUDIO, FEWER_PAGE, more=False)


def near_tags(view: BatchView, kind: MediaKind) -> dict[int, list[tuple[int, str]]]:
    """By row: turn and text of what looks like a tag of that kind and is none."""
    found: dict[int, list[tuple[int, str]]] = {}
    words = NEAR_WORDS[kind]
    for row, turn, content in (
        holding(view.odd.filter(pl.col("pos") >= 0), NEAR_TAG).select("row", "turn", "content").iter_rows()
    ):
        for text in re.findall(NEAR_TAG, content):
            if words.search(text):
                found.setdefault(row, []).append((turn, text))
    return found


def misspelt_media_tag(view: BatchView) -> Iterator[Found]:
    """A placeholder in a spelling that the trainer does not know.

    ## What it finds
    `<Image>`, `<img>`, `<image_1>`, `<|image|>`, `[IMAGE]` and the like in a row that has fewer tags than entries.

    ## Why it matters
    LLaMA-Factory 0.9.5 knows `<image>`, `<video>` and `<audio>` only (extras/constants.py). The row has an entry
    without a tag and stops the whole run in preprocessing (data/mm_plugin.py: _validate_messages).

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<Image>What is it?"},
      {"role": "assistant", "content": "A cat."}], "images": ["cat.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"},
      {"role": "assistant", "content": "A cat."}], "images": ["cat.jpg"]}]
    ```

    ## Fix
    Write the tag as the trainer knows it.
    """
    if is_text_only(view):
        return
    for kind in MediaKind:
        lacking = view.tag_balance.filter((pl.col("kind") == kind.value) & (pl.col("tags") < pl.col("entries")))
        near = {} if lacking.is_empty() else near_tags(view, kind)
        for row in lacking["row"]:
            for turn, text in near.get(row, ()):
                yield Found(Place(row, view.place(row, turn)), f"{text} stands for nothing", kind.tag)


def plugin_mark_in_text(view: BatchView) -> Iterator[Found]:
    """A placeholder in the spelling of MiniCPM's own processor.

    ## What it finds
    `(<image>./</image>)` or `(<audio>./</audio>)` in a turn, as MiniCPM's processor wants them.

    ## Why it matters
    LLaMA-Factory 0.9.5 counts the `<image>` inside and puts the image there (data/mm_plugin.py); the brackets and
    `./</image>` stay around it as text. Under MiniCPM-V the `</image>` that is left closes an image that was never
    opened, and stops the step.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "(<image>./</image>)\\nWhat is it?"},
      {"role": "assistant", "content": "A cat."}], "images": ["cat.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>\\nWhat is it?"},
      {"role": "assistant", "content": "A cat."}], "images": ["cat.jpg"]}]
    ```

    ## Fix
    Write `<image>` alone.
    """
    if is_text_only(view):
        return
    for row, turn, _, hit in hits(view.odd.filter(pl.col("pos") >= 0), PLUGIN_MARK):
        kind = MediaKind.IMAGE if "image" in hit else MediaKind.AUDIO
        yield Found(Place(row, view.place(row, turn)), hit, kind.tag)


def media_tag_in_system_prompt(view: BatchView) -> Iterator[Found]:
    """A media tag in a system prompt.

    ## What it finds
    `<image>`, `<video>` or `<audio>` in the system turn or column.

    ## Why it matters
    LLaMA-Factory 0.9.5 takes the system prompt out of the turns before it looks for tags (data/converter.py), so that
    the tag is neither counted nor replaced: it reaches the model as text.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "system", "content": "Look at <image> closely."},
      {"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "system", "content": "Look at the image closely."},
      {"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Move the tag into the first question, or say it in words.
    """
    if is_text_only(view):
        return
    reported = {budget.row for budget in view.budgets if budget.literal}  # TAG101: there it is a token
    system = view.batch.turns.filter("system")
    for row, turn, _, hit in hits(system, TAG):
        if row not in reported:
            yield Found(Place(row, view.place(row, turn)), f"{hit} in the system prompt", "tags in the turns only")


def media_tag_in_answer(view: BatchView) -> Iterator[Found]:
    """A media tag in an answer.

    ## What it finds
    `<image>`, `<video>` or `<audio>` in a turn of the assistant, whether the counts agree or not.

    ## Why it matters
    LLaMA-Factory 0.9.5 counts tags in answers like any other (data/mm_plugin.py: _validate_messages) and puts the
    medium there: the model is trained to write the tokens of a medium, and the question goes without it.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "<image>A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Move the tag into the question; write a literal one in another way, such as `<img>`.
    """
    if is_text_only(view):
        return
    said = pl.col("canon") == Role.ASSISTANT.value
    for row, turn, _, hit in hits(view.batch.turns.filter(said & pl.col("content").str.contains(TAG)), TAG):
        yield Found(Place(row, view.place(row, turn)), f"{hit} in an answer", "tags in questions")


def media_path_in_text(view: BatchView) -> Iterator[Found]:
    """The name of a row's own file in its text.

    ## What it finds
    A turn that holds the file name of one of the row's media, such as `cat.jpg`, with its folder or without.

    ## Why it matters
    The row trains. LLaMA-Factory 0.9.5 takes media from the row's lists only; in the text the name is mere words, and
    often tells the answer.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>cat.jpg\\nWhat is it?"},
      {"role": "assistant", "content": "A cat."}], "images": ["cat.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>\\nWhat is it?"},
      {"role": "assistant", "content": "A cat."}], "images": ["cat.jpg"]}]
    ```

    ## Fix
    Take the name out of the text.
    """
    likely = view.odd.filter(pl.col("content").str.contains(MEDIA_FILE)).select("row", "turn", "content")
    if likely.is_empty():
        return
    files = view.batch.media.select("row", pl.col("path").str.extract(r"([^/\\]+\.\w+)$").alias("name")).drop_nulls()
    named = likely.join(files.unique(maintain_order=True), on="row", maintain_order="left_right")
    for row, turn, content, name in named.select("row", "turn", "content", "name").iter_rows():
        if re.search(rf"(?<![\w.-]){re.escape(name)}(?!\w)", content):
            yield Found(Place(row, view.place(row, turn)), quoted(name), "the row's media in its lists only")


def is_text_only(view: BatchView) -> bool:
    """Whether the template takes tags for plain text."""
    return view.run.template is not None and view.run.template.plugin == TEXT_ONLY


def images_and_videos(view: BatchView) -> Iterator[Found]:
    """Images and videos in one row, for MiniCPM-V or MiniCPM-o.

    ## What it finds
    A row with entries in both lists while the template is of the MiniCPM family.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops the whole run with "MiniCPM-V model does not support input images and videos at the same
    time." (data/mm_plugin.py: process_messages of MiniCPMVPlugin and MiniCPMV4_6Plugin).

    ## Bad
    ```yaml train.yaml
    template: minicpm_v
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image><video>Same place?"}, {"role": "assistant", "content": "Yes."}],
      "images": ["cat.jpg"], "videos": ["clip.mp4"]}]
    ```

    ## Good
    ```yaml train.yaml
    template: minicpm_v
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    Split the row in two, or give the images as one-frame videos.
    """
    if view.run.template is None or view.run.template.plugin not in UNMIXED:
        return
    wide = entries_by_kind(view)
    both = wide.filter((pl.col("image") > 0) & (pl.col("video") > 0))
    for row, images, videos in both.select("row", "image", "video").iter_rows():
        yield Found(Place(row, "images"), f"{images} images and {videos} videos", "one of the two")


def several_videos(view: BatchView) -> Iterator[Found]:
    """Several videos in one row, for MiniCPM-V or MiniCPM-o.

    ## What it finds
    More than one entry in the list of videos while the template is of the MiniCPM family.

    ## Why it matters
    LLaMA-Factory 0.9.5 looks up the sizes of all frames in the first video only and ends with an IndexError
    (data/mm_plugin.py: MiniCPMVPlugin.process_messages, `image_sizes[0][idx]`).

    ## Bad
    ```yaml train.yaml
    template: minicpm_v
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video><video>Same?"}, {"role": "assistant", "content": "Yes."}],
      "videos": ["clip.mp4", "clip.mp4"]}]
    ```

    ## Good
    ```yaml train.yaml
    template: minicpm_v
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<video>What is it?"}, {"role": "assistant", "content": "A clip."}],
      "videos": ["clip.mp4"]}]
    ```

    ## Fix
    One video a row.
    """
    if view.run.template is None or view.run.template.plugin != MINICPM:
        return
    for row, videos in entries_by_kind(view).filter(pl.col("video") > 1).select("row", "video").iter_rows():
        yield Found(Place(row, "videos"), f"{videos} videos", "one")


def unsupported_modality(view: BatchView) -> Iterator[Found]:
    """Media that the template's model cannot take.

    ## What it finds
    Entries of a modality for which the template has no token: images with a text template, sound with minicpm_v.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops the whole run with "This model does not support … input. Please check whether the
    correct `template` is used." (data/mm_plugin.py: _validate_input).

    ## Bad
    ```yaml train.yaml
    template: qwen2_vl
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<audio>What is it?"}, {"role": "assistant", "content": "A tone."}],
      "audios": ["tone.wav"]}]
    ```

    ## Good
    ```yaml train.yaml
    template: qwen2_vl
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Choose the template that belongs to the model, or leave such rows out.
    """
    template = view.run.template
    if template is None:
        return
    for kind in MediaKind:
        if not template.accepts(kind):
            column = view.dataset.entry.media_column(kind)
            counted = view.batch.media.filter(pl.col("kind") == kind.value).group_by("row").len().sort("row")
            for row, count in counted.iter_rows():
                noun = kind.value if count == 1 else kind.column
                yield Found(
                    Place(row, str(column)),
                    f"{count} {noun} under template {template.name!r}",
                    f"no {kind.column}",
                )


def special_token_in_text(view: BatchView) -> Iterator[Found]:
    """A special token of the model, written out in a row's own text.

    ## What it finds
    `<|image_pad|>`, `</image>`, `<|audio_start|>` and the like in a message or a system prompt, where they are encoded
    as the very tokens that stand for media; for MiniCPM-V also `<image>` in a system prompt.

    ## Why it matters
    LLaMA-Factory 0.9.5 prepares the row. At its step the model finds more places than features ("image features and
    image tokens do not match"), or the collator more opening than closing marks ("Sizes of tensors must match").

    ## Bad
    ```yaml train.yaml
    template: qwen2_vl
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is <|image_pad|> for?"},
      {"role": "assistant", "content": "It is a place."}]}]
    ```

    ## Good
    ```yaml train.yaml
    template: qwen2_vl
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "What is image_pad for?"},
      {"role": "assistant", "content": "It is a place."}]}]
    ```

    ## Fix
    Break the token up, for example by a space after its first character, or use a tag and a list entry.
    """
    for budget in view.budgets:
        if budget.literal:
            yield Found(
                Place(budget.row, view.dataset.entry.columns["messages"] or "messages"),
                budget.literal,
                "such tokens only where media put them",
            )


def entries_by_kind(view: BatchView) -> pl.DataFrame:
    """Entries of each row: row, image, video, audio."""
    return (
        view.batch.media.group_by("row")
        .agg([(pl.col("kind") == kind.value).sum().alias(kind.value) for kind in MediaKind])
        .sort("row")
    )
