"""LLaMA-Factory 0.9.5 with MiniCPM batches whose rows have different media: text, images, a video, sounds.

What is repaired, of MiniCPMVPlugin.get_mm_inputs (mm_plugin.py):

- `_get_mm_inputs` puts the pixel values of the videos in the place of those of the images, and lists them for each
  video instead of each row: the model hands them to the first rows, and finds none for the last (IndexError), so that a
  video trains in batches of videos alone. Here each row gets the values of its own images or videos.
- A row without sound in a batch with sounds, or the second one in a batch without any, has no features of sound, and
  MiniCPM-o 2.6 joins an empty list (modeling_minicpmo.py: get_omni_embedding). Here such a row gets a silence so short
  that the encoder makes no token of it.

Batches that upstream collates well are collated by upstream. A row with images and a video (a pack may be one) is
refused: which of its places are the video's cannot be told from its tokens. The plugin stands on the one for high-fps
video where both are registered, that one first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import llamafactory.data.mm_plugin as plugins
from llamafactory.data.template import TEMPLATES

from train.plugins.minicpm_high_fps import HighFpsPlugin, parted

Part = Any  # the trainer's and the model's own objects, which have no types here
OF_PIXELS = ("pixel_values", "tgt_sizes", "image_sizes", "temporal_ids")
"""What MiniCPM's image processors give for each row; temporal_ids of V 4.5 alone."""
SILENCE = 1
"""Frames of a sound that gives no token: (1 - 1) // 2 + 1 after the convolution, less than the pooling takes."""


class Collation:
    """What is put before a MiniCPM plugin: inputs of the model by row, whatever the rows bring."""

    def get_mm_inputs(
        self,
        images: list[Any],
        videos: list[Any],
        audios: list[Any],
        imglens: list[int],
        vidlens: list[int],
        audlens: list[int],
        batch_ids: list[list[int]],
        processor: Part,
    ) -> dict[str, Any]:
        """Images, videos and sounds of the batch, and how many of each a row has; ValueError for a row of both."""
        if any(image and video for image, video in zip(imglens, vidlens, strict=True)):
            raise ValueError("MiniCPM-V takes no images beside a video in one row, or in one pack of rows.")
        upstream: Any = super()
        lengths = (imglens, vidlens, audlens, batch_ids, processor)
        if all(count == 1 for count in vidlens) or not videos:
            made = dict(upstream.get_mm_inputs(images, videos, audios, *lengths))
        else:
            made = dict(upstream.get_mm_inputs(images, [], audios, *lengths))
            each: list[dict[str, Any]] = [self._get_mm_inputs([], [video], [], processor) for video in videos]  # type: ignore[attr-defined]
            made |= by_rows(made if images else {}, each, vidlens)
        if len(audios) and not all(audlens):
            made |= with_silences(made["audio_features"], made["audio_feature_lens"], audlens)
        return made


def by_rows(of_images: dict[str, Any], of_videos: Sequence[dict[str, Any]], vidlens: Sequence[int]) -> dict[str, Any]:
    """The values of each row's images, or of its videos: of_images has them by row, of_videos for each video."""
    ends = [*accumulate(vidlens)]
    made: dict[str, Any] = {}
    for key in (key for key in OF_PIXELS if key in of_videos[0]):
        rows = []
        for row, (count, end) in enumerate(zip(vidlens, ends, strict=True)):
            lists = [video[key][0] for video in of_videos[end - count : end]]
            rows.append(joined(lists) if lists else of_images[key][row] if of_images else [])
        made[key] = rows
    if "temporal_ids" in made:  # outputs of the resampler, of which a row has fewer than values where frames are packed
        made["pixel_values"] = parted(made["pixel_values"], [len(ids) for ids in made["temporal_ids"]])
    return made


def joined(lists: list[Any]) -> Any:  # noqa: ANN401 (lists or tensors)
    """One list, or one tensor, of several."""
    import torch

    if isinstance(lists[0], torch.Tensor):
        return torch.cat(lists)
    return [item for each in lists for item in each]


def with_silences(features: Part, lengths: list[Any], audlens: Sequence[int]) -> dict[str, Any]:
    """The features (sounds, bands, frames) and their lengths by row, with a silence for each row without sound."""
    import torch

    ends = [*accumulate(map(len, lengths))]
    sounds, counts = [], []
    for row, (length, end) in enumerate(zip(lengths, ends, strict=True)):
        sounds += [features[number] for number in range(end - len(length), end)]
        counts.append(length)
        if not audlens[row]:
            sounds.append(torch.zeros_like(features[0]))
            counts[-1] = torch.tensor([SILENCE], dtype=torch.long)
    return {"audio_features": torch.stack(sounds), "audio_feature_lens": counts}


class CollationPlugin(Collation, plugins.MiniCPMVPlugin):  # type: ignore[misc]
    """The MiniCPM plugin with it."""


class HighFpsCollationPlugin(Collation, HighFpsPlugin):
    """The plugin for high-fps video with it."""


REPAIRED = {plugins.MiniCPMVPlugin: CollationPlugin, HighFpsPlugin: HighFpsCollationPlugin}


def register() -> None:
    """Put the repaired plugin in the place of the one that is there; a second time changes nothing."""
    upstream = plugins.PLUGINS["minicpm_v"]
    if issubclass(upstream, Collation):
        return
    plugin = plugins.PLUGINS["minicpm_v"] = REPAIRED[upstream]
    for template in TEMPLATES.values():
        if type(template.mm_plugin) is upstream:
            given = {field.name: getattr(template.mm_plugin, field.name) for field in dataclasses.fields(upstream)}
            template.mm_plugin = plugin(**given)
