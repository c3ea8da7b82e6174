"""What is known of files from earlier builds: their hashes, where their copies lie, and what was changed about them.

An SQLite file: a process that is killed leaves all but the last moments' records, and never half of one. What a record
says is believed only while the file that it speaks of has the same size, time and inode.
"""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from curate.work.states import Stamp, sha256_of, stamp_of

SECONDS = 0.2  # between two commits, while there are records
SCHEMA = """
CREATE TABLE IF NOT EXISTS digests (path BLOB PRIMARY KEY, size INT, time INT, inode INT, sha256 TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (place BLOB PRIMARY KEY, size INT, time INT, inode INT, source TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (key TEXT PRIMARY KEY, sha256 TEXT, suffix TEXT, words TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS looks (
    path BLOB, kind TEXT, size INT, time INT, inode INT, maker TEXT, look BLOB, PRIMARY KEY (path, kind)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Remade:
    """What became of a medium that was to be changed: the copy's hash and ending, None and empty where it stayed."""

    sha256: str | None
    suffix: str
    words: str


def opened(file: Path | None) -> sqlite3.Connection:
    """A sound base; DatabaseError where it is damaged."""
    base = sqlite3.connect(str(file or ":memory:"), isolation_level=None)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA synchronous = NORMAL")
    if base.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("damaged")
    base.executescript(SCHEMA)
    base.execute("BEGIN")
    return base


class Memory:
    """The records of one work folder, or of this process alone."""

    def __init__(self, file: Path | None = None) -> None:
        self.committed = monotonic()
        try:
            self.base = opened(file)
        except sqlite3.DatabaseError:
            if file is None:
                raise
            for part in file.parent.glob(f"{file.name}*"):  # damaged: what it knew is found out again
                part.unlink()
            self.base = opened(file)

    def sha256(self, path: Path) -> str | None:
        """A file's hash, if it is known."""
        stamp = stamp_of(path)
        return self.one(
            "SELECT sha256 FROM digests WHERE path = ? AND size = ? AND time = ? AND inode = ?", path, stamp
        )

    def hash_of(self, path: Path) -> str:
        """A file's hash: as it is known, else by reading the file."""
        known = self.sha256(path)
        if known is None:
            stamp = stamp_of(path)
            known = sha256_of(path)
            self.know_sha256(path, stamp, known)
        return known

    def know_sha256(self, path: Path, stamp: Stamp | None, sha256: str) -> None:
        """Keep a file's hash. stamp: the file as it was before it was read."""
        if stamp is not None and stamp == stamp_of(path):
            self.put("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?)", os.fsencode(path), *stamp, sha256)

    def lies(self, place: Path, source: str) -> bool:
        """Whether a file still is the copy that was made of a source."""
        query = "SELECT source FROM places WHERE place = ? AND size = ? AND time = ? AND inode = ?"
        return self.one(query, place, stamp_of(place)) == source

    def know_place(self, place: Path, source: str) -> None:
        """Keep that a file is a copy of a source."""
        stamp = stamp_of(place)
        if stamp is not None:
            self.put("INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?, ?)", os.fsencode(place), *stamp, source)

    def remade(self, key: str) -> Remade | None:
        """What became of the medium of a key: of its bytes, its modality, and what was to be changed."""
        found = self.base.execute("SELECT sha256, suffix, words FROM changes WHERE key = ?", (key,)).fetchone()
        return Remade(*found) if found else None

    def know_remade(self, key: str, what: Remade) -> None:
        """Keep what became of a medium."""
        self.put("INSERT OR REPLACE INTO changes VALUES (?, ?, ?, ?)", key, what.sha256, what.suffix, what.words)

    def look(self, path: str, kind: str, maker: str) -> bytes | None:
        """What was found in a file by decoding it; empty where it cannot be decoded, None where it is not known.

        maker: what decodes; another one's finds are none.
        """
        stamp = stamp_of(path)
        if stamp is None:
            return None
        query = "SELECT look FROM looks WHERE path = ? AND kind = ? AND maker = ? AND (size, time, inode) = (?, ?, ?)"
        found = self.base.execute(query, (os.fsencode(path), kind, maker, *stamp)).fetchone()
        return bytes(found[0]) if found else None

    def know_look(self, path: str, kind: str, maker: str, stamp: Stamp | None, look: bytes) -> None:
        """Keep what was found in a file. stamp: the file as it was before it was read."""
        if stamp is not None and stamp == stamp_of(path):
            self.put(
                "INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?, ?, ?)",
                os.fsencode(path),
                kind,
                *stamp,
                maker,
                look,
            )

    def fact(self, name: str) -> str | None:
        """A fact about the work folder."""
        found = self.base.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else None

    def know_fact(self, name: str, value: str) -> None:
        """Keep a fact, at once."""
        self.put("INSERT OR REPLACE INTO facts VALUES (?, ?)", name, value)
        self.commit()

    def one(self, query: str, path: Path, stamp: Stamp | None) -> str | None:
        """The one value of a record whose file is as it was."""
        if stamp is None:
            return None
        found = self.base.execute(query, (os.fsencode(path), *stamp)).fetchone()
        return str(found[0]) if found else None

    def put(self, query: str, *values: object) -> None:
        """Write a record; it is on disk with the next commit."""
        self.base.execute(query, values)
        if monotonic() - self.committed > SECONDS:
            self.commit()

    def commit(self) -> None:
        """All records so far to disk."""
        self.base.execute("COMMIT")
        self.base.execute("BEGIN")
        self.committed = monotonic()

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        self.base.execute("COMMIT")
        self.base.close()
