"""Which codes a mended copy of the medium answers, and how: the first that can make one does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from curate.fixes.media.broken_image import save_what_decodes
from curate.fixes.media.broken_video import copy_what_decodes
from curate.fixes.media.depth import scale_to_8_bits
from curate.fixes.media.first_frame import still_suffix, take_first_frame
from curate.fixes.media.orientation import bake_orientation
from curate.fixes.media.proving import Proved, altered_by, unusable
from curate.fixes.media.remux import has_no_count, has_no_times, remux
from curate.fixes.media.sound import save_as_wav
from curate.fixes.media.transparency import flat_suffix, flatten_on_white
from curate.fixes.media.upright import encode_upright
from curate.fixes.protocol import MediaFixer
from curate.media.make.pictures import own_suffix
from validators.model import MediaKind
from validators.probes.facts import Alteration
from validators.rules.fixable import Safety

IMAGE, VIDEO, AUDIO = MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO
SAFE, UNSAFE = Safety.SAFE, Safety.UNSAFE
UNCOVERED = altered_by(Alteration.ALPHA, Alteration.ALPHA_RESIZED)


def png(_: Path) -> str:
    """The ending of pictures that become PNG."""
    return ".png"


def mp4(_: Path) -> str:
    """The ending of videos."""
    return ".mp4"


def wav(_: Path) -> str:
    """The ending of sounds."""
    return ".wav"


MEDIA_FIXERS: Mapping[str, tuple[MediaFixer, ...]] = {
    "AUD101": (MediaFixer(Proved(AUDIO, unusable, save_as_wav), wav, UNSAFE),),
    "IMG101": (MediaFixer(Proved(IMAGE, unusable, save_what_decodes), own_suffix, UNSAFE),),
    "IMG301": (MediaFixer(Proved(IMAGE, altered_by(Alteration.ROTATED), bake_orientation), own_suffix, SAFE),),
    "IMG302": (MediaFixer(Proved(IMAGE, UNCOVERED, flatten_on_white), flat_suffix, UNSAFE),),
    "IMG303": (MediaFixer(Proved(IMAGE, altered_by(Alteration.DEPTH), scale_to_8_bits), png, UNSAFE),),
    "IMG304": (MediaFixer(Proved(IMAGE, altered_by(Alteration.FIRST_FRAME), take_first_frame), still_suffix, UNSAFE),),
    "VID101": (MediaFixer(Proved(VIDEO, unusable, copy_what_decodes), mp4, UNSAFE),),
    "VID103": (MediaFixer(Proved(VIDEO, has_no_times, remux), mp4, UNSAFE),),
    "VID301": (
        MediaFixer(Proved(VIDEO, has_no_count, remux), mp4, SAFE),
        MediaFixer(Proved(VIDEO, has_no_count, encode_upright), mp4, UNSAFE),
    ),
    "VID302": (MediaFixer(Proved(VIDEO, altered_by(Alteration.ROTATED), encode_upright), mp4, UNSAFE),),
}
