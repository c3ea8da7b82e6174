"""Which format a source is in, where the recipe does not say."""

from __future__ import annotations

from pathlib import Path

from curate.ingest.raw import Options
from curate.ingest.registry import FORMATS, Format
from curate.ingest.sniffs import Sight, sight
from validators.errors import UsageFault

SHOWN_KEYS = 12


def detect(path: Path, options: Options) -> Format:
    """The one format that the source looks like; UsageFault where there are several or none."""
    seen = sight(path, options)
    fitting = [item for item in FORMATS if item.fits(seen)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(item.name for item in fitting or FORMATS)
    if fitting:
        cure = f"name it: format: {fitting[0].name}"
        raise UsageFault(path, f"could be {names}", "one format", cure)
    raise UsageFault(path, f"of no known form: {describe(seen)}", f"format: one of {names}", hint(seen))


def describe(seen: Sight) -> str:
    """What was seen."""
    names = list(dict.fromkeys(str(key) for row in seen.rows for key in row)) or list(seen.keys or ())
    if names:
        shown = ", ".join(names[:SHOWN_KEYS]) + (", …" if len(names) > SHOWN_KEYS else "")
        return f"an object with {shown}" if seen.keys else f"rows with {shown}"
    if seen.path.is_dir():
        return f"a folder of {len(seen.files)} files" if seen.files else "an empty folder"
    return f"a {seen.suffix or 'nameless'} file" if not seen.rows else "rows"


def hint(seen: Sight) -> str:
    """What may help."""
    if seen.keys:
        return "name the key that holds the rows: field: KEY"
    if seen.rows:
        return "map its columns in the recipe: columns: {file_name: NAME, caption: NAME}"
    return "map a folder's labels with columns: {caption: label}" if seen.files else ""
