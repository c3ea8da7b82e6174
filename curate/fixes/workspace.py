"""Changed copies of files, kept aside until all is decided; then each takes the place of its original, or none does."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from curate.writers.atomic import flush_folder
from validators.errors import UsageFault
from validators.findings import Finding
from validators.sources.target import manifest_of


class Workspace:
    """The newest version of each changed file, in a hidden folder beside it; use it in a `with` block."""

    def __init__(self) -> None:
        self.names: dict[Path, Path] = {}
        """Files as targets spell them, and what they are without links."""
        self.newest: dict[Path, Path] = {}
        self.origin: dict[str, str] = {}
        self.folders: dict[Path, Path] = {}
        self.homes: dict[Path, Path] = {}
        self.stamps: dict[Path, tuple[int, int]] = {}
        self.count = 0

    def __enter__(self) -> Workspace:
        """Nothing is made before it is needed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what has not taken an original's place."""
        for folder in self.folders.values():
            shutil.rmtree(folder, ignore_errors=True)

    def know(self, paths: Iterable[Path], home: Path | None = None) -> None:
        """Note files that may change. home: the folder for what is made beside them, where it is not their own."""
        for path in paths:
            if path not in self.names and str(path) not in self.origin:
                real = Path(os.path.realpath(path))
                self.names[path] = real
                self.homes.setdefault(real, Path(os.path.realpath(home)) if home is not None else real.parent)

    @property
    def instead(self) -> Mapping[Path, Path]:
        """What to read in place of what."""
        return {name: self.newest[real] for name, real in self.names.items() if real in self.newest}

    def now(self, path: Path) -> Path:
        """The file to read for an original."""
        return self.newest.get(self.names[path], path)

    def stage(self, path: Path) -> Path:
        """A place to write the original's next version to; `adopt` makes it the newest."""
        real = self.names[path]
        home = self.homes[real]
        if real not in self.stamps:
            self.stamps[real] = stamp(real)
            spare_builds(real)
        if home not in self.folders:
            try:
                self.folders[home] = Path(tempfile.mkdtemp(prefix=".curate-fix-", dir=home))
            except OSError as error:
                raise UsageFault(
                    home, f"cannot be written: {error.strerror}", "a folder that can be written"
                ) from error
        self.count += 1
        folder = self.folders[home] / str(self.count)
        folder.mkdir()
        return folder / real.name

    def adopt(self, path: Path, staged: Path) -> None:
        """Make a staged version the newest one."""
        self.newest[self.names[path]] = staged
        self.origin[str(staged)] = str(path)

    def state(self) -> Mapping[Path, Path]:
        """What `back` goes back to."""
        return dict(self.newest)

    def back(self, state: Mapping[Path, Path]) -> None:
        """Forget the versions since then."""
        self.newest = dict(state)

    def original(self, path: str | Path) -> Path:
        """The original of a staged file, as its target spells it; any other file as it is."""
        return Path(self.origin.get(str(path), str(path)))

    def restored(self, finding: Finding) -> Finding:
        """A finding that names the original in place of the staged file."""
        origin = self.origin.get(finding.file)
        return finding if origin is None else replace(finding, file=origin)

    def changes(self) -> list[tuple[Path, Path]]:
        """Originals, as spelled, with their newest versions."""
        seen: dict[Path, tuple[Path, Path]] = {}
        for name, real in self.names.items():
            if real in self.newest:
                seen.setdefault(real, (name, self.newest[real]))
        return list(seen.values())

    def beside(self, path: Path, ending: str) -> Path:
        """A file beside an original: `data.bak`; for a folder's files beside the folder: `parts.a.json.bak`.

        All that lies in the folder of a dataset counts as its data.
        """
        real = self.names[path]
        home = self.homes[real]
        if home != real.parent:
            return home / f"{real.parent.name}.{ending}"
        near = path.parent if Path(os.path.realpath(path.parent)) == home else home
        return near / ending

    def verify(self) -> None:
        """UsageFault where an original has changed meanwhile."""
        for real in self.newest:
            if stamp(real) != self.stamps[real]:
                raise UsageFault(real, "was changed by someone else meanwhile", "a file at rest", "run it again")

    def commit(self, keep_backups: bool) -> list[tuple[Path, Path | None]]:
        """Put every newest version in its original's place; the originals, with their backups."""
        done: list[tuple[Path, Path | None]] = []
        for path, staged in self.changes():
            real = self.names[path]
            try:
                shutil.copymode(real, staged)
                with staged.open("rb") as file:
                    os.fsync(file.fileno())
                backup = self.back_up(path) if keep_backups else None
                staged.replace(real)
                flush_folder(real.parent)
            except OSError as error:
                raise UsageFault(real, f"cannot be written: {error.strerror}", "a file that can be replaced") from error
            done.append((path, backup))
        return done

    def back_up(self, path: Path) -> Path:
        """Keep the original under the first free name of .bak, .bak1, .bak2 …"""
        real = self.names[path]
        number = 0
        while True:
            backup = self.beside(path, f"{real.name}.bak{number or ''}")
            try:
                os.link(real, backup)
            except FileExistsError:
                number += 1
            except OSError:  # a file system without hard links
                with backup.open("xb") as target, real.open("rb") as source:
                    shutil.copyfileobj(source, target)
                shutil.copystat(real, backup)
                return backup
            else:
                return backup


def spare_builds(path: Path) -> None:
    """UsageFault for a file that a manifest vouches for."""
    for folder in path.parents[:2]:
        files = (manifest_of(folder) or {}).get("files")
        if isinstance(files, Mapping) and path.relative_to(folder).as_posix() in files:
            raise UsageFault(
                path,
                "belongs to a build, whose manifest says what is in it",
                "the data that the build is made from",
                "mend those, and run `curate build` again",
            )


def stamp(path: Path) -> tuple[int, int]:
    """Size and time of the last change."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
