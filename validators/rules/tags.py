"""TAG: placeholders in the text against the media lists and the template."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl

from validators.findings import Found, Place
from validators.model import MediaKind
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
EXAMPLES = {MediaKind.IMAGE: "cat.jpg", MediaKind.VIDEO: "clip.mp4", MediaKind.AUDIO: "tone.wav"}


def count_rule(kind: MediaKind, page: str, more: bool) -> Callable[[BatchView], Iterator[Found]]:
    """The rule for one modality and one direction; its page is filled in for the modality."""

    def find(view: BatchView) -> Iterator[Found]:
        template = view.run.template
        if template is not None and template.plugin == TEXT_ONLY:
            return  # such a template takes tags for plain text; TAG208 reports the media
        wrong = pl.col("tags") > pl.col("entries") if more else pl.col("tags") < pl.col("entries")
        off = view.tag_balance.filter((pl.col("kind") == kind.value) & wrong)
        column = view.dataset.entry.media_column(kind)
        listed = f'"{column}"' if column else f"no column mapped to {kind.column}"
        for row, tags, entries in off.select("row", "tags", "entries").iter_rows():
            surplus = abs(tags - entries)
            yield Found(
                Place(row, column or "messages"),
                f"{tags} × {kind.tag} in the text, {entries} entries in {listed}",
                "as many tags as entries",
                f"remove {surplus} {kind.tag} or add {surplus} entries"
                if more
                else f"add {surplus} {kind.tag} to the text or remove {surplus} entries",
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
