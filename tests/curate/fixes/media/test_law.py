"""Law 3 for the rules of media, over the examples of their pages and fixtures."""

from __future__ import annotations

import pytest

from curate.fixes.media.copies import MEDIA_FIXERS
from tests.curate.fixes.test_law import keeps_the_law
from tests.rules.test_laws import Project, fixture_of
from tests.scaffold import blocks_of
from validators.rules.fixable import FIXABLE
from validators.rules.registry import BY_CODE

# Half of the file is missing, or most frames have no time
BEYOND = frozenset({"AUD101", "IMG101", "VID101", "VID103"})


@pytest.mark.parametrize("source", ["page", "fixture"])
@pytest.mark.parametrize("code", sorted(MEDIA_FIXERS))
def test_mended_media_keep_the_law(code: str, source: str, project: Project) -> None:
    overlay = blocks_of(BY_CODE[code].page, "Bad") if source == "page" else fixture_of(code, "bad")
    keeps_the_law(project(overlay), code, None if code in BEYOND else FIXABLE[code].safety)


def test_the_surest_way_is_the_one_that_is_declared() -> None:
    for code, fixers in MEDIA_FIXERS.items():
        assert FIXABLE[code].safety is fixers[0].safety
