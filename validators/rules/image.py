"""IMG: pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from validators.budgets.family import Why
from validators.findings import Found, Place
from validators.model import MediaKind
from validators.probes.facts import Alteration
from validators.probes.image import FOREIGN
from validators.rules.entries import altered, unreadable
from validators.rules.rule import BatchView


def unreadable_image(view: BatchView) -> Iterator[Found]:
    """An image that cannot be decoded.

    ## What it finds
    A file that Pillow does not open, or that ends before its picture does. Damage further inside is found with
    `--depth decode`.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops the whole run in preprocessing (data/mm_plugin.py: _regularize_images), without the
    file's name: "image file is truncated", "cannot identify image file".

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cut.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Fetch the file again, or leave the row out.
    """
    for found in unreadable(view, MediaKind.IMAGE, "an image that Pillow decodes"):
        foreign = found.found.endswith(FOREIGN)
        yield replace(found, cure="convert it, to JPEG or PNG: `heif-convert IN OUT.jpg`") if foreign else found


def image_resized_to_nothing(view: BatchView) -> Iterator[Found]:
    """An image so slim that the trainer's resize leaves no pixel.

    ## What it finds
    A width or height that becomes 0 under image_max_pixels, or a ratio of sides that the processor refuses.

    ## Why it matters
    LLaMA-Factory 0.9.5 stops the whole run with "height and width must be > 0" (data/mm_plugin.py:
    _preprocess_image).

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A line."}],
      "images": ["sliver.png"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Crop or split the image.
    """
    for budget in view.budgets:
        if budget.error and budget.why is Why.SIZE:
            yield Found(Place(budget.row, "images"), budget.error, "sides that stay above 0 pixels")


def exif_rotation_ignored(view: BatchView) -> Iterator[Found]:
    """A picture that lies on its side for the model.

    ## What it finds
    An image whose EXIF or XMP orientation is not 1, in any format but TIFF, which Pillow turns by itself.

    ## Why it matters
    Viewers turn the picture as the camera says. LLaMA-Factory 0.9.5 opens it with Pillow and never calls
    exif_transpose (data/mm_plugin.py: _regularize_images): the model learns from it turned or mirrored, and texts and
    positions in the answer do not fit what it sees.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["turned.jpg"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Turn the pixels and drop the tag: PIL.ImageOps.exif_transpose, or `exiftran -ai`, or `magick IN -auto-orient OUT`.
    """
    for place, path, _ in altered(view, MediaKind.IMAGE, Alteration.ROTATED):
        yield Found(place, f"{path}: the orientation tag is not applied", "an upright picture without the tag")


def alpha_dropped(view: BatchView) -> Iterator[Found]:
    """A picture whose transparency uncovers what it hid.

    ## What it finds
    An image with pixels that are not opaque and that, over a white page, look different from their bare colour. Where
    only the trainer's resize makes them differ, the image is named only if its size lies outside the limits.

    ## Why it matters
    LLaMA-Factory 0.9.5 converts to RGB, which drops the transparency (data/mm_plugin.py: _preprocess_image): the
    clear background of a logo or a formula becomes whatever colour lies under it, mostly black, and black text
    disappears in it.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["clear.png"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Paste it on the background that it is meant for: PIL.Image.alpha_composite over white, or
    `magick IN -background white -flatten OUT`.
    """
    for place, path, _ in altered(view, MediaKind.IMAGE, Alteration.ALPHA):
        yield Found(place, f"{path}: transparent pixels show their hidden colour", "an opaque picture")


def high_bit_depth_clipped(view: BatchView) -> Iterator[Found]:
    """A picture with more than 8 bits a pixel, of which most turns white or black.

    ## What it finds
    A grey image of 16 or 32 bits or of floats with values that the conversion to RGB cuts. Colour images of 16 bits
    are scaled by Pillow and lose nothing that is seen.

    ## Why it matters
    LLaMA-Factory 0.9.5 calls convert("RGB") (data/mm_plugin.py: _preprocess_image), with which Pillow clips at 255
    instead of scaling: an X-ray or a depth map becomes a white field, floats from 0 to 1 a black one.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["deep.png"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    Scale it to 8 bits with the window that a person would choose, and save that.
    """
    for place, path, _ in altered(view, MediaKind.IMAGE, Alteration.DEPTH):
        yield Found(place, f"{path}: values of more than 8 bits are clipped", "8 bits a channel")


def only_first_frame_used(view: BatchView) -> Iterator[Found]:
    """A picture that moves, or has pages, of which the model sees the first.

    ## What it finds
    An animated GIF, WebP, PNG or AVIF, or a TIFF of several pages, listed as an image. Smaller copies inside a TIFF,
    the second picture of an MPO and the sizes of an icon do not count: viewers show the first of them, too.

    ## Why it matters
    LLaMA-Factory 0.9.5 reads the first frame (data/mm_plugin.py: _regularize_images). An answer about what happens
    later, or about page 2, has nothing behind it.

    ## Bad
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["moving.gif"]}]
    ```

    ## Good
    ```json data.json
    [{"messages": [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "A cat."}],
      "images": ["cat.jpg"]}]
    ```

    ## Fix
    List it under videos with a <video> tag, or save the pages or frames as images of their own.
    """
    for place, path, _ in altered(view, MediaKind.IMAGE, Alteration.FIRST_FRAME):
        yield Found(place, f"{path}: only the first of several frames is read", "an image of one frame")
