"""A dataset hub on 127.0.0.1: the endpoints that huggingface_hub needs to create, push to and read a repository."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_a_token_for_tests_only"
STRANGER = "hf_of_someone_who_may_read_what_is_public"
REGULAR = (".md", ".json", ".jsonl", ".txt", ".yaml")


@dataclass
class Repo:
    """A repository: its files as they are now, the ids of its commits, and the files of earlier ones by id or tag."""

    private: bool = False
    gated: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=lambda: ["0" * 40])
    earlier: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def at(self, revision: str) -> dict[str, bytes] | None:
        """The files of a revision."""
        return self.files if revision in ("main", self.commits[-1]) else self.earlier.get(revision)


@dataclass
class Hub:
    """The server's state, for tests to look at and to break."""

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    failing: dict[str, int] = field(default_factory=dict)
    """Part of a path -> status to answer with."""

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [item for item in self.requests if item[0] in ("POST", "PUT") and "paths-info" not in item[1]]


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Serve until the block ends."""
    hub = Hub()

    class Bound(Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.answer("GET")

    def do_HEAD(self) -> None:
        self.answer("HEAD")

    def do_POST(self) -> None:
        self.answer("POST")

    def do_PUT(self) -> None:
        self.answer("PUT")

    def answer(self, method: str) -> None:
        split = urlsplit(self.path)
        path = unquote(split.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.state.requests.append((method, path))
        status = next((code for part, code in self.state.failing.items() if part in path), None)
        if status is not None:
            return self.reply(status, {"error": "out of order"})
        may_write = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if path.startswith("/lfs/"):  # like the real one, its addresses are their own permission
            return self.put_blob(path.removeprefix("/lfs/"), body)
        if not may_write and (method == "POST" or path == "/api/whoami-v2") and "paths-info" not in path:
            return self.reply(401, {"error": "Invalid username or password."})
        for pattern, name in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and not self.is_refused(name, *match.groups()):
                return getattr(self, name)(*match.groups(), body=body, query=parse_qs(split.query))
            if match:
                return None
        return self.reply(404, {"error": f"no such endpoint: {path}"})

    def is_refused(self, name: str, repo: str = "", revision: str | None = None, *_: object) -> bool:
        """Answer as the real one where a reader may not see a repository, or there is no such revision."""
        found = self.state.repos.get(repo)
        if name not in ("info", "tree", "paths_info", "resolve"):
            return False
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        known = token in (TOKEN, STRANGER)
        if found is None or (found.private and token != TOKEN):
            self.reply(404 if known else 401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif found.gated and token != TOKEN and name != "info":
            words = "Access to this dataset is restricted."
            self.reply(403 if known else 401, {"error": words}, {"X-Error-Code": "GatedRepo"})
        elif revision is not None and found.at(revision) is None:
            self.reply(404, {"error": f"Invalid rev id: {revision}"}, {"X-Error-Code": "RevisionNotFound"})
        else:
            return False
        return True

    def reply(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        headers = {"Content-Length": str(len(data)), **(headers or {})}
        for name, text in headers.items():
            self.send_header(name, text)
        if isinstance(value, dict) and "error" in value:
            self.send_header("X-Error-Message", str(value["error"]))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def whoami(self, **_: object) -> None:
        self.reply(200, {"type": "user", "name": "tester", "orgs": [], "auth": {"type": "access_token"}})

    def create(self, body: bytes, **_: object) -> None:
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        url = f"{self.state.url}/datasets/{name}"
        if name in self.state.repos:
            return self.reply(409, {"error": "You already created this dataset repo", "url": url})
        assert asked["type"] == "dataset"
        # huggingface_hub below 1 asks for `private`, later ones for a `visibility`
        self.state.repos[name] = Repo(private=bool(asked.get("private")) or asked.get("visibility") == "private")
        return self.reply(200, {"url": url, "name": name, "id": name})

    def validate_yaml(self, body: bytes, **_: object) -> None:
        assert json.loads(body)["content"].startswith("---\n")
        self.reply(200, {"errors": [], "warnings": []})

    def preupload(self, repo: str, _: str, body: bytes, **__: object) -> None:
        files = [item["path"] for item in json.loads(body)["files"]]
        modes = {path: "regular" if path.endswith(REGULAR) else "lfs" for path in files}
        present = self.state.repos[repo].files
        self.reply(200, {"files": [self.mode(path, mode, present.get(path)) for path, mode in modes.items()]})

    @staticmethod
    def mode(path: str, mode: str, data: bytes | None) -> dict[str, object]:
        """How to upload a file, and by which hash the repository knows the one that it has."""
        reply: dict[str, object] = {"path": path, "uploadMode": mode, "shouldIgnore": False}
        if data is not None and mode == "lfs":
            reply["oid"] = hashlib.sha256(data).hexdigest()
        elif data is not None:
            reply["oid"] = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        return reply

    def lfs_batch(self, repo: str, body: bytes, **_: object) -> None:
        objects = []
        for item in json.loads(body)["objects"]:
            reply = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.state.blobs:
                reply["actions"] = {"upload": {"href": f"{self.state.url}/lfs/{item['oid']}"}}
            objects.append(reply)
        self.reply(200, {"transfer": "basic", "objects": objects})

    def put_blob(self, oid: str, body: bytes) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.state.blobs[oid] = body
        self.reply(200, b"")

    def commit(self, repo: str, _: str, body: bytes, **__: object) -> None:
        files = dict(self.state.repos[repo].files)
        for line in body.decode().splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.state.blobs[value["oid"]]
            elif item["key"] == "deletedFile":
                del files[value["path"]]
        before = self.state.repos[repo]
        before.earlier[before.commits[-1]] = before.files
        before.files = files
        oid = hashlib.sha1(body, usedforsecurity=False).hexdigest()
        before.commits.append(oid)
        url = f"{self.state.url}/datasets/{repo}/commit/{oid}"
        self.reply(200, {"success": True, "commitOid": oid, "commitUrl": url})

    def files(self, repo: str, revision: str | None) -> dict[str, bytes]:
        """What a revision holds; `is_refused` has seen that there is one."""
        return self.state.repos[repo].at(revision or "main") or {}

    def commit_of(self, repo: str, revision: str | None) -> str:
        """The commit's id."""
        return self.state.repos[repo].commits[-1] if revision in (None, "main") else str(revision)

    def info(self, repo: str, revision: str | None = None, **_: object) -> None:
        siblings = [{"rfilename": path} for path in sorted(self.files(repo, revision))]
        sha = self.commit_of(repo, revision)
        return self.reply(200, {"id": repo, "sha": sha, "siblings": siblings, "tags": []})

    def tree(self, repo: str, revision: str, below: str | None, query: dict[str, list[str]], **_: object) -> None:
        root = below.strip("/") + "/" if below and below.strip("/") else ""
        recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
        entries: dict[str, dict[str, object]] = {}
        for path, data in self.files(repo, revision).items():
            if not path.startswith(root):
                continue
            parts = path.removeprefix(root).split("/")
            for depth in range(1, len(parts) if recursive else min(2, len(parts))):
                folder = root + "/".join(parts[:depth])
                entries[folder] = {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0}
            if recursive or len(parts) == 1:
                entries[path] = entry(path, data)
        if root and not entries:
            return self.reply(404, {"error": "no such folder"}, {"X-Error-Code": "EntryNotFound"})
        return self.reply(200, [entries[path] for path in sorted(entries)])

    def paths_info(self, repo: str, revision: str, body: bytes, **_: object) -> None:
        if self.headers.get("Content-Type", "").startswith("application/json"):
            paths = json.loads(body)["paths"]
        else:
            paths = parse_qs(body.decode())["paths"]
        files = self.files(repo, revision)
        found = [entry(path, files[path]) for path in paths if path in files]
        folders = [path for path in paths if any(name.startswith(path.rstrip("/") + "/") for name in files)]
        found += [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders]
        self.reply(200, found)

    def resolve(self, repo: str, revision: str, path: str, **_: object) -> None:
        files = self.files(repo, revision)
        if path not in files:
            return self.reply(404, {"error": f"{path} not found"}, {"X-Error-Code": "EntryNotFound"})
        data = files[path]
        etag = hashlib.sha256(data).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": self.commit_of(repo, revision), "Accept-Ranges": "bytes"}
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match is None:
            return self.reply(200, data, headers)
        start, stop = int(match[1]), int(match[2] or len(data) - 1)
        headers["Content-Range"] = f"bytes {start}-{min(stop, len(data) - 1)}/{len(data)}"
        return self.reply(206, data[start : stop + 1], headers)


def entry(path: str, data: bytes) -> dict[str, object]:
    """A file in a listing."""
    return {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha256(data).hexdigest()[:40]}


REPO = r"([^/]+/[^/]+)"
ROUTES = (
    (r"/api/whoami-v2", "whoami"),
    (r"/api/repos/create", "create"),
    (r"/api/validate-yaml", "validate_yaml"),
    (rf"/api/datasets/{REPO}/preupload/([^/]+)", "preupload"),
    (rf"/datasets/{REPO}\.git/info/lfs/objects/batch", "lfs_batch"),
    (rf"/api/datasets/{REPO}/commit/([^/]+)", "commit"),
    (rf"/api/datasets/{REPO}", "info"),
    (rf"/api/datasets/{REPO}/revision/([^/]+)", "info"),
    (rf"/api/datasets/{REPO}/tree/([^/]+)(/.*)?", "tree"),
    (rf"/api/datasets/{REPO}/paths-info/([^/]+)", "paths_info"),
    (rf"/datasets/{REPO}/resolve/([^/]+)/(.+)", "resolve"),
)
