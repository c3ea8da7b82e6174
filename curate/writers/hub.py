"""A build as a dataset repository: what is sent (`stage`) and how (`send`), in one commit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.writers.built import INFO, BuildOutput, BuiltDataset, media_file
from curate.writers.card import CardDataset, card
from curate.writers.shards import SPLIT, features_of, open_arrow, write_shards
from validators.errors import UsageFault
from validators.model import MediaKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from huggingface_hub import HfApi

README = "README.md"
FILES = "files"
HUB_KEYS = ("formatting", "columns", "tags")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A file to send: its path in the repository, where it is now, its size, its rows if it has rows."""

    path: str
    source: Path
    bytes: int
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Staged:
    """Everything to send but the card, which depends on the card that the repository has."""

    repo: str
    files: tuple[Outgoing, ...]
    card: tuple[CardDataset, ...]
    has_files: bool

    def readme(self, existing: str | None = None) -> str:
        """The card's text."""
        return card(self.repo, self.card, self.has_files, existing)


def stage(build: BuildOutput, repo: str, folder: Path, progress: Callable[[str], None]) -> Staged:
    """Write parquet and the two dataset_info.json into `folder`; media stay where they are and are sent from there."""
    files: list[Outgoing] = []
    cards: list[CardDataset] = []
    for dataset in build.datasets:
        progress(f"{dataset.name}: {dataset.rows} rows, {len(dataset.media)} media files")
        shards = write_shards(dataset, build.media_root, folder / "data" / dataset.name)
        files += [
            Outgoing(f"data/{dataset.name}/{shard.path.name}", shard.path, shard.bytes, shard.rows) for shard in shards
        ]
        cards.append(card_of(dataset, sum(shard.bytes for shard in shards)))
    remote = {item.name: hub_entry(repo, item) for item in build.datasets if trains_from_parquet(item)}
    files.append(written(folder, INFO, remote))
    has_files = len(remote) < len(build.datasets)
    if has_files:
        files += plain_files(build, folder)
    return Staged(repo, tuple(files), tuple(cards), has_files)


def trains_from_parquet(dataset: BuiltDataset) -> bool:
    """Whether LLaMA-Factory 0.9.5 can train on the pushed parquet (see shards: not on videos)."""
    return MediaKind.VIDEO not in dataset.kinds


def hub_entry(repo: str, dataset: BuiltDataset) -> dict[str, object]:
    """The dataset_info entry for `dataset_dir: REMOTE:org/name`."""
    kept = {key: dataset.entry[key] for key in HUB_KEYS if key in dataset.entry}
    return {"hf_hub_url": repo, "subset": dataset.name, "split": SPLIT, **kept}


def plain_files(build: BuildOutput, folder: Path) -> Iterable[Outgoing]:
    """`files/`: all datasets as a local dataset folder, so that one dataset_dir serves any mixture of them."""
    entries: dict[str, object] = {}
    media: dict[str, Path] = {}
    for dataset in build.datasets:
        entries[dataset.name] = dataset.entry
        for file in dataset.data:
            yield Outgoing(f"{FILES}/{file.name}", file.path, file.path.stat().st_size, file.rows)
        media |= {path: media_file(build.media_root, path, dataset.arrow) for path in dataset.media}
    yield written(folder, f"{FILES}/{INFO}", entries)
    for path, source in sorted(media.items()):
        yield Outgoing(f"{FILES}/media/{Path(path).as_posix()}", source, source.stat().st_size)


def written(folder: Path, path: str, value: Mapping[str, object]) -> Outgoing:
    """A JSON file in the staging folder."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return Outgoing(path, target, target.stat().st_size)


def card_of(dataset: BuiltDataset, parquet_bytes: int) -> CardDataset:
    """What the card says of a dataset."""
    return CardDataset(
        name=dataset.name,
        rows=dataset.rows,
        parquet_bytes=parquet_bytes,
        data_files=f"data/{dataset.name}/{SPLIT}-*.parquet",
        kinds=dataset.kinds,
        media=len(dataset.media),
        features=card_features(dataset),
    )


def card_features(dataset: BuiltDataset) -> Mapping[str, Any]:
    """The features as `datasets` writes them into a card."""
    from datasets import DatasetInfo
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    data = DatasetCardData()
    features = features_of(dataset, open_arrow(dataset).column_names)
    DatasetInfosDict({"default": DatasetInfo(features=features)}).to_dataset_card_data(data)
    info: Mapping[str, Any] = data.get("dataset_info")
    return {"features": info["features"]}


def check_repo_id(repo: str) -> None:
    """UsageFault for a name that the Hub would refuse."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UsageFault(repo, str(error), "org/name") from None
    if repo.count("/") != 1:
        raise UsageFault(repo, "no organisation or user in the repository's name", "org/name")


def connect(endpoint: str | None) -> HfApi:
    """A client whose token the Hub accepts."""
    from huggingface_hub import HfApi, get_token

    api = HfApi(endpoint=endpoint, library_name="mmcurate")
    if get_token() is None:
        raise UsageFault(api.endpoint, "no token", "a token that may write", LOG_IN)
    with readable(api.endpoint):
        api.whoami()
    return api


def send(api: HfApi, staged: Staged, folder: Path, private: bool, message: str) -> str:
    """Create the repository if it is missing, send all in one commit; returns the commit's address."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    with readable(f"{api.endpoint}/datasets/{staged.repo}"):
        api.create_repo(staged.repo, repo_type="dataset", private=private or None, exist_ok=True)
        present = api.list_repo_files(staged.repo, repo_type="dataset")
        readme = folder / README
        readme.write_text(staged.readme(remote_readme(api, staged.repo, folder, present)), encoding="utf-8")
        wanted = {item.path: item.source for item in staged.files} | {README: readme}
        operations: list[Any] = [CommitOperationAdd(path, source) for path, source in wanted.items()]
        operations += [CommitOperationDelete(path) for path in stale(staged, present, set(wanted))]
        commit = api.create_commit(staged.repo, operations, commit_message=message, repo_type="dataset")
        return str(commit.commit_url)


def stale(staged: Staged, present: Iterable[str], wanted: set[str]) -> list[str]:
    """Files of an earlier push: a left-over shard would be read as more rows."""
    prefixes = (f"{FILES}/", *(f"data/{item.name}/" for item in staged.card))
    return [path for path in present if path.startswith(prefixes) and path not in wanted]


def remote_readme(api: HfApi, repo: str, folder: Path, present: Iterable[str]) -> str | None:
    """The card that the repository has."""
    if README not in present:
        return None
    local = folder / "present"
    path = Path(api.hf_hub_download(repo, README, repo_type="dataset", local_dir=local))
    text = path.read_text(encoding="utf-8", errors="replace")
    shutil.rmtree(local)
    return text


LOG_IN = "set HF_TOKEN, or run `hf auth login`"
STATUS = {
    401: ("the token was refused (401)", LOG_IN),
    403: ("the token may not write here (403)", "a token with write access to this organisation or user"),
    404: ("not found (404)", "check the repository's name and HF_ENDPOINT"),
    409: ("the repository changed meanwhile (409)", "push again"),
    412: ("the repository changed meanwhile (412)", "push again"),
    413: ("too large for the server (413)", ""),
    429: ("too many requests (429)", "wait and push again"),
}


@contextmanager
def readable(where: str) -> Iterator[None]:
    """Turn what the client raises into one message; never shows the request's headers."""
    try:
        yield
    except UsageFault:
        raise
    except Exception as error:
        fault = explained(where, error)
        if fault is None:
            raise
        raise fault from error


def explained(where: str, error: BaseException) -> UsageFault | None:
    """The fault behind a client's error; None where the error is not the client's."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    chain = list(causes(error))
    for item in chain:
        if isinstance(item, OfflineModeIsEnabled):
            return UsageFault(where, "HF_HUB_OFFLINE is set", "a connection", "unset HF_HUB_OFFLINE")
        response = getattr(item, "response", None)
        status = getattr(response, "status_code", None)
        if not isinstance(status, int):
            continue
        if status in STATUS:
            return UsageFault(where, STATUS[status][0], "", STATUS[status][1])
        said = (getattr(item, "server_message", None) if isinstance(item, HfHubHTTPError) else None) or ""
        return UsageFault(where, f"the server answered {status}{': ' if said else ''}{said}", "", "try again later")
    for item in chain:
        if isinstance(item, ConnectionError | TimeoutError) or type(item).__module__.startswith(("httpx", "requests")):
            found = f"no connection: {item}" if str(item) else f"no connection ({type(item).__name__})"
            return UsageFault(where, found, "", "check the network and HF_ENDPOINT")
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__
