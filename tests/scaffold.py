"""A small project on disk: media of every kind, a tokenizer, a train yaml; examples are laid over it."""

from __future__ import annotations

import json
import math
import re
import wave
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import yaml

from tests.unusual import make_unusual

TRAIN = {
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "lora",
    "model_name_or_path": "model",
    "template": "qwen2_vl",
    "dataset": "data",
    "dataset_dir": ".",
    "cutoff_len": 2048,
    "output_dir": "out",
}
MERGE = {
    "model_name_or_path": "model",
    "adapter_name_or_path": "adapter",
    "template": "qwen2_vl",
    "finetuning_type": "lora",
    "export_dir": "merged",
}
LAYER = "model.layers.0.self_attn.q_proj"
WEIGHTS = {
    "model/model.safetensors": {f"{LAYER}.weight": [8, 8]},
    "adapter/adapter_model.safetensors": {f"base_model.model.{LAYER}.lora_{part}.weight": [8, 8] for part in "AB"},
}
ADAPTER = {"adapter/adapter_config.json": json.dumps({"base_model_name_or_path": "model", "peft_type": "LORA"})}
ADAPTER |= {name: json.dumps(tensors) for name, tensors in WEIGHTS.items()}
ROWS = [
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]},
    {"messages": [{"role": "user", "content": "And now?"}, {"role": "assistant", "content": "Good bye."}]},
]
TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
TAGS |= {"system_tag": "system"}
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
SPECIALS += ["<|video_pad|>", "<unk>", "<image>", "</image>", "<slice>", "</slice>", "<image_id>", "</image_id>"]
SPECIALS += ["<|audio_start|>", "<|audio_end|>", "<|spk_bos|>", "<|spk_eos|>"]
SPECIALS += ["<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<img>", "</img>", "<IMG_CONTEXT>"]
BLOCK = re.compile(r"^```(\w+) (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

Overlay = Mapping[str, str]
"""File name to text."""


def lay_out(folder: Path, overlay: Overlay) -> Path:
    """Write the project with the overlay's files; returns the train yaml, or the merge yaml where the overlay has one.

    `folder` is also the media root. A file ending in .safetensors is written from names and shapes in JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if "merge.yaml" in overlay:
        merge = MERGE | (yaml.safe_load(overlay["merge.yaml"]) or {})
        text = yaml.safe_dump({key: value for key, value in merge.items() if value is not None})
        overlay = ADAPTER | dict(overlay) | {"merge.yaml": text}
    train = dict(TRAIN) | (yaml.safe_load(overlay.get("train.yaml", "{}")) or {})
    (folder / "train.yaml").write_text(yaml.safe_dump(train), encoding="utf-8")
    data = overlay.get("data.json", json.dumps(ROWS))
    (folder / "data.json").write_bytes(data.encode("utf-8", "surrogateescape"))
    for name in overlay.keys() - {"train.yaml", "data.json", "dataset_info.json", "environment"}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".safetensors"):
            (folder / name).write_bytes(safetensors(overlay[name]))
        else:
            (folder / name).write_text(overlay[name], encoding="utf-8")
    info = overlay.get("dataset_info.json") or json.dumps({"data": entry_for(data)})
    (folder / "dataset_info.json").write_text(info, encoding="utf-8")
    return folder / ("merge.yaml" if "merge.yaml" in overlay else "train.yaml")


def safetensors(text: str) -> bytes:
    """A safetensors file of zeros from names and shapes as JSON; text that is no JSON stays as it is."""
    try:
        shapes = json.loads(text)
    except ValueError:
        return text.encode()
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    content = json.dumps(header).encode()
    return len(content).to_bytes(8, "little") + content + bytes(end)


def entry_for(data: str) -> dict[str, object]:
    """The dataset_info entry that a careful owner of this data would write."""
    try:
        rows = json.loads(data)
    except (ValueError, RecursionError):
        rows = []
    keys = {key for row in rows if isinstance(row, dict) for key in row} if isinstance(rows, list) else set()
    columns = {"messages": "messages"} | {key: key for key in ("images", "videos", "audios", "system") if key in keys}
    return {"file_name": "data.json", "formatting": "sharegpt", "columns": columns, "tags": TAGS}


def blocks_of(page: str, heading: str) -> dict[str, str]:
    """The fenced files under one heading of a rule's page."""
    part = re.split(r"^## ", page, flags=re.MULTILINE)
    text = next(section for section in part if section.startswith(heading + "\n"))
    return {name: body for _, name, body in BLOCK.findall(text)}


def make_media(folder: Path) -> None:
    """Pictures, a clip, a tone, and broken ones of each."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    Image.effect_noise((64, 48), 40).convert("RGB").save(folder / "cat.jpg")
    Image.effect_noise((640, 480), 40).convert("RGB").save(folder / "dog.jpg")
    Image.new("1", (1, 700_000)).save(folder / "sliver.png")
    make_clip(folder / "clip.mp4", frames=30)
    make_clip(folder / "sound.mp4", frames=0, sound=True)
    make_tone(folder / "tone.wav", seconds=1.0)
    make_altered(folder)
    for whole, cut in (("dog.jpg", "cut.jpg"), ("clip.mp4", "cut.mp4"), ("tone.wav", "cut.wav")):
        content = (folder / whole).read_bytes()
        (folder / cut).write_bytes(content[: len(content) // 2 | 1])
    (folder / "copy.jpg").write_bytes((folder / "cat.jpg").read_bytes())
    with Image.open(folder / "cat.jpg") as cat:
        cat.point(lambda value: value * 0.9).save(folder / "dim.jpg", quality=90)
    make_unusual(folder)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "empty.jpg").write_bytes(b"")
    (folder.parent / "outside.jpg").write_bytes((folder / "cat.jpg").read_bytes())


def make_altered(folder: Path) -> None:
    """Media that the trainer reads otherwise than people see them, and a video without times."""
    import numpy as np
    from PIL import Image

    orientation = Image.Exif()
    orientation[0x0112] = 6
    grey = Image.effect_noise((64, 48), 40)
    grey.convert("RGB").save(folder / "turned.jpg", exif=orientation)
    Image.new("RGBA", (64, 48), (0, 0, 0, 0)).save(folder / "clear.png")
    Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 21).save(folder / "deep.png")
    grey.save(folder / "moving.gif", save_all=True, append_images=[Image.effect_noise((64, 48), 9)])
    make_clip(folder / "stream.mkv", frames=30)
    make_clip(folder / "stream.ts", frames=30, codec="mpeg2video", rate=25)
    clip = (folder / "clip.mp4").read_bytes()
    matrix = clip.index(b"tkhd") + 44
    quarter = b"".join(cell.to_bytes(4, "big", signed=True) for cell in (0, 1 << 16, 0, -1 << 16, 0))
    (folder / "phone.mp4").write_bytes(clip[:matrix] + quarter + clip[matrix + len(quarter) :])
    edit = clip.index(b"elst") + 16  # where the shown part starts, in 10240ths of a second
    (folder / "trimmed.mp4").write_bytes(clip[:edit] + (15 * 1024).to_bytes(4, "big") + clip[edit + 4 :])
    (folder / "timeless.mp4").write_bytes(clip.replace(b"mdhd", b"free"))


def make_clip(
    path: Path, frames: int, size: tuple[int, int] = (64, 48), rate: int = 10, sound: bool = False, codec: str = "mpeg4"
) -> None:
    """A video of moving grey, with or without sound; no video stream when frames is 0."""
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        if frames:
            video = container.add_stream(codec, rate=Fraction(rate))
            video.width, video.height, video.pix_fmt = *size, "yuv420p"
            for number in range(frames):
                picture = np.full((size[1], size[0], 3), (number * 7) % 256, dtype=np.uint8)
                container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(video.encode())
        if sound:
            audio = container.add_stream("aac", rate=16000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), dtype=np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16000
            container.mux(audio.encode(frame))
            container.mux(audio.encode())


def make_tone(path: Path, seconds: float, rate: int = 16000, channels: int = 1) -> None:
    """A sawtooth as 16-bit PCM."""
    samples = int(seconds * rate)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join((n * 99 % 20000).to_bytes(2, "little") * channels for n in range(samples)))


def make_tokenizer(folder: Path) -> None:
    """A byte-level BPE of a few hundred merges with the special tokens of the Qwen, MiniCPM and InternVL
    families, and a processor with its class's defaults."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(
        ["You are a helpful assistant. What is it? It is a cat. user assistant system"], trainer
    )
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIALS])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>", "bos_token": None}))
    (folder / "preprocessor_config.json").write_text("{}")
