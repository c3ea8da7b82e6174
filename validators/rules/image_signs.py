"""IMG: what is unusual in pictures that train without a complaint, or that are too large to be opened."""

from __future__ import annotations

import math
from collections.abc import Iterator

import polars as pl

from validators.findings import Found
from validators.model import MediaKind
from validators.probes.facts import Health, Trait
from validators.rules.entries import entries, files_of, place_of, when_opened, with_trait
from validators.rules.rule import BatchView


def decompression_bomb(view: BatchView) -> Iterator[Found]:
    """An image with more pixels than Pillow opens.

    ## What it finds
    More than twice Pillow's MAX_IMAGE_PIXELS, which are 178,956,970 pixels. Below that Pillow warns, and goes on.

    ## Why it matters
    Pillow takes such a file for an attack and raises DecompressionBombError, and LLaMA-Factory 0.9.5 stops the whole
    run (data/mm_plugin.py: _regularize_images).

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["bomb.png"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Make it smaller before training, or cut it into tiles: `vips thumbnail IN OUT 8192`.
    """
    for place, path, detail in entries(view, Health.BOMB):
        yield Found(place, f"{path}: {detail}", "an image that Pillow opens", outcome=when_opened(view))


def tiny_image(view: BatchView) -> Iterator[Found]:
    """An image of a few pixels.

    ## What it finds
    A side shorter than the threshold min-image-side.

    ## Why it matters
    Vision encoders cut pictures into patches of 14 or 16 pixels; LLaMA-Factory 0.9.5 enlarges what is below
    image_min_pixels, and for Qwen-VL what is below 28 pixels a side (data/mm_plugin.py: Qwen2VLPlugin.
    _preprocess_image). The model sees a blur. Such files are mostly tracking pixels, icons and broken downloads.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["tiny.png"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Fetch the original, or leave the row out.
    """
    least = view.run.thresholds.min_image_side
    small = files_of(view, MediaKind.IMAGE).filter(pl.min_horizontal("width", "height") < least)
    for row, slot, path, width, height in small.select("row", "slot", "path", "width", "height").iter_rows():
        place = place_of(view, row, MediaKind.IMAGE.value, slot)
        yield Found(place, f"{path}: {width}x{height} pixels", f"sides of {least:g} pixels or more")


def extreme_aspect_ratio(view: BatchView) -> Iterator[Found]:
    """An image that is a strip.

    ## What it finds
    One side longer than the other by more than the threshold max-aspect-ratio.

    ## Why it matters
    LLaMA-Factory 0.9.5 scales the whole to image_max_pixels (data/mm_plugin.py: _preprocess_image), and models that
    cut images into slices have no grid for it: what is in the strip becomes unreadable. Above 200 Qwen-VL's plugin
    squeezes the picture to 180.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A line."}],
      "images": ["strip.png"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Cut it into several images of a usual shape.
    """
    most = view.run.thresholds.max_aspect_ratio
    short, long = pl.min_horizontal("width", "height"), pl.max_horizontal("width", "height")
    strips = files_of(view, MediaKind.IMAGE).filter((short > 0) & (long > short * most))
    for row, slot, path, width, height in strips.select("row", "slot", "path", "width", "height").iter_rows():
        ratio = max(width, height) / min(width, height)
        place = place_of(view, row, MediaKind.IMAGE.value, slot)
        yield Found(place, f"{path}: {width}x{height}, a ratio of {ratio:.0f}", f"a ratio of {most:g} at most")


def detail_lost(view: BatchView) -> Iterator[Found]:
    """A large image of which little is left.

    ## What it finds
    An area larger than image_max_pixels by more than the factor max-downscale.

    ## Why it matters
    LLaMA-Factory 0.9.5 scales every image down to image_max_pixels, 768 × 768 by default (data/mm_plugin.py:
    _preprocess_image), before the model's own processor sees it. At a 25th of the area, letters of 20 pixels
    become 4: an answer that reads them has nothing behind it.

    ## Bad
    ```yaml train.yaml
    image_max_pixels: 8192
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A dog."}],
      "images": ["dog.jpg"]}]
    ```

    ## Good
    ```yaml train.yaml
    image_max_pixels: 65536
    ```
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A dog."}],
      "images": ["dog.jpg"]}]
    ```

    ## Fix
    Raise image_max_pixels and cutoff_len, or crop to what matters.
    """
    limit, factor = view.run.settings.image_max_pixels, view.run.thresholds.max_downscale
    if limit < 1:  # no image is resized to that: IMG201 names what the trainer raises
        return
    large = files_of(view, MediaKind.IMAGE).filter(pl.col("width") * pl.col("height") > limit * factor)
    for row, slot, path, width, height in large.select("row", "slot", "path", "width", "height").iter_rows():
        needed = math.ceil(width * height / factor)
        yield Found(
            place_of(view, row, MediaKind.IMAGE.value, slot),
            f"{path}: {width}x{height}, of which image_max_pixels leaves 1/{width * height / limit:.0f}",
            f"image_max_pixels of {needed} or more, for 1/{factor:g}",
        )


def print_colours(view: BatchView) -> Iterator[Found]:
    """A picture in the four colours of printing.

    ## What it finds
    An image in CMYK.

    ## Why it matters
    LLaMA-Factory 0.9.5 calls convert("RGB") (data/mm_plugin.py: _preprocess_image), which inverts the inks without a
    profile. Viewers convert with one: there, pure cyan is a muted blue, here it glows.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["print.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Convert it with its profile: PIL.ImageCms.profileToProfile to sRGB, or `magick IN -profile sRGB.icc OUT`.
    """
    for place, path, _ in with_trait(view, MediaKind.IMAGE, Trait.CMYK):
        yield Found(place, f"{path}: CMYK", "RGB")


def colour_profile_ignored(view: BatchView) -> Iterator[Found]:
    """A picture whose colours need its profile.

    ## What it finds
    An embedded ICC profile with which viewers show some colour differently by 16 of 255 steps or more: Display P3 of
    phones, Adobe RGB of cameras. Profiles that stand for sRGB are not named.

    ## Why it matters
    LLaMA-Factory 0.9.5 takes the numbers as they are (data/mm_plugin.py: _preprocess_image): colours come out paler
    than they are on a screen.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["gamut.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Where colours matter, convert to sRGB: PIL.ImageCms.profileToProfile, or `magick IN -profile sRGB.icc OUT`.
    """
    for place, path, shift in with_trait(view, MediaKind.IMAGE, Trait.PROFILE):
        yield Found(place, f"{path}: its profile moves colours by up to {shift:g} of 255", "sRGB")


def heavy_compression(view: BatchView) -> Iterator[Found]:
    """A JPEG of which compression has left blocks.

    ## What it finds
    A quantization table of a quality below the threshold min-jpeg-quality.

    ## Why it matters
    Small letters and textures are gone from blocks of 8 by 8 pixels. What an answer says of them cannot be seen.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["coarse.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Fetch the original. Saving again does not bring back what is lost.
    """
    least = view.run.thresholds.min_jpeg_quality
    for place, path, quality in with_trait(view, MediaKind.IMAGE, Trait.QUALITY):
        if quality < least:
            yield Found(place, f"{path}: JPEG quality of about {quality:.0f}", f"{least:g} or more")


def blank_image(view: BatchView) -> Iterator[Found]:
    """An image of one flat colour.

    ## What it finds
    All pixels alike, within what compression changes, once the trainer has dropped transparency: black lines over a
    clear black are blank, too.

    ## Why it matters
    A failed rendering, a placeholder, a covered lens: the answer describes what is not there, which teaches the model
    to make things up.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["blank.png"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Fetch or render it again, or leave the row out.
    """
    for place, path, _ in with_trait(view, MediaKind.IMAGE, Trait.BLANK):
        yield Found(place, f"{path}: one flat colour", "a picture of something")


def missing_lower_part(view: BatchView) -> Iterator[Found]:
    """A JPEG whose lower part is grey, for the file has no data for it.

    ## What it finds
    Rows up from the bottom that are nothing but the grey of 128 that decoders put where data are missing, in a share
    of the height from the threshold min-grey-share on.

    ## Why it matters
    An interrupted download that was closed with an end marker. Pillow gives no error then, and LLaMA-Factory 0.9.5
    trains on the half picture (data/mm_plugin.py: _regularize_images).

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A dog."}],
      "images": ["half.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A dog."}],
      "images": ["dog.jpg"]}]
    ```

    ## Fix
    Fetch the file again, or crop it.
    """
    least = view.run.thresholds.min_grey_share
    for place, path, share in with_trait(view, MediaKind.IMAGE, Trait.GREY_TAIL):
        if share >= least:
            yield Found(place, f"{path}: the lower {share:.0%} is plain grey", "a JPEG with all of its data")
