"""Writes the samples that are not text: media, Parquet, Arrow, tar, a saved dataset. Run once; the files are kept."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

SAMPLES = Path(__file__).resolve().parent / "samples"


def picture(colour: tuple[int, int, int], kind: str = "JPEG") -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (16, 12), colour).save(out, kind)
    return out.getvalue()


def clip() -> bytes:
    import av
    import numpy as np

    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), number * 40, np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()


def tone() -> bytes:
    import numpy as np
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, np.sin(np.arange(800) / 5).astype("float32") / 2, 8000, format="WAV")
    return out.getvalue()


def put(name: str, data: bytes) -> None:
    file = SAMPLES / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def main() -> None:
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    red, blue, movie, sound = picture((200, 30, 30)), picture((30, 30, 200), "PNG"), clip(), tone()
    for name, data in {"red.jpg": red, "blue.png": blue, "clip.mp4": movie, "tone.wav": sound}.items():
        put(f"media/{name}", data)
    for name, data in {"train/red.jpg": red, "train/blue.png": blue, "test/blue.png": blue}.items():
        put(f"hf-folder/{name}", data)
    put("folder/red.jpg", red)
    put("folder/sub/tone.wav", sound)
    put("subtitles/clip.mp4", movie)

    # as the Hub's image datasets are: struct<bytes, path>, LLaVA's conversations, and numbers beside them
    table = pa.table(
        {
            "id": ["000001", "000002"],
            "image": [{"bytes": red, "path": "red.jpg"}, {"bytes": blue, "path": None}],
            "conversations": [
                [{"from": "human", "value": "<image>\nWhat colour?"}, {"from": "gpt", "value": "Red."}],
                [{"from": "human", "value": "<image>\nAnd this?"}, {"from": "gpt", "value": "Blue."}],
            ],
            "similarity": [0.31, 0.28],
        }
    )
    (SAMPLES / "parquet").mkdir(exist_ok=True)
    pq.write_table(table, SAMPLES / "parquet" / "train-00000-of-00001.parquet")
    (SAMPLES / "arrow").mkdir(exist_ok=True)
    plain = pa.table({"audio": [sound], "text": ["a steady tone"], "duration": [0.1]})
    with pa.OSFile(str(SAMPLES / "arrow" / "data.arrow"), "wb") as sink, pa.ipc.new_file(sink, plain.schema) as writer:
        writer.write_table(plain)

    features = datasets.Features(
        {"image": datasets.Image(), "text": datasets.Value("string"), "w": datasets.Value("int32")}
    )
    rows = [{"image": {"bytes": red, "path": None}, "text": "a red picture", "w": 16}]
    train = datasets.Dataset.from_list(rows, features=features)
    test = datasets.Dataset.from_list([{**rows[0], "text": "for the test"}], features=features)
    datasets.DatasetDict({"train": train, "test": test}).save_to_disk(str(SAMPLES / "datasets"))

    # as img2dataset writes: KEY.jpg, KEY.txt, KEY.json
    shard = io.BytesIO()
    with tarfile.open(fileobj=shard, mode="w") as archive:
        for key, data, caption in (("000000000", red, "a red picture"), ("000000001", blue, "a blue picture")):
            facts = {"url": "https://x.org/1", "key": key, "status": "success", "width": 16, "height": 12}
            for ending, content in (("jpg", data), ("txt", caption.encode()), ("json", json.dumps(facts).encode())):
                info = tarfile.TarInfo(f"{key}.{ending}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    put("webdataset/00000.tar", shard.getvalue())


if __name__ == "__main__":
    main()
