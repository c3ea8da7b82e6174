"""A JSON object too large for memory, whose rows are the elements of an array under one of its keys."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from validators.errors import UsageFault
from validators.sources.rows import JsonReader


class ObjectReader(JsonReader):
    """Walks the top level of an object; arrays there are read an element at a time."""

    @staticmethod
    def of(path: Path) -> ObjectReader:
        """A reader from the file's beginning; the file is closed when the walk ends."""
        return ObjectReader(path, codecs.getreader("utf-8")(path.open("rb")))

    def walk(self) -> Iterator[tuple[str, object]]:
        """(key, value) of each top-level key; an array gives a pair for each of its elements."""
        with closing(self.text):
            self.mark("{", "a JSON object")
            while self.skip() != "}":
                key = self.value().value
                if not isinstance(key, str):
                    raise self.fault(f"{key!r} for a key", "a key in quotes")
                self.mark(":", "a colon after a key")
                if self.skip() == "[":
                    self.at += 1
                    for item in self.elements():
                        yield key, item
                else:
                    yield key, self.value().value
                if self.skip() == ",":
                    self.at += 1
                elif self.skip() != "}":
                    raise self.fault(f"{self.skip()!r} after a value", "a comma or the closing brace")

    def elements(self) -> Iterator[object]:
        """What stands between the brackets."""
        while self.skip() != "]":
            yield self.value().value
            if self.skip() == ",":
                self.at += 1
            elif self.skip() != "]":
                raise self.fault(f"{self.skip()!r} after a row", "a comma or the closing bracket")
        self.at += 1

    def mark(self, wanted: str, words: str) -> None:
        """Pass over one character that must be there."""
        if (found := self.skip()) != wanted:
            raise self.fault(repr(found) if found else "the end of the file", words)
        self.at += 1

    def items(self, name: str) -> Iterator[object]:
        """The elements under a key."""
        others = []
        for key, value in self.walk():
            if key == name:
                yield value
                others = [name]
            elif key not in others:
                others.append(key)
        if name not in others:
            raise UsageFault(self.path, f"no rows under {name!r}", f"one of: {', '.join(others)}")
