"""The embedded vocabulary is the published one, and is taken only where a name tells it."""

from __future__ import annotations

import base64
import hashlib
import json
import unicodedata
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.budgets.strings import random_strings
from tests.installed import major_transformers
from tests.scaffold import Overlay
from validators.budgets.releases import BY_TEMPLATE, MINICPM_O_45, Release, find_release
from validators.budgets.vocabulary import SPLIT, embedded, letters, read_merges, tokenizer_of, vocabulary
from validators.engine import CheckOptions, check

Project = Callable[[Overlay], Path]
SOURCE_SHA256 = "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186"
"""resources/qwen.tiktoken of dashscope 2.0.2."""
FIRST_ADDED, UNK = 151643, 128244
RELEASES = tuple({release: None for names in BY_TEMPLATE.values() for _, release in names})
each_release = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)


@cache
def ranks() -> dict[bytes, int]:
    """Token bytes to id."""
    words, _ = vocabulary(read_merges())
    byte_of = dict(zip(letters(), printable_first(), strict=True))
    return {bytes(byte_of[letter] for letter in word): number for number, word in enumerate(words)}


def printable_first() -> list[int]:
    """The bytes in the order of byte-level BPE: those that Latin-1 prints, then the others."""
    shown = [byte for byte in range(256) if chr(byte).isprintable() and byte not in (32, 0xA0, 0xAD)]
    return shown + [byte for byte in range(256) if byte not in shown]


def encode(text: str) -> list[int]:
    """BPE as tiktoken does it, by ranks of joined bytes alone, without merges."""
    import regex

    ids = []
    for word in regex.findall(SPLIT, unicodedata.normalize("NFC", text)):
        parts = [bytes([byte]) for byte in word.encode()]
        while len(parts) > 1:
            rank, place = min((ranks().get(a + b, len(ranks())), n) for n, (a, b) in enumerate(pairwise(parts)))
            if rank == len(ranks()):
                break
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        ids += [ranks()[part] for part in parts]
    return ids


def ids_of(release: Release, text: str) -> list[int]:
    """The embedded tokenizer's ids."""
    return list(tokenizer_of(release).encode(text, add_special_tokens=False).ids)


def qwen3() -> Release:
    release = find_release("Qwen/Qwen3-8B", "qwen3")
    assert release is not None
    return release


def test_the_asset_is_the_package_s_own_vocabulary() -> None:
    """Unpacked and written as the source writes it, byte for byte the source."""
    lines = (b"%s %d\n" % (base64.b64encode(token), rank) for token, rank in ranks().items())
    assert hashlib.sha256(b"".join(lines)).hexdigest() == SOURCE_SHA256


def test_random_strings_encode_as_the_ranks_say() -> None:
    """Merges in order give what ranks of joined bytes give, for thousands of hard strings."""
    texts = random_strings(11, 4000, specials=False)
    encoded = tokenizer_of(qwen3()).encode_batch(texts, add_special_tokens=False)
    assert [(text, list(item.ids)) for text, item in zip(texts, encoded, strict=True)] == [
        (text, encode(text)) for text in texts
    ]


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=40))
def test_any_text_encodes_as_the_ranks_say(text: str) -> None:
    """The same for whatever assigned characters there are, special tokens left out."""
    assume("<|" not in text and "<think" not in text and "<tool" not in text)
    assert ids_of(qwen3(), text) == encode(text)


def test_recorded_ids_of_the_published_tokenizer() -> None:
    """Ids that Qwen3's published tokenizer.json gave, special tokens and halves of them in the text."""
    rows = json.loads(Path(__file__).with_name("qwen3_ids.json").read_text(encoding="utf-8"))["rows"]
    assert len(rows) > 250
    assert [[text, ids_of(qwen3(), text)] for text, _ in rows] == rows


@pytest.mark.trainer
def test_the_trainer_s_tokenizer_class_agrees(tmp_path: Path) -> None:
    """transformers' Qwen2TokenizerFast over the same vocabulary splits and normalizes the same."""
    from tokenizers import AddedToken
    from transformers import Qwen2TokenizerFast

    words, merges = vocabulary(read_merges())
    files = tmp_path / "vocab.json", tmp_path / "merges.txt"
    files[0].write_text(json.dumps({word: number for number, word in enumerate(words)}), encoding="utf-8")
    files[1].write_text("".join(f"{left} {right}\n" for left, right in merges), encoding="utf-8")
    names = ("vocab_file", "merges_file") if major_transformers() == 4 else ("vocab", "merges")
    theirs = Qwen2TokenizerFast(**dict(zip(names, map(str, files), strict=True)))
    theirs.add_tokens([AddedToken(token, special=True, normalized=False) for token in qwen3().added])
    texts = random_strings(12, 3000, specials=True)
    assert theirs(texts, add_special_tokens=False)["input_ids"] == [ids_of(qwen3(), text) for text in texts]


@each_release
def test_added_tokens_are_one_token_each(release: Release) -> None:
    """Every added token cuts the text, alone and between letters, and ids follow the vocabulary's."""
    tokenizer = tokenizer_of(release)
    assert len(set(release.added)) == len(release.added)
    for number, token in enumerate(release.added, start=FIRST_ADDED):
        assert tokenizer.token_to_id(token) == number
        assert ids_of(release, f"a{token}b") == [*ids_of(release, "a"), number, *ids_of(release, "b")]
    for token in release.special_words:
        assert token == "<unk>" and ids_of(release, f"a{token}") == [*ids_of(release, "a"), UNK]


@pytest.mark.parametrize(
    ("name", "template", "token", "number"),
    [
        ("Qwen/Qwen2-VL-7B-Instruct", "qwen2_vl", "<|vision_start|>", 151652),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2_vl", "</tool_call>", 151658),
        ("Qwen/Qwen3-VL-8B-Instruct", "qwen3_vl_nothink", "</think>", 151668),
        ("Qwen/Qwen2.5-Omni-7B", "qwen2_omni", "<|VIDEO|>", 151656),
        ("Qwen/Qwen2-Audio-7B-Instruct", "qwen2_audio", "<|AUDIO|>", 151646),
        ("openbmb/MiniCPM-V-4_5", "minicpm_v", "</image_id>", 151682),
        ("openbmb/MiniCPM-o-4_5", "minicpm_o", "<|audio_end|>", 151699),
        ("openbmb/MiniCPM-o-4_5", "minicpm_o", "<|timbre_31|>", 151747),
    ],
)
def test_published_ids(name: str, template: str, token: str, number: int) -> None:
    """Ids that configs and tokenizers of the releases publish."""
    counter = embedded(name, template)
    assert counter is not None and counter.tokenizer.token_to_id(token) == number


@pytest.mark.parametrize(
    ("name", "template", "release"),
    [
        ("openbmb/MiniCPM-V-4_5", "minicpm_v", "MiniCPM-V 4.5"),
        ("/models/MiniCPM-V-4.5-sft/", "minicpm_v", "MiniCPM-V 4.5"),
        ("openbmb/MiniCPM-V-2_6-int4", "minicpm_v", "MiniCPM-V 2.6"),
        ("openbmb/MiniCPM-o-2_6", "minicpm_v", "MiniCPM-o 2.6"),
        ("openbmb/MiniCPM-V-4", "minicpm_v", None),
        ("openbmb/MiniCPM-V-4_6", "minicpm_v", None),
        ("openbmb/MiniCPM-V-4_6", "minicpm_v_4_6", None),
        ("openbmb/MiniCPM-Llama3-V-2_5", "minicpm_v", None),
        ("me/my-model", "minicpm_v", None),
        (None, "minicpm_o", None),
        ("Qwen/Qwen2-VL-2B-Instruct-AWQ", "qwen2_vl", "Qwen2-VL"),
        ("me/my-model", "qwen2_vl", "Qwen2.5-VL"),
        (None, "qwen2_vl", "Qwen2.5-VL"),
        ("XiaomiMiMo/MiMo-VL-7B-SFT", "qwen2_vl", None),
        ("Qwen/Qwen3.5-9B", "qwen3", None),
        ("Qwen/Qwen-7B", "qwen", None),
        ("Qwen/Qwen2-7B", "qwen", "Qwen2"),
        ("Qwen/QwQ-32B", "qwen", "Qwen3"),
        ("Qwen/QwQ-32B-Preview", "qwen", "Qwen2.5"),
        ("hf-internal-testing/tiny-random-Qwen2VL", "qwen2_vl", None),
        ("Qwen/Qwen2-7B", "llama3", None),
        ("", "chatml", None),
    ],
)
def test_name_and_template_decide(name: str | None, template: str, release: str | None) -> None:
    """A vocabulary is assumed only where name and template leave one; the counter says which."""
    counter = embedded(name, template)
    assert (counter is None) == (release is None)
    assert counter is None or counter.assumed.endswith(f" of {release}")


def test_a_folder_speaks_for_itself(tmp_path: Path) -> None:
    """A model folder without a tokenizer.json is not taken for the release whose name it has."""
    (tmp_path / "Qwen2-VL-7B").mkdir()
    assert embedded(str(tmp_path / "Qwen2-VL-7B"), "qwen2_vl") is None


PICTURE = {
    "messages": [
        {"role": "user", "content": "<image>这是什么？"},
        {"role": "assistant", "content": "A dog’s nose, 2024."},
    ],
    "images": ["dog.jpg"],
}
CLIP = {
    "messages": [{"role": "user", "content": "<video>\nWhat moves?"}, {"role": "assistant", "content": "灰色。"}],
    "videos": ["clip.mp4"],
}
TONE = {
    "messages": [{"role": "user", "content": "<audio>Listen."}, {"role": "assistant", "content": "A tone."}],
    "audios": ["tone.wav"],
}


@pytest.mark.parametrize(
    ("name", "template", "rows"),
    [
        ("openbmb/MiniCPM-V-4_5", "minicpm_v", [PICTURE, CLIP]),
        ("openbmb/MiniCPM-o-2_6", "minicpm_o", [PICTURE, CLIP, TONE]),
        ("openbmb/MiniCPM-o-4_5", "minicpm_o", [PICTURE, CLIP, TONE]),
        ("Qwen/Qwen2-VL-7B-Instruct", "qwen2_vl", [PICTURE, CLIP]),
    ],
)
def test_a_hub_name_counts_as_the_model_s_files_do(
    name: str, template: str, rows: list[dict[str, object]], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a file of the model at hand, every row's prediction is that of the model's folder."""
    monkeypatch.setattr("validators.engine.audio_decoder_fault", lambda: "")
    overlay = {"data.json": json.dumps(rows)}
    # a row a batch: these rows are of several kinds, and a batch of some of them stops (BAT201)
    alone = "\nper_device_train_batch_size: 1"
    settings_of = partial(("template: {1}\nmodel_name_or_path: {0}" + alone).format)
    hub = check(project(overlay | {"train.yaml": settings_of(name, template)}), CheckOptions(keep_rows=True))
    said = {item.code for item in hub.findings} - {"ENV302"}  # nobody has run some of them
    assert said == {"BUD003"} and hub.datasets[0].counted == len(rows)

    path = project(overlay | {"train.yaml": settings_of("here", template)})
    release = find_release(name, template)
    assert release is not None
    Path("here").mkdir()
    tokenizer_of(release).save("here/tokenizer.json")
    Path("here/preprocessor_config.json").write_text(json.dumps(dict(release.preprocessor)))
    local = check(path, CheckOptions(keep_rows=True))
    assert local.findings == () and local.datasets[0].predictions == hub.datasets[0].predictions


def test_minicpm_o_4_5_pools_sound_as_published(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of sound is 12 tokens, of which 2.6 makes 27, with nothing but the name to go by."""
    monkeypatch.setattr("validators.engine.audio_decoder_fault", lambda: "")
    media = []
    for name in ("MiniCPM-o-4_5", "MiniCPM-o-2_6"):
        overlay = {
            "data.json": json.dumps([TONE]),
            "train.yaml": f"template: minicpm_o\nmodel_name_or_path: openbmb/{name}",
        }
        media.append(check(project(overlay)).datasets[0].media_tokens)
    assert media == [10, 25]


def test_published_settings_fill_in_for_a_fetched_tokenizer(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Hub cache that holds the tokenizer alone still knows the release's processor."""
    monkeypatch.setattr("validators.engine.audio_decoder_fault", lambda: "")
    snapshot = tmp_path / "hub" / "models--openbmb--MiniCPM-o-4_5" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    tokenizer_of(MINICPM_O_45).save(str(snapshot / "tokenizer.json"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    train = "template: minicpm_o\nmodel_name_or_path: openbmb/MiniCPM-o-4_5"
    report = check(project({"data.json": json.dumps([TONE]), "train.yaml": train}))
    assert {item.code for item in report.findings} <= {"ENV302"} and report.datasets[0].media_tokens == 10
