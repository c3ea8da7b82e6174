"""Media from the network: what is refused, what is asked for again, and what a build takes from its cache."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.cli import main
from curate.ingest.raw import Blob, NoUse, RawItem, Remote, shown
from curate.media import fetch, fetcher
from curate.media.fetch import Asked, Unanswered
from curate.media.fetcher import Fetcher
from curate.media.http_cache import HttpCache, cache_folder, cache_size
from tests.curate.make_samples import SAMPLES
from tests.curate.web import HANGS, Page, Web, running_web
from validators.errors import UsageFault
from validators.model import MediaKind

RED = (SAMPLES / "media" / "red.jpg").read_bytes()
BLUE = (SAMPLES / "media" / "blue.png").read_bytes()
SHA = hashlib.sha256(RED).hexdigest()
LARGE = b"x" * 100_000
GIB = 1 << 30


def here(address: str) -> bool:
    """A judge that lets the test server through, and nothing else."""
    return address == "127.0.0.1"


@pytest.fixture
def web() -> Iterator[Web]:
    with running_web() as running:
        running.pages["/red.jpg"] = Page(RED)
        yield running


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the test, and no patience."""
    monkeypatch.setenv("MMCURATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetcher, "FIRST_WAIT", 0.01)
    return tmp_path / "cache" / "http"


@pytest.fixture
def near(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test server counts as public."""
    monkeypatch.setattr(fetch, "is_public", here)


def get(url: str, limit: int = 2000, seconds: float = 60) -> tuple[bytes, fetch.Reply]:
    out = io.BytesIO()
    reply = fetch.fetch(url, out, Asked(time.monotonic() + seconds, limit=limit), here)
    return out.getvalue(), reply


def test_an_address_is_fetched(web: Web) -> None:
    web.pages["/here"] = Page(status=307, place="/red.jpg")
    body, reply = get(f"{web.url}/red.jpg")
    assert body == RED and reply.etag and reply.keep and reply.seconds == 0
    assert get(f"{web.url}/here")[0] == RED


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (Page(status=302, place="http://10.0.0.1/red.jpg"), "http://10.0.0.1/red.jpg is at a private address"),
        (Page(status=302, place="file:///etc/passwd"), "file:///etc/passwd is no http address"),
        (Page(status=302, place="/page"), "leads on more than 5 times"),
        (Page(b"x" * 5000), "is larger than"),
        (Page(b""), "is empty"),
        (Page(status=404), "answers 404"),
        (Page(status=304), "answers 304"),
    ],
)
def test_an_address_that_is_no_use(page: Page, reason: str, web: Web) -> None:
    web.pages["/page"] = page
    with pytest.raises(NoUse) as raised:
        get(f"{web.url}/page")
    assert reason in str(raised.value) and not isinstance(raised.value, Unanswered)


@pytest.mark.parametrize(
    ("page", "reason", "again", "wait"),
    [
        (Page(RED, promised=9000), "ended early", True, None),
        (Page(status=503, retry_after="7"), "answers 503", True, 7),
        (Page(status=429, retry_after="soon"), "answers 429", True, None),
        (Page(status=501), "answers 501", False, None),
        (Page(b"x" * 100, trickle=0.1), "takes longer than", False, None),
    ],
)
def test_an_address_that_may_answer_another_time(
    page: Page, reason: str, again: bool, wait: float | None, web: Web
) -> None:
    web.pages["/page"] = page
    with pytest.raises(Unanswered) as raised:
        get(f"{web.url}/page", seconds=3)
    assert (raised.value.again, raised.value.wait) == (again, wait) and reason in str(raised.value)


def test_a_wait_may_be_a_date() -> None:
    assert fetch.seconds_in("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert (fetch.seconds_in("Wed, 21 Oct 2099 07:28:00 GMT") or 0) > 1e9


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("192.168.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:127.0.0.1", False),
        ("224.0.0.1", False),
        ("93.184.215.14", True),
        ("2606:2800:21f::1", True),
    ],
)
def test_only_the_open_internet_is_public(address: str, public: bool) -> None:
    assert fetch.is_public(address) is public


def test_addresses_are_shown_without_what_is_secret() -> None:
    assert shown("https://me:pass@host:8/a.jpg?sig=s3cret#part") == "https://host:8/a.jpg?…"
    assert shown("http://[broken") == "an address"


# builds


def build(home: Path, *urls: str, code: int = 0) -> None:
    """Build a row for each address."""
    home.mkdir(exist_ok=True)
    rows = []
    for number, url in enumerate(urls):
        messages = [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": f"{number}."}]
        rows.append(json.dumps({"messages": messages, "images": [url]}) + "\n")
    (home / "rows.jsonl").write_text("".join(rows))
    source = {"path": "rows.jsonl", "format": "openai"}
    recipe = {"version": 1, "target": "out", "fetch": True, "datasets": [{"name": "data", "sources": [source]}]}
    (home / "recipe.yaml").write_text(json.dumps(recipe))
    assert main(["build", str(home / "recipe.yaml")]) == code


def images(home: Path) -> list[str]:
    return [entry["images"][0] for entry in json.loads((home / "out" / "data.json").read_text())]


def dropped(home: Path) -> list[str]:
    refused = home / ".out.work" / "refused" / "ledger.jsonl"
    ledger = refused if refused.is_file() else home / "out" / "ledger.jsonl"
    entries = [json.loads(line) for line in ledger.read_text().splitlines()]
    return [entry["reason"] for entry in entries if entry["action"] == "dropped"]


def test_a_build_does_not_fetch_from_this_machine(web: Web, tmp_path: Path) -> None:
    build(tmp_path / "home", f"{web.url}/red.jpg", code=1)
    assert dropped(tmp_path / "home") == [f"{web.url}/red.jpg is at a private address"] and web.seen == []


@pytest.mark.usefixtures("near")
def test_a_second_build_asks_whether_anything_is_new(web: Web, tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "home"
    web.pages["/other"] = Page(BLUE, etag=False)
    urls = [f"{web.url}/red.jpg", f"{web.url}/other", f"{web.url}/red.jpg", f"{web.url}/gone"]
    build(home, *urls)
    red = f"media/{SHA[:2]}/{SHA}.jpg"
    assert images(home)[::2] == [red, red] and images(home)[1].endswith(".png")
    assert web.counts == {200: 2, 404: 1}  # each address once, however many rows have it
    first = {path: path.read_bytes() for path in (home / "out").rglob("*") if path.is_file()}
    web.seen.clear()
    build(home, *urls)
    assert (web.statuses("/red.jpg"), web.statuses("/other")) == ([304], [200])
    assert {path: path.read_bytes() for path in (home / "out").rglob("*") if path.is_file()} == first
    web.pages["/red.jpg"] = Page(BLUE)
    build(home, *urls)
    assert web.statuses("/red.jpg") == [304, 200] and set(images(home)) == {images(home)[1]}
    assert not list((folder / "drafts").iterdir())


@pytest.mark.usefixtures("near")
def test_a_build_without_network_takes_what_is_in_the_cache_and_says_so(
    web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    web.pages["/late.png"] = Page(BLUE, statuses=[503] * 4)
    urls = [f"{web.url}/red.jpg", f"{web.url}/late.png"]
    build(home, *urls)
    assert dropped(home) == [f"{urls[1]} answers 503"] and "from the cache" not in capsys.readouterr().out
    build(home, *urls)
    assert len(images(home)) == 2
    web.pages["/red.jpg"].statuses = [500] * 4
    build(home, *urls)
    words = "taken from the cache, as their hosts did not answer: 127.0.0.1 (1)"
    assert len(images(home)) == 2 and f"rows.jsonl: {words}" in capsys.readouterr().out
    with pytest.MonkeyPatch.context() as without:
        without.setattr("socket.getaddrinfo", no_network)
        build(home, *urls, f"{web.url}/new.jpg")
    assert len(images(home)) == 2 and dropped(home) == [f"{web.url}/new.jpg: no such host"]
    assert words.replace("(1)", "(2)") in capsys.readouterr().out
    assert words.replace("(1)", "(2)") in (home / "out" / "ledger.jsonl").read_text()


def no_network(*_: object, **__: object) -> object:
    raise OSError(-3, "Temporary failure in name resolution")


@pytest.mark.usefixtures("near")
def test_addresses_that_are_none_are_dropped(web: Web, tmp_path: Path) -> None:
    wrong = (
        "http://[broken/a.jpg",
        "http://host:port/a.jpg",
        "http:///a.jpg",
        f"{web.url}/\udcff.jpg",
        f"{web.url}/ü.jpg",
    )
    build(tmp_path / "home", *wrong, f"{web.url}/red.jpg")
    assert len(images(tmp_path / "home")) == 1 and len(dropped(tmp_path / "home")) == len(wrong)
    assert web.counts == {200: 1}


@pytest.mark.usefixtures("near")
def test_what_is_gone_is_not_taken_from_the_cache(web: Web, tmp_path: Path) -> None:
    build(tmp_path / "home", f"{web.url}/red.jpg")
    del web.pages["/red.jpg"]
    build(tmp_path / "home", f"{web.url}/red.jpg", code=1)
    assert dropped(tmp_path / "home") == [f"{web.url}/red.jpg answers 404"]


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize(
    ("said", "again"), [("max-age=900", []), ("max-age=900, no-cache", [304]), ("no-store", [200]), ("", [304])]
)
def test_what_a_host_says_of_keeping_is_done(said: str, again: list[int], web: Web, tmp_path: Path) -> None:
    web.pages["/red.jpg"].headers = {"Cache-Control": said}
    build(tmp_path / "home", f"{web.url}/red.jpg")
    web.seen.clear()
    build(tmp_path / "home", f"{web.url}/red.jpg")
    assert web.statuses("/red.jpg") == again and len(images(tmp_path / "home")) == 1


@pytest.mark.usefixtures("near")
def test_nothing_secret_is_written_down(web: Web, tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "home"
    build(home, *(f"http://me:s3cret@{web.url[7:]}/{name}?sig=s3cret" for name in ("red.jpg", "gone")))
    assert dropped(home) == [f"{web.url}/gone?… answers 404"] and len(images(home)) == 1
    for path in (*(home / "out").rglob("*"), *folder.rglob("*")):
        assert "s3cret" not in str(path) and (path.is_dir() or b"s3cret" not in path.read_bytes())


@pytest.mark.usefixtures("near")
def test_a_busy_host_is_asked_again_as_it_wishes(web: Web, tmp_path: Path) -> None:
    web.pages["/red.jpg"].statuses = [429, 503]
    web.pages["/red.jpg"].retry_after = "0"
    build(tmp_path / "home", f"{web.url}/red.jpg")
    assert web.statuses("/red.jpg") == [429, 503, 200] and len(images(tmp_path / "home")) == 1


@pytest.mark.usefixtures("near")
def test_rows_ahead_are_fetched_at_once_but_few_from_one_host(web: Web, tmp_path: Path) -> None:
    names = [f"/{number}.jpg" for number in range(150)]
    meet = threading.Barrier(2)  # two requests are answered when both are there, so that one alone would not be
    for number, name in enumerate(names):
        web.pages[name] = Page(RED + bytes([number]), meet=meet)
    build(tmp_path / "home", *(web.url + name for name in names))
    # a request that waits long for another one may be sent again
    assert 1 < web.most <= fetcher.PER_HOST and set(web.counts) == {200}
    digests = [hashlib.sha256(RED + bytes([number])).hexdigest() for number in range(150)]
    assert [Path(image).stem for image in images(tmp_path / "home")] == digests


@pytest.mark.usefixtures("near")
def test_a_full_disk_ends_the_build(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(io.FileIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    real = HttpCache.draft
    calls: list[int] = []

    def draft(self: HttpCache) -> object:
        calls.append(1)
        made = real(self)
        return Full(made.name, "r+b") if len(calls) > 1 else made

    monkeypatch.setattr(HttpCache, "draft", draft)
    build(tmp_path / "home", f"{web.url}/red.jpg", code=2)
    assert "No space left on device" in capsys.readouterr().err and not (tmp_path / "home" / "out").exists()


# the fetcher


def rows(*urls: str) -> list[RawItem]:
    return [
        RawItem(Path("x"), number, ((MediaKind.IMAGE, Remote(url)),), caption="x") for number, url in enumerate(urls)
    ]


@pytest.fixture
def fetching(folder: Path, near: None) -> Iterator[Fetcher]:
    made = Fetcher(HttpCache(folder, GIB))
    yield made
    made.close()


def test_rows_come_in_order_and_what_they_leave_is_closed(web: Web, fetching: Fetcher) -> None:
    for number in range(200):
        web.pages[f"/{number}"] = Page(RED)
    items = rows(*(f"{web.url}/{number}" for number in range(200)))
    assert list(fetching.ahead(iter(items))) == items and fetching.coming == {}
    blobs = [
        RawItem(Path("x"), number, ((MediaKind.IMAGE, Blob(b"x" * (fetcher.AHEAD_BYTES // 2))),)) for number in range(9)
    ]
    read: list[int] = []
    reading = (read.append(item.row) or item for item in blobs)
    next(fetching.ahead(reading))
    assert len(read) == 3  # no more of what is large than fits


def test_a_silent_host_is_left_alone(fetching: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def silence(url: str, *_: object) -> object:
        asked.append(url)
        raise Unanswered("refused", again=True)

    monkeypatch.setattr(fetch, "fetch", silence)
    for number in range(50):
        with pytest.raises(NoUse):
            fetching.take(f"http://dead.example/{number}")
    assert len(asked) == fetcher.DEAD
    with pytest.raises(NoUse, match="refused"):
        fetching.take("http://other.example/")
    asked.clear()
    fetching.hosts["dead.example"].left_until = 0.0  # its rest is over
    for number in range(50, 60):
        with pytest.raises(NoUse):
            fetching.take(f"http://dead.example/{number}")
    assert len(asked) == 1  # one attempt, and it is left alone again


def test_a_host_that_wants_a_long_wait_is_not_asked_meanwhile(web: Web, fetching: Fetcher) -> None:
    web.pages["/busy"] = Page(status=429, retry_after="3600")
    for path, reason in (("/busy", "answers 429"), ("/red.jpg", "its host is busy")):
        with pytest.raises(NoUse, match=reason):
            fetching.take(web.url + path)
    assert web.counts == {429: 1}


def test_the_last_address_tells_the_ending(web: Web, fetching: Fetcher) -> None:
    web.pages["/film.mov"] = Page(b"film")
    web.pages["/go"] = Page(status=302, place="/film.mov")
    for _ in range(2):  # from the web, and from the cache
        found = fetching.take(f"{web.url}/go")
        with found.file:
            assert (found.file.read(), found.name) == (b"film", "medium.mov")
    assert web.statuses("/film.mov") == [200, 304]


def test_closing_does_not_wait_for_what_is_slow(web: Web, folder: Path, near: None) -> None:
    held = threading.Event()
    web.pages["/slow"] = Page(b"x" * 600, held=held)
    made = Fetcher(HttpCache(folder, GIB))
    made.start(f"{web.url}/slow")
    assert web.asked.wait(HANGS)
    made.close()  # would wait for the page, which is held until this has returned
    assert web.ended == 0
    held.set()


# the cache


def put(cache: HttpCache, url: str, body: bytes) -> None:
    draft = cache.draft()
    draft.write(body)
    cache.keep(url, draft, fetch.Reply(False, ".jpg", '"tag"', "", 0.0, keep=True))
    draft.close()


def read(cache: HttpCache, url: str) -> bytes | None:
    found = cache.find(url)
    if found is None:
        return None
    with found[1] as file:
        return file.read()


def test_what_is_in_the_cache_is_what_was_put_there(folder: Path) -> None:
    cache = HttpCache(folder, GIB)
    put(cache, "http://a/1#part", RED)
    assert read(cache, "http://a/1") == RED and read(cache, "http://a/2") is None
    body = cache.body(SHA)
    body.write_bytes(RED[:-1] + b"x")
    assert read(cache, "http://a/1") is None
    body.unlink()
    assert read(cache, "http://a/1") is None
    put(cache, "http://a/1", RED)
    assert read(cache, "http://a/1") == RED


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"sha256": "../../etc/passwd", "bytes": 1}', "\udcff", '{"sha256": 7}']
)
def test_an_entry_that_is_not_ours_is_none(text: str, folder: Path) -> None:
    cache = HttpCache(folder, GIB)
    put(cache, "http://a/1", RED)
    path = cache.address("http://a/1")
    known = json.loads(path.read_text())
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert cache.find("http://a/1") is None
    for name, value in {"sha256": "../" + SHA[3:], "etag": "a\r\nX-Evil: 1", "bytes": "9", "fresh_until": None}.items():
        path.write_text(json.dumps(known | {name: value}))
        assert cache.find("http://a/1") is None
    path.write_text(json.dumps(known))
    assert read(cache, "http://a/1") == RED


def test_what_was_not_used_for_the_longest_time_goes(folder: Path) -> None:
    cache = HttpCache(folder, 3000)
    for number in range(5):
        put(cache, f"http://a/{number}", bytes([number]) * 1000)
        body = cache.body(hashlib.sha256(bytes([number]) * 1000).hexdigest())
        os.utime(body, (number, number))
    assert read(cache, "http://a/1") is not None  # used just now
    old, new = cache.draft(), cache.draft()
    os.utime(old.name, (0, 0))
    cache.sweep()
    assert [number for number in range(5) if read(cache, f"http://a/{number}") is not None] == [1, 4]
    assert sum(path.is_file() for path in (folder / "addresses").rglob("*")) == 2
    assert not Path(old.name).exists() and Path(new.name).exists()


def test_a_process_that_dies_leaves_a_cache_that_works(folder: Path) -> None:
    """Killed at each thing that it does to the disk, in turn."""
    cache = HttpCache(folder, GIB)
    put(cache, "http://a/1", BLUE)
    killed = 0
    for step in range(60):
        child = os.fork()
        if child == 0:
            dying(cache, step)
        killed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        assert read(cache, "http://a/1") in (BLUE, RED) and read(cache, "http://a/2") in (None, RED)
        assert read(cache, "http://a/3") in (None, LARGE)
        put(cache, "http://a/1", BLUE)
    assert 10 < killed < 60  # and at the end the child came through
    assert read(HttpCache(folder, 0), "http://a/2") == RED


def dying(cache: HttpCache, step: int) -> None:
    """Use the cache; end at the given event on the disk."""
    left = [step]

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.utime") and str(cache.folder) in str(args[0]):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        put(cache, "http://a/1", RED)
        put(cache, "http://a/2", RED)
        read(cache, "http://a/1")
        put(cache, "http://a/3", LARGE)
        cache.size = len(LARGE)
        os.utime(cache.body(hashlib.sha256(LARGE).hexdigest()), (0, 0))
        cache.sweep()
    finally:
        os._exit(0)


def test_two_processes_share_the_cache(web: Web, folder: Path) -> None:
    """Both fetch the same addresses while each removes what is too much."""
    script = (
        "import sys; from pathlib import Path; from curate.media import fetch\n"
        "from curate.media.fetcher import Fetcher; from curate.media.http_cache import HttpCache\n"
        "fetch.is_public = lambda address: True\n"
        "for turn in range(3):\n"
        "    cache = HttpCache(Path(sys.argv[2]), 20000)\n"
        "    fetcher = Fetcher(cache)\n"
        "    for number in range(40):\n"
        "        with fetcher.take(f'{sys.argv[1]}/{number}').file as file:\n"
        "            assert file.read() == bytes([number]) * 1000\n"
        "        cache.sweep()\n"
        "    fetcher.close()\n"
    )
    for number in range(40):
        web.pages[f"/{number}"] = Page(bytes([number]) * 1000)
    both = [subprocess.Popen([sys.executable, "-c", script, web.url, folder], stderr=subprocess.PIPE) for _ in "ab"]
    errors = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    bodies = [path for path in (folder / "bodies").rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in bodies) <= 20000
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in bodies)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "cache" / "http"
    monkeypatch.delenv("MMCURATE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/x")
    assert cache_folder() == Path("/var/x/mmcurate/http")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "mmcurate" / "http"


def test_the_cache_s_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_size() == 20 * GIB
    monkeypatch.setenv("MMCURATE_CACHE_GIB", "0.5")
    assert cache_size() == GIB // 2
    for wrong in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv("MMCURATE_CACHE_GIB", wrong)
        with pytest.raises(UsageFault, match="number of GiB"):
            cache_size()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageFault, match="MMCURATE_CACHE"):
        HttpCache(tmp_path / "file" / "http", GIB)


def test_no_thread_is_left(web: Web, tmp_path: Path, near: None) -> None:
    before = threading.active_count()
    build(tmp_path / "home", f"{web.url}/red.jpg")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fetch")]
    assert threading.active_count() <= before + 1  # the server's own
