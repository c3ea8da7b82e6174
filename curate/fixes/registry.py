"""Every fixer, by the code of the rule whose findings it mends: the only place where a code stands beside a fixer."""

from __future__ import annotations

from collections.abc import Mapping

from curate.fixes import entries, form, paths, roles, tags
from curate.fixes.media import copies
from curate.fixes.protocol import EntryFixer, MediaFixer, RowFixer
from validators.model import MediaKind

ROW_FIXERS: Mapping[str, RowFixer] = {
    "FRM103": form.messages_as_list,
    "FRM104": form.messages_as_objects,
    "FRM105": form.content_as_text,
    "FRM110": roles.roles_renamed,
    "FRM112": form.text_of_number,
    "FRM113": form.text_of_number,
    "FRM115": form.media_as_paths,
    "MED001": paths.path_found,
    "MED002": paths.path_found,
    "MED101": form.media_as_paths,
    "MED103": paths.path_found,
    "MED202": tags.specials_broken,
    "TAG101": tags.specials_broken,
    "TAG201": tags.tags_dropped(MediaKind.IMAGE),
    "TAG202": tags.tags_inserted(MediaKind.IMAGE),
    "TAG203": tags.tags_dropped(MediaKind.VIDEO),
    "TAG204": tags.tags_inserted(MediaKind.VIDEO),
    "TAG205": tags.tags_dropped(MediaKind.AUDIO),
    "TAG206": tags.tags_inserted(MediaKind.AUDIO),
    "TRN101": roles.roles_renamed,
    "TRN201": roles.turns_in_order,
    "TRN202": roles.turns_in_order,
}
COLUMN_FIXERS = frozenset({"FRM106", "FRM107"})
"""Mended over all rows of the dataset at once: see curate.fixes.columns."""
ENTRY_FIXERS: Mapping[str, EntryFixer] = {
    "DSI002": entries.file_named,
    "DSI003": entries.column_mapped,
    "DSI004": entries.tags_set,
    "DSI101": entries.entry_formed,
    "DSI102": entries.column_key_renamed,
    "DSI103": entries.tags_completed,
    "DSI104": entries.tag_key_renamed,
    "DSI106": entries.split_taken_out,
    "DSI201": entries.media_column_added,
    "DSI301": entries.key_taken_out,
    "FRM116": entries.tags_of_data,
    "TRN101": entries.tags_of_data,
}
MEDIA_FIXERS: Mapping[str, tuple[MediaFixer, ...]] = copies.MEDIA_FIXERS
