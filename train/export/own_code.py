"""Which code a model's folder names, and the base's names put back after a merge.

transformers writes auto_map and the tokenizer's class anew for the classes that it holds in memory
(4.57.1, dynamic_module_utils.py: custom_object_save; tokenization_utils_base.py: save_pretrained). The base's
`["tokenization_own.OwnTokenizerFast", null]` becomes `["tokenization_qwen2.Qwen2Tokenizer", …]`, whose file no folder
has, and `OwnTokenizerFast` loses its `Fast`: the merged folder then loads by other code than the base, or not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from curate.writers.atomic import write_whole
from validators.budgets.text import read_config

CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
DECLARE_CODE = (
    CONFIG, TOKENIZER_CONFIG, "preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json",
)  # fmt: skip
"""The files that can hold an auto_map."""
MAP, TOKENIZER_CLASS = "auto_map", "tokenizer_class"
CLASSES = (TOKENIZER_CLASS, "processor_class")
RELATIVE_IMPORTS = (r"^\s*import\s+\.(\S+)\s*$", r"^\s*from\s+\.(\S+)\s+import")
"""transformers 4.57.1, dynamic_module_utils.py: get_relative_imports."""


def restore_code(base: Path, out: Path) -> list[str]:
    """Put the base's auto_map and tokenizer class in place of what the merge wrote; what was changed, in words.

    Nothing else in the files is touched: added tokens, chat templates and sizes are the training's.
    """
    declared = declared_in(base)
    changed = []
    for name in DECLARE_CODE:
        written = read_config(out / name)
        value, keys = with_code_of(read_config(base / name), written, declared, (base / name).is_file())
        if keys:
            write_whole(out / name, json.dumps(value, ensure_ascii=False, indent=2) + "\n")
            changed.append(f"{' and '.join(keys)} of {name}")
    return changed


def other_code(base: Path, out: Path) -> list[str]:
    """Names of the base's code files that the merged folder has with other bytes: left there by another merge, or
    copied by transformers from a cache that holds an older version."""
    if not declared_in(base):
        return []
    names = [path.name for path in sorted(base.glob("*.py")) if (out / path.name).is_file()]
    return [name for name in names if (base / name).read_bytes() != (out / name).read_bytes()]


def declared_in(folder: Path) -> dict[str, object]:
    """All of a folder's auto_maps as one: Auto class -> what it is loaded from."""
    found: dict[str, object] = {}
    for name in DECLARE_CODE:
        for each in maps_of(read_config(folder / name)):
            found = dict(each) | found
    return found


def maps_of(config: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """The auto_maps of a file: its own, and those of the parts that transformers 5 nests in processor_config.json.

    A list in place of a map is the tokenizer's slow and fast class (transformers 4.57.1, tokenization_auto.py).
    """
    own = config.get(MAP)
    if isinstance(own, list):
        yield {"AutoTokenizer": own}
    if isinstance(own, Mapping):
        yield own
    for key, part in config.items():
        if key != MAP and isinstance(part, Mapping) and isinstance(part.get(MAP), Mapping):
            yield part[MAP]


def with_code_of(
    base: Mapping[str, object], written: Mapping[str, object], declared: Mapping[str, object], is_there: bool
) -> tuple[dict[str, object], list[str]]:
    """A merged file's content with the base's code in it, and the keys that were changed.

    is_there: whether the base has this file. In one that only the merge wrote, each Auto class is loaded from what the
    base declares for it in another file; a class that the base declares nowhere is dropped.
    """
    value = dict(written)
    keys: list[str] = []
    if not value:
        return value, keys
    wanted = base.get(MAP) if is_there else None
    if not is_there and isinstance(written.get(MAP), Mapping):
        wanted = known_of(written[MAP], declared) or None
    if set_or_drop(value, MAP, wanted):
        keys = [MAP]
        keys += [key for key in CLASSES if is_there and set_or_drop(value, key, base.get(key))]
    elif base.get(TOKENIZER_CLASS) is not None and set_or_drop(value, TOKENIZER_CLASS, base[TOKENIZER_CLASS]):
        keys = [TOKENIZER_CLASS]
    for key, part in written.items():
        if key != MAP and isinstance(part, Mapping) and isinstance(part.get(MAP), Mapping):
            inner = dict(part)
            if set_or_drop(inner, MAP, known_of(part[MAP], declared) or None):
                value[key] = inner
                keys.append(f"{key}.{MAP}")
    return value, keys


def known_of(written: object, declared: Mapping[str, object]) -> dict[str, object]:
    """The Auto classes of an auto_map that the base declares, with what the base loads them from."""
    return {key: declared[key] for key in written if key in declared} if isinstance(written, Mapping) else {}


def set_or_drop(value: dict[str, object], key: str, wanted: object) -> bool:
    """Give the key this value, or remove it for None; whether that changed anything."""
    if value.get(key) == wanted:
        return False
    if wanted is None:
        del value[key]
    else:
        value[key] = wanted
    return True


def code_of(folder: Path) -> Iterator[tuple[str, str]]:
    """Modules of the model's own code by auto_map: (repository, "" for the folder itself; module)."""
    for name in DECLARE_CODE:
        for declared in maps_of(read_config(folder / name)):
            for value in declared.values():
                for each in value if isinstance(value, list) else [value]:
                    if isinstance(each, str) and "." in each:
                        repository, _, path = each.rpartition("--")
                        yield repository, path.split(".")[0]


def missing_modules(folder: Path) -> list[str]:
    """Files of the folder's own code that are not in it: the declared ones, and what those import from beside them."""
    known: set[str] = set()
    waiting = {module for repository, module in code_of(folder) if not repository}
    missing = []
    while waiting:
        module = waiting.pop()
        known.add(module)
        path = folder / f"{module.replace('.', '/')}.py"
        if not path.is_file():
            missing.append(path.relative_to(folder).as_posix())
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found = {name for form in RELATIVE_IMPORTS for name in re.findall(form, text, re.MULTILINE)}
        waiting |= {name for name in found - known if not name.startswith(".")}
    return sorted(missing)
