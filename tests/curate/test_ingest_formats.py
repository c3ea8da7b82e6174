"""Every raw format on a sample of its own: found by its looks, read as expected, and the same again from the build."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from curate.build import LedgerEntry, Row, build_rows
from curate.cli import main
from curate.ingest.detect import detect
from curate.ingest.raw import Blob, Intake, Options
from curate.ingest.registry import BY_NAME, FORMATS
from curate.media.keeper import Keeper, Mode
from curate.recipe import QUESTIONS, DatasetRecipe, Recipe, Source
from validators.errors import UsageFault

SAMPLES = Path(__file__).parent / "samples"
ASK = QUESTIONS
Said = tuple[str, ...]
"""Role and text of each turn, "user: …"."""
JOINT = "\n</tool_response>\n<tool_response>\n"


@dataclass(frozen=True)
class Sample:
    """What a sample's rows are: turns and media by name, reasons of the rest, and the names that are left behind."""

    path: str
    rows: tuple[tuple[Said, tuple[str, ...]], ...]
    dropped: tuple[str, ...] = ()
    left: frozenset[str] = frozenset()
    options: Options = field(default_factory=Options)
    looks: str = ""
    tools: tuple[str | None, ...] = ()


def image(caption: str) -> Said:
    return ("user: <image>Describe this image.", f"assistant: {caption}")


def sound(caption: str) -> Said:
    return ("user: <audio>Describe this sound.", f"assistant: {caption}")


IMG2DATASET = frozenset({"url", "key", "status", "width", "height"})
COCO = frozenset(
    {"info", "licenses", "id"}
    | {f"images[].{name}" for name in ("license", "coco_url", "height", "width", "date_captured", "flickr_url")}
)
LABEL_STUDIO = frozenset(
    {"data.prompt", "id", "file_upload", "created_at", "updated_at", "inner_id", "total_annotations", "project"}
)
CALLS = '[{"name": "weather", "arguments": {"city": "Oslo"}}, {"name": "weather", "arguments": {"city": "Rome"}}]'
AIR = CALLS.replace("weather", "realtime_aqi").replace("Oslo", "Beijing").replace("Rome", "Shanghai")
SAMPLE: Mapping[str, Sample] = {
    "alpaca": Sample(
        "alpaca/alpaca.json",
        (
            (("user: Give three tips for staying healthy.", "assistant: 1. Eat well. 2. Move. 3. Sleep."), ()),
            (
                (
                    "system: You are a translator.",
                    "user: Translate into French.\nThank you",
                    "assistant: Merci",
                    "user: Translate into French.\nGood morning",
                    "assistant: Bonjour",
                ),
                (),
            ),
            (("user: <image>What colour is this?", "assistant: Red."), ("red.jpg",)),
        ),
        left=frozenset({"text"}),
    ),
    "arrow": Sample("arrow", ((sound("a steady tone"), ("tone.wav",)),), left=frozenset({"duration"})),
    "coco": Sample(
        "coco/captions_val2017.json",
        (
            (image("A plain blue field."), ("blue.png",)),
            (image("A red square."), ("red.jpg",)),
            (image("All of it is red."), ("red.jpg",)),
        ),
        ("image_id 5 is not among the images",),
        COCO,
        Options(media_dir="media"),
    ),
    "csv": Sample(
        "csv/captions.csv",
        ((image("A red, even picture."), ("red.jpg",)), (image("A blue picture."), ("blue.png",))),
        left=frozenset({"width"}),
        options=Options(columns={"image": "image_path", "caption": "text"}),
    ),
    "datasets": Sample("datasets", ((image("a red picture"), ("red.jpg",)),), left=frozenset({"w"})),
    "folder": Sample(
        "folder",
        ((image("A red picture."), ("red.jpg",)), (sound("A steady tone."), ("tone.wav",))),
        left=frozenset({"sample_rate"}),
    ),
    "hf-folder": Sample(
        "hf-folder",
        ((image("a red picture"), ("red.jpg",)), (image("a blue picture"), ("blue.png",))),
        left=frozenset({"photographer"}),
    ),
    "json": Sample(
        "json/rows.json",
        (
            (("user: <image>What colour?", "assistant: Red."), ("red.jpg",)),
            (("user: <image>What colour?", "assistant: Blue."), ("blue.png",)),
        ),
        left=frozenset({"answer_type"}),
    ),
    "jsonl": Sample(
        "jsonl/rows.jsonl",
        (
            (
                ("user: <video><audio>What happens?", "assistant: It grows lighter, with a tone."),
                ("clip.mp4", "tone.wav"),
            ),
            (image("A red picture."), ("red.jpg",)),
        ),
    ),
    "label-studio": Sample(
        "label-studio/export.json",
        ((image("A red square."), ("red.jpg",)),),
        ("no annotation that was not cancelled",),
        LABEL_STUDIO,
    ),
    "llava": Sample(
        "llava/llava_instruct.json",
        (
            (
                (
                    "user: <image>\nWhat are the colors in the picture?",
                    "assistant: It is red.",
                    "user: Anything else?",
                    "assistant: No.",
                ),
                ("red.jpg",),
            ),
            (("user: How is it going?", "assistant: Well, thank you."), ()),
            (("user: What happens?\n<video>", "assistant: It grows lighter."), ("clip.mp4",)),
        ),
        left=frozenset({"id"}),
    ),
    "minicpm": Sample(
        "minicpm/vl_finetune_data.json",
        (
            (("user: <image>\nHow many squares are there?", "assistant: One."), ("red.jpg",)),
            (
                ("user: How do <image> and <image> differ?\n<image>", "assistant: By their colour."),
                ("blue.png", "red.jpg", "red.jpg"),
            ),
            (("user: <image>What colour?", "assistant: Blue."), ("blue.png",)),
        ),
        left=frozenset({"id"}),
    ),
    "ms-swift": Sample(
        "ms-swift/data.jsonl",
        (
            (
                ("system: You are helpful.", "user: <image><image>What is the difference?", "assistant: The colour."),
                ("red.jpg", "blue.png"),
            ),
            (
                (
                    "user: How is the air in Beijing and Shanghai?",
                    f"function: {AIR}",
                    'observation: {"city": "Beijing", "aqi": "10"}' + JOINT + '{"city": "Shanghai", "aqi": "72"}',
                    "assistant: Good in Beijing, fair in Shanghai.",
                ),
                (),
            ),
        ),
        ("<ref-object> in the text, which stands for objects that each model writes in its own way",),
        tools=(None, "realtime_aqi"),
    ),
    "openai": Sample(
        "openai/chat.jsonl",
        (
            (("system: Answer briefly.", "user: What colour is this?<image>", "assistant: Red."), ("red.jpg",)),
            (("user: <audio>What do you hear?", "assistant: A tone."), ("tone.wav",)),
            (
                (
                    "user: Weather in Oslo and Rome?",
                    f"function: {CALLS}",
                    f"observation: 4 degrees{JOINT}19 degrees",
                    "assistant: 4 and 19 degrees.",
                ),
                (),
            ),
        ),
        ("https://example.org/cat.png is fetched only where the recipe says fetch: true",),
        frozenset({"image_url.detail", "tool_calls[].id", "messages[].tool_call_id", "parallel_tool_calls"}),
        tools=(None, None, "weather"),
    ),
    "parquet": Sample(
        "parquet",
        (
            (("user: <image>\nWhat colour?", "assistant: Red."), ("red.jpg",)),
            (("user: <image>\nAnd this?", "assistant: Blue."), ("blue.png",)),
        ),
        left=frozenset({"id", "similarity"}),
        looks="llava",
    ),
    "qwen": Sample(
        "qwen/messages.jsonl",
        (
            (("user: <image><image>What differs?", "assistant: The colour."), ("red.jpg", "blue.png")),
            (
                (
                    "system: You are a helpful assistant.",
                    "user: <video>What happens?",
                    "assistant: It grows lighter.",
                ),
                ("clip.mp4",),
            ),
        ),
        left=frozenset({"image.min_pixels", "video.fps"}),
    ),
    "sharegpt": Sample(
        "sharegpt/data.json",
        (
            (("system: You see well.", "user: <image>What is it?", "assistant: A red square."), ("red.jpg",)),
            (
                (
                    "user: What is 2 + 2?",
                    'function: {"name": "add", "arguments": {"a": 2, "b": 2}}',
                    "observation: 4",
                    "assistant: It is 4.",
                ),
                (),
            ),
        ),
        tools=(None, "add"),
    ),
    "sharegpt4v": Sample(
        "sharegpt4v/sharegpt4v.json",
        (
            (
                ("user: Describe this image in detail.\n<image>", "assistant: In the image there is an even red."),
                ("red.jpg",),
            ),
        ),
        left=frozenset({"id"}),
        options=Options(media_dir="sharegpt4v"),
        looks="llava",
    ),
    "subtitles": Sample(
        "subtitles",
        (
            (
                (
                    "user: <video>Write down what is said, with the times.",
                    "assistant: [00:00.0 - 00:00.4] It is dark & quiet.\n[00:00.5 - 00:01.0] Now it grows lighter.",
                ),
                ("clip.mp4",),
            ),
        ),
        ("no video or sound beside lone.srt",),
    ),
    "tsv": Sample("tsv/captions.tsv", ((sound("A steady tone."), ("tone.wav",)),), left=frozenset({"speaker"})),
    "webdataset": Sample(
        "webdataset",
        ((image("a red picture"), ("red.jpg",)), (image("a blue picture"), ("blue.png",))),
        left=IMG2DATASET,
    ),
}
NAMES = {hashlib.sha256(file.read_bytes()).hexdigest(): file.name for file in (SAMPLES / "media").iterdir()}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    shutil.copytree(SAMPLES, tmp_path / "samples")
    return tmp_path / "samples"


def collect(home: Path, name: str, path: Path, options: Options) -> tuple[list[Row], list[LedgerEntry]]:
    dataset = DatasetRecipe("data", (Source(name, path, options),))
    recipe = Recipe(home / "recipe.yaml", home / "out", home, (dataset,), QUESTIONS)
    keeper = Keeper(Mode.STORE, home, recipe.target, home.parent / "staging")
    items = list(build_rows(recipe, dataset, keeper))
    return [item for item in items if isinstance(item, Row)], [item for item in items if isinstance(item, LedgerEntry)]


def said(row: Row) -> Said:
    return tuple(f"{turn.role}: {turn.content}" for turn in row.turns)


def test_every_format_has_a_sample() -> None:
    assert SAMPLE.keys() == BY_NAME.keys() == {item.name for item in FORMATS}
    assert list(BY_NAME) == sorted(BY_NAME)
    assert {path.name for path in SAMPLES.iterdir()} == {*BY_NAME, "media"}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_sample_is_told_by_its_looks(name: str) -> None:
    sample = SAMPLE[name]
    assert detect(SAMPLES / sample.path, sample.options).name == (sample.looks or name)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_sample_s_rows(name: str, home: Path) -> None:
    sample = SAMPLE[name]
    rows, ledger = collect(home, name, home / sample.path, sample.options)
    media = [tuple(NAMES[Path(path).stem] for _, path in row.media) for row in rows]
    assert list(zip(map(said, rows), media, strict=True)) == list(sample.rows)
    assert tuple(entry.reason for entry in ledger if entry.action == "dropped") == sample.dropped
    assert all((sample_tools or "") in (row.tools or "") for row, sample_tools in zip(rows, sample.tools, strict=False))
    assert [row.tools is None for row in rows] == [tools is None for tools in sample.tools or [None] * len(rows)]


@pytest.mark.parametrize("name", SAMPLE)
def test_what_a_sample_says_and_the_row_cannot_hold_is_named(name: str, home: Path) -> None:
    sample = SAMPLE[name]
    found = {
        left
        for item in BY_NAME[name].read(Intake(home / sample.path, home, sample.options))
        for left in item.left
        if not item.problem
    }
    assert found == sample.left
    _, ledger = collect(home, name, home / sample.path, sample.options)
    summary = "".join(entry.reason for entry in ledger if entry.action == "left")
    assert all(f"{left} (" in summary for left in sample.left)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_sample_s_build_is_the_same_rows_again(name: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = SAMPLE[name]
    source: dict[str, object] = {"path": sample.path, "columns": dict(sample.options.columns)}
    if sample.options.media_dir:
        source["media_dir"] = sample.options.media_dir
    recipe = {"version": 1, "target": "out", "media": "store", "datasets": [{"name": "data", "sources": [source]}]}
    (home / "recipe.yaml").write_text(json.dumps(recipe))
    assert main(["build", str(home / "recipe.yaml")]) == 0
    assert f"read as {sample.looks or name}" in capsys.readouterr().out
    once, _ = collect(home, name, home / sample.path, sample.options)
    again, ledger = collect(home / "out", "sharegpt", home / "out" / "data.json", Options())
    assert [(row.turns, row.media, row.tools) for row in again] == [(row.turns, row.media, row.tools) for row in once]
    assert [entry for entry in ledger if entry.action != "left"] == []


@pytest.mark.parametrize("name", SAMPLE)
def test_the_same_sample_gives_the_same_bytes(name: str, home: Path) -> None:
    sample = SAMPLE[name]
    rows, _ = collect(home, name, home / sample.path, sample.options)
    assert rows == collect(home, name, home / sample.path, sample.options)[0]


def test_splits_that_are_not_asked_for_are_named(home: Path) -> None:
    for name in ("datasets", "hf-folder"):
        rows, ledger = collect(home, name, home / name, Options())
        assert {row.split for row in rows} == {"train"}
        assert ledger[-1].reason.endswith("not read: split test")
        both, ledger = collect(home, name, home / name, Options(split="all"))
        assert {row.split for row in both} == {"train", "test"} and "not read" not in ledger[-1].reason
        with pytest.raises(UsageFault, match="no split 'dev'"):
            collect(home, name, home / name, Options(split="dev"))


def test_cues_can_be_a_row_each(home: Path) -> None:
    rows, _ = collect(home, "subtitles", home / "subtitles" / "clip.en.vtt", Options(cues="rows"))
    assert [said(row) for row in rows] == [
        ("user: <video>What is said from 00:00.0 to 00:00.4?", "assistant: It is dark & quiet."),
        ("user: <video>What is said from 00:00.5 to 00:01.0?", "assistant: Now it grows lighter."),
    ]


def test_kept_fields_go_to_meta_and_are_no_longer_left(home: Path) -> None:
    options = Options(columns={"image": "image_path", "caption": "text"}, keep=frozenset({"width"}))
    rows, ledger = collect(home, "csv", home / "csv" / "captions.csv", options)
    assert [json.loads(row.meta or "") for row in rows] == [{"width": "16"}, {"width": "16"}] and ledger == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": 1, "b": 2}', "of no known form: rows with a, b"),
        (
            '{"instruction": "x", "output": "y", "messages": [{"role": "user", "content": "x"}]}',
            "could be alpaca, sharegpt",
        ),
        ('{"data": [{"caption": "x"}]}', "an object with data"),
        ("", "the file is empty"),
        ('[{"a": 1}, 2]', "of no known form: rows with a"),
    ],
)
def test_a_source_that_no_look_or_several_fit(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(content)
    with pytest.raises(UsageFault) as raised:
        detect(tmp_path / "rows.json", Options())
    assert words in str(raised.value)


RED = (SAMPLES / "media" / "red.jpg").read_bytes()


def test_lists_of_images_and_sounds_of_datasets_stay_undecoded(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {
            "images": datasets.List(datasets.Image()),
            "audio": datasets.Audio(),
            "question": datasets.Value("string"),
            "answer": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["a", "b"]),
        }
    )
    tone = (SAMPLES / "media" / "tone.wav").read_bytes()
    row = {"images": [{"bytes": RED, "path": None}] * 2, "audio": {"bytes": tone, "path": "t.wav"}, "label": 1}
    said = {"question": "<image><image><audio>?", "answer": "Yes."}
    made = datasets.Dataset.from_list([row | said], features=features)
    made.save_to_disk(str(tmp_path / "saved"))
    made.to_parquet(str(tmp_path / "repository" / "data" / "train-00000-of-00001.parquet"))
    for place in ("saved", "repository"):
        (item,) = BY_NAME["datasets"].read(Intake(tmp_path / place, tmp_path))
        assert [medium.data for _, medium in item.media if isinstance(medium, Blob)] == [RED, RED, tone]
        assert item.left == ("label",)


def test_every_kind_of_file_name_in_metadata_is_a_medium(tmp_path: Path) -> None:
    for name in ("1.jpg", "2.jpg", "mask.png"):
        (tmp_path / name).write_bytes(RED)
    row = {"file_names": ["1.jpg", "2.jpg"], "mask_file_name": "mask.png", "question": "?", "answer": "!", "n": 1}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(row) + "\n")
    assert detect(tmp_path, Options()).name == "hf-folder"
    (item,) = BY_NAME["hf-folder"].read(Intake(tmp_path, tmp_path))
    assert [path for _, path in item.media] == ["1.jpg", "2.jpg", "mask.png"] and item.left == ("n",)


def test_folders_of_classes_give_their_names(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "1.jpg").write_bytes(RED)
    options = Options(columns={"caption": "label"})
    assert detect(tmp_path, options).name == "hf-folder"
    items = list(BY_NAME["hf-folder"].read(Intake(tmp_path, tmp_path, options)))
    assert [(item.caption, item.media[0][1]) for item in items] == [
        ("cats", "train/cats/1.jpg"),
        ("dogs", "train/dogs/1.jpg"),
    ]
    with pytest.raises(UsageFault, match=r"columns: \{caption: label\} takes the folders' names"):
        list(BY_NAME["hf-folder"].read(Intake(tmp_path, tmp_path)))


def test_rows_under_a_key_of_an_object(tmp_path: Path) -> None:
    rows = [{"instruction": "Hi.", "output": "Ho."}]
    (tmp_path / "x.json").write_text(json.dumps({"version": 1, "data": rows}))
    options = Options(rows_at="data")
    assert detect(tmp_path / "x.json", options).name == "alpaca"
    (item,) = BY_NAME["alpaca"].read(Intake(tmp_path / "x.json", tmp_path, options))
    assert item.turns[1].content == "Ho."
    with pytest.raises(UsageFault, match="no rows under 'rows'; expected one of: version, data"):
        list(BY_NAME["alpaca"].read(Intake(tmp_path / "x.json", tmp_path, Options(rows_at="rows"))))


def test_an_address_alone_does_not_choose_the_store(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(RED)
    rows = [{"image": "http://x.org/a.jpg", "caption": "Far."}, {"image": "1.jpg", "caption": "Near."}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {"version": 1, "target": "out", "datasets": [{"name": "data", "sources": [{"path": "rows.jsonl"}]}]}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    assert main(["build", str(tmp_path / "recipe.yaml")]) == 0
    assert [row["images"] for row in json.loads((tmp_path / "out" / "data.json").read_text())] == [["1.jpg"]]
