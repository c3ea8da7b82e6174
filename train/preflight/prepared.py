"""Rows that an earlier run has tokenized and saved: what a run with their tokenized_path trains on.

Source: datasets 4.0.0, arrow_dataset.py: save_to_disk (state.json names the files; rows are written in their order).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validators.errors import UsageFault

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Numbers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]

IGNORED = -100


def has_rows(folder: Path) -> bool:
    """Whether the trainer finds tokenized rows there (llamafactory 0.9.5, data/data_utils.py: has_tokenized_data)."""
    return folder.is_dir() and any(folder.iterdir())


def read_prepared(folder: Path) -> tuple[Numbers, Numbers]:
    """Tokens and supervised tokens of each row to train on; UsageFault where they cannot be read."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    tokens, supervised = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    try:
        for batch in batches_of(folder):
            labels: Any = batch.column(batch.schema.get_field_index("labels"))
            lengths = pc.list_value_length(labels).to_numpy(zero_copy_only=False).astype(np.int64)
            starts = np.concatenate([[0], np.cumsum(lengths)])
            marked = labels.flatten().to_numpy(zero_copy_only=False) != IGNORED
            sums = np.concatenate([[0], np.cumsum(marked)])
            tokens.append(lengths)
            supervised.append(sums[starts[1:]] - sums[starts[:-1]])
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise UsageFault(
            folder, f"rows that cannot be read: {error}", "what a run with this tokenized_path saved"
        ) from error
    return np.concatenate(tokens), np.concatenate(supervised)


def batches_of(folder: Path) -> Iterator[pa.RecordBatch]:
    """The rows to train on, by columns."""
    import pyarrow as pa

    part = folder / "train" if (folder / "train").is_dir() else folder
    state = json.loads((part / "state.json").read_text(encoding="utf-8"))
    for file in state["_data_files"]:
        with pa.memory_map(str(part / Path(file["filename"]).name)) as source:
            yield from pa.ipc.open_stream(source)
