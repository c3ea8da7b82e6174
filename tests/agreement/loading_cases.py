"""Datasets for the comparison of loading: rows of each formatting, their faults, and files of each type."""

from __future__ import annotations

import csv
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]
WORDS = ["Hi", "a cat", "12", "2024-05-01", "", "Größe", "很好", "x\ny", "<image>", "detailed thinking on"]
SHAREGPT_TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
SHAREGPT_TAGS |= {"system_tag": "system"}
TOOL_TAGS = SHAREGPT_TAGS | {"observation_tag": "tool", "function_tag": "call"}
STRANGE = [None, 5, 2.5, True, "text", "", [], ["a"], [None], {"a": 1}, {}, [["a"]], [[None]], [1], ["a.jpg", None]]


@dataclass
class Case:
    """One dataset: its files by name under data/, its entry and what else the yaml says."""

    name: str
    files: dict[str, bytes]
    entry: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)

    def lay(self, folder: Path) -> Path:
        """Write everything; returns the train yaml."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (folder / "dataset_info.json").write_text(json.dumps({"data": self.entry}))
        train = {"dataset": "data", "dataset_dir": str(folder), "template": "qwen2_vl", "output_dir": "out"}
        train["model_name_or_path"] = "Qwen/Qwen2.5-VL-7B-Instruct"
        (folder / "train.yaml").write_text(json.dumps(train | self.settings))
        return folder / "train.yaml"


def word(rng: random.Random) -> str:
    """Some text."""
    return rng.choice(WORDS) + rng.choice(WORDS)


def chat_row(rng: random.Random, tools: bool) -> Row:
    """Turns that alternate, with a system prompt, tool calls and media now and then."""
    messages: list[Row] = []
    if rng.random() < 0.4:
        messages.append({"role": "system", "content": word(rng)})
    for _ in range(rng.randint(1, 2)):
        messages.append({"role": "user", "content": word(rng)})
        if tools and rng.random() < 0.5:
            arguments = rng.choice(["{}", '{"city": "Ulm"}'])
            call = {"function": {"name": "clock", "arguments": arguments}, "type": "function"}
            messages.append({"role": "assistant", "content": "", "tool_calls": [call] * rng.randint(1, 2)})
            messages += [{"role": "tool", "content": word(rng)} for _ in range(rng.randint(1, 2))]
        messages.append({"role": "assistant", "content": word(rng)})
    row: Row = {"messages": messages}
    if rng.random() < 0.5:
        row["images"] = rng.choice([[], ["a.jpg"], ["a.jpg", "gone.jpg"], None])
    if rng.random() < 0.3:
        row["system"] = rng.choice([None, "", word(rng)])
    if rng.random() < 0.3:
        row["tools"] = rng.choice([None, "", "[]", word(rng)])
    return row


def alpaca_row(rng: random.Random) -> Row:
    """Question, input and answer; history now and then."""
    row: Row = {"instruction": word(rng), "input": word(rng), "output": word(rng)}
    if rng.random() < 0.4:
        row["history"] = rng.choice([[], [[word(rng), word(rng)]], None])
    if rng.random() < 0.3:
        row["images"] = ["a.jpg"]
    if rng.random() < 0.3:
        row["system"] = word(rng)
    return row


def damage(row: Row, rng: random.Random) -> None:
    """One thing wrong somewhere."""
    choice = rng.random()
    messages = row.get("messages")
    if messages and choice < 0.5:
        message = rng.choice(messages)
        if choice < 0.15:
            message["role"] = rng.choice(["human", "gpt", "tool", "call", "system", None, 3])
        elif choice < 0.3:
            message[rng.choice(["content", "role", "tool_calls"])] = rng.choice(STRANGE)
        elif choice < 0.4:
            messages.remove(message)
        else:
            messages.insert(rng.randrange(len(messages) + 1), rng.choice([None, dict(message), "text"]))
    elif choice < 0.8:
        row[rng.choice(["id", "meta", "images", "system", "tools", "history", "output", "videos"])] = rng.choice(
            STRANGE
        )
    else:
        row[rng.choice(list(row))] = rng.choice(STRANGE)


def entry_for(formatting: str, rng: random.Random, file_name: str) -> dict[str, Any]:
    """An entry that maps some of the columns."""
    entry: dict[str, Any] = {"file_name": file_name, "formatting": formatting}
    if formatting == "alpaca":
        if rng.random() < 0.5:
            entry["columns"] = {"prompt": "instruction", "query": "input", "response": "output"}
            entry["columns"] |= {key: key for key in ("history", "system", "images") if rng.random() < 0.5}
        return entry
    columns = {"messages": "messages"}
    columns |= {key: key for key in ("system", "tools", "images", "videos") if rng.random() < 0.5}
    tags = dict(TOOL_TAGS if formatting == "openai" or rng.random() < 0.5 else SHAREGPT_TAGS)
    if rng.random() < 0.1:
        tags.pop(rng.choice(list(tags)))
    return entry | {"columns": columns, "tags": tags}


def encode(rows: list[Row], kind: str, formatting: str) -> bytes | None:
    """A file of this type; None where it cannot hold the rows."""
    import pyarrow as pa

    if kind == "json":
        return json.dumps(rows, ensure_ascii=False).encode()
    if kind == "jsonl":
        return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    if kind == "pretty":
        return "\n".join(json.dumps(row, indent=1) for row in rows).encode()
    if kind == "csv":
        import io

        out = io.StringIO()
        writer = csv.DictWriter(out, sorted({key for row in rows for key in row}))
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue().encode()
    try:
        table = pa.Table.from_pylist(rows)
        sink = pa.BufferOutputStream()
        if kind == "parquet":
            import pyarrow.parquet as pq

            pq.write_table(table, sink)
        else:
            make = pa.ipc.new_stream if kind == "arrow" else pa.ipc.new_file
            with make(sink, table.schema) as out_stream:
                out_stream.write_table(table)
        return bytes(sink.getvalue().to_pybytes())
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None


def random_cases(seed: int, count: int) -> list[Case]:
    """Datasets of a few rows, sound or damaged, in all formattings and file types."""
    rng = random.Random(seed)
    cases: list[Case] = []
    endings = {"pretty": "json", "file": "arrow"}
    while len(cases) < count:
        formatting = rng.choice(["sharegpt", "openai", "alpaca"])
        kind = rng.choice(["json", "jsonl", "json", "jsonl", "pretty", "csv", "parquet", "arrow", "file"])
        make = alpaca_row if formatting == "alpaca" else lambda r, f=formatting: chat_row(r, f == "openai")
        rows = [make(rng) for _ in range(rng.randint(1, 6))]
        for row in rows:
            if rng.random() < 0.2:
                damage(row, rng)
        if rng.random() < 0.1:
            rows = rows * rng.randint(1, 3)
        content = encode(rows, kind, formatting)
        if content is not None:
            name = f"data.{endings.get(kind, kind)}"
            entry = entry_for(formatting, rng, name)
            cases.append(Case(f"{len(cases)}-{formatting}-{kind}", {name: content}, entry))
    return cases


CHAT = {"columns": {"messages": "messages"}, "tags": SHAREGPT_TAGS, "formatting": "sharegpt"}
OK = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "%s"}]%s}'


WITH_ID, WITH_LABEL = ', "id": 1', ', "kto": true'


def ok(answer: str = "Hello.", more: str = "") -> str:
    """A sound row as text, with more keys."""
    return OK % (answer, more)


TEXTS: dict[str, str | bytes] = {
    "trailing comma in array": f"[{ok()},]",
    "trailing comma in object": f"[{ok()[:-1]},}}]",
    "text after array": f"[{ok()}] x",
    "byte order mark, array": b"\xef\xbb\xbf" + f"[{ok()}]".encode(),
    "byte order mark, lines": b"\xef\xbb\xbf" + f"{ok()}\n{ok()}".encode(),
    "not utf-8, lines": f"{ok('caf%')}".encode().replace(b"%", b"\xff"),
    "not utf-8, array": f"[{ok('caf%')}]".encode().replace(b"%", b"\xff"),
    "NaN in array": "[" + ok(more=', "score": NaN') + "," + ok(more=', "score": 1') + "]",
    "NaN in lines": ok(more=', "score": NaN') + "\n" + ok(more=', "score": 1'),
    "duplicate key, array": "[" + ok(more=', "id": 1, "id": "x"') + "]",
    "duplicate key, lines": ok(more=', "id": 1, "id": 2'),
    "big integer, array": "[" + ok(more=', "id": 18446744073709551616') + "]",
    "unsigned integer, array": "[" + ok(more=', "id": 18446744073709551615') + "]",
    "big integer, lines": ok(more=', "id": 18446744073709551616'),
    "lone surrogate, array": "[" + ok("\\ud800") + "]",
    "lone surrogate, lines": ok("\\ud800"),
    "control character, array": "[" + ok("a\tb") + "]",
    "control character, lines": ok("a\tb"),
    "nul, array": "[" + ok("a\x00b") + "]",
    "empty": "",
    "white": "  \n ",
    "empty array": "[]",
    "empty objects": "[{}, {}]",
    "one object": ok(),
    "one object, wide": ok().replace("[", "\n[\n").replace(", ", "\n, ") + "\n",
    "concatenated": ok() + ok(),
    "commas between lines": ok() + ",\n" + ok(),
    "blank lines": "\n\n" + ok() + "\n\n\n" + ok() + "\n",
    "carriage returns": ok() + "\r\n" + ok() + "\r\n",
    "numbers": "[1, 2]",
    "strings": '["a", "b"]',
    "a number among objects": f"[{ok()}, 2]",
    "null among objects": f"[{ok()}, null]",
    "list among lines": f"{ok()}\n[1]",
    "string": '"x"',
    "cut": ok() + "\n" + ok()[:-9],
    "cut array": f"[{ok()}, {ok()[:-9]}",
    "single quotes": "[{'messages': []}]",
    "dates, lines": ok("2024-05-01").replace("Hi", "2024-05-02"),
    "dates, one not": ok("2024-05-01") + "\n" + ok("2024-05-01 10:00"),
    "dates in array": f"[{ok('2024-05-01')}]",
    "leading zero": "[" + ok(more=', "id": 01') + "]",
    "int and float": "[" + ok(more=', "id": 1') + "," + ok(more=', "id": 1.5') + "]",
    "bool and int": "[" + ok(more=', "id": 1') + "," + ok(more=', "id": true') + "]",
    "bool and int, lines": ok(more=', "id": 1') + "\n" + ok(more=', "id": true'),
    "object and list, nested": "[" + ok(more=', "m": {"a": [1]}') + "," + ok(more=', "m": {"a": {"b": 1}}') + "]",
    "other keys, nested": "[" + ok(more=', "m": {"a": 1}') + "," + ok(more=', "m": {"b": "x"}') + "]",
    "columns as lists": '{"messages": [[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "x"}]]}',
    "deep": "[" + ok(more=', "m": ' + "[" * 300 + "]" * 300) + "]",
    "very deep": "[" + ok(more=', "m": ' + "[" * 3000 + "]" * 3000) + "]",
    "name is a number": "[" + ok(more=', "0": 1') + "]",
    "empty name": "[" + ok(more=', "": 1') + "]",
}


def text_cases() -> list[Case]:
    """Files of a strange form, under both endings."""
    cases = []
    for name, text in TEXTS.items():
        content = text if isinstance(text, bytes) else text.encode()
        ending = "jsonl" if len(cases) % 2 else "json"
        cases.append(Case(name, {f"data.{ending}": content}, CHAT | {"file_name": f"data.{ending}"}))
    return cases


def alpaca_cases() -> list[Case]:
    """Column names and values that pandas converts."""
    cases = []
    for column in ("date", "created_at", "output", "timestamp"):
        for values in (["2024-05-01", "2024-05-02"], ["31536001", "41536001"], ["5", "7"], ["x", "2024-05-01"]):
            rows = [{"instruction": "When?", "input": "", column: value} for value in values]
            columns = {"prompt": "instruction", "query": "input", "response": column}
            for ending in ("json", "jsonl", "csv"):
                name = f"data.{ending}"
                content = encode(rows, ending, "alpaca") or b""
                entry = {"file_name": name, "formatting": "alpaca", "columns": columns}
                cases.append(Case(f"{column} {values[0]} {ending}", {name: content}, entry))
    text = {"columns": {"prompt": "text", "response": "text"}, "formatting": "alpaca"}
    cases.append(Case("text", {"data.txt": b"a\nb\r\n\nc"}, text | {"file_name": "data.txt"}))
    cases.append(Case("array of strings", {"data.json": b'["a", "b"]'}, text | {"file_name": "data.json"}))
    cases.append(
        Case("no query column", {"data.json": b'[{"instruction": "a", "output": "b"}]'}, {"file_name": "data.json"})
    )
    return cases


def entry_cases() -> list[Case]:
    """Folders, endings, splits, samples and what else the entry can say."""
    lines = "\n".join(ok(f"answer {n}") for n in range(150)).encode()
    few = {"data.jsonl": lines}
    base = CHAT | {"file_name": "data.jsonl"}
    cases = [Case(f"split {split}", few, base | {"split": split}) for split in SPLITS]
    cases += [Case(f"max_samples {most}", few, base, {"max_samples": most}) for most in (1, 10, 500)]
    cases.append(Case("split and max_samples", few, base | {"split": "train[50:]+train[:10]"}, {"max_samples": 105}))
    late = lines + b"\n" + ok(more=', "id": 1').encode() + b"\n" + ok(more=', "id": "x"').encode()
    cases.append(Case("fault past max_samples", {"data.jsonl": late}, base, {"max_samples": 5}))
    one, two = f"[{ok()}]".encode(), f"[{ok(more=WITH_ID)}]".encode()
    folders: dict[str, dict[str, bytes]] = {
        "same": {"d/a.json": one, "d/b.json": one},
        "other column": {"d/a.json": one, "d/b.json": two},
        "json and jsonl": {"d/a.json": one, "d/b.jsonl": lines},
        "readme": {"d/a.json": one, "d/README.md": b"x"},
        "hidden": {"d/a.json": one, "d/.DS_Store": b"x"},
        "hidden json": {"d/a.json": one, "d/.b.json": one},
        "sub-folder": {"d/a.json": one, "d/e/b.json": one},
        "folder named json": {"d/a.json": one, "d/e.json/b.json": one},
        "one empty": {"d/a.json": one, "d/b.json": b""},
        "csv beside": {"d/a.json": one, "d/b.csv": b"x"},
        "types differ": {
            "d/a.json": ok(more=', "id": 1').encode(),
            "d/b.json": ok(more=', "id": "5"').encode(),
            "d/c.json": ok(more=', "id": 2').encode(),
        },
    }
    cases += [Case(f"folder {name}", files, CHAT | {"file_name": "d"}) for name, files in folders.items()]
    cases.append(Case("no ending", {"data": one}, CHAT | {"file_name": "data"}))
    cases.append(Case("capital ending", {"data.JSON": one}, CHAT | {"file_name": "data.JSON"}))
    cases.append(Case("brackets in name", {"data[1].json": one}, CHAT | {"file_name": "data[1].json"}))
    cases.append(Case("missing", {}, CHAT | {"file_name": "gone.json"}))
    cases.append(Case("ranking", few, base | {"ranking": True}))
    cases.append(Case("formatting unknown", few, base | {"formatting": "chatml"}))
    labelled = f"[{ok(more=WITH_LABEL)}]".encode()
    cases.append(
        Case(
            "kto",
            {"d.json": labelled},
            CHAT | {"file_name": "d.json", "columns": {"messages": "messages", "kto_tag": "kto"}},
        )
    )
    cases.append(Case("columns empty", few, base | {"columns": {}}))
    cases.append(Case("columns null", few, base | {"columns": None}))
    cases += [Case(f"num_samples {most}", few, base | {"num_samples": most}) for most in (1, 40, 150, 200)]
    sampled = base | {"num_samples": 30, "split": "train[:20]+train[140:]"}
    cases.append(Case("num_samples, split, max_samples", few, sampled, {"max_samples": 12}))
    cases.append(Case("num_samples none", few, base | {"num_samples": 0}))
    cases.append(Case("eval too", few, base, {"eval_dataset": "data"}))
    return cases


SPLITS = ["train", "test", "train[:10]", "train[10%:50%]", "train[-5:]", "train[:10]+train[100:]", "train[:-140]"]
SPLITS += [
    "train[:33%](pct1_dropremainder)",
    "train[5:5]",
    "train[:200]",
    "all",
    "train[:5",
    "train[50:10]",
    "train[:1%]",
]
SPLITS += ["train[:150%]", "train + train[:3]", "train[:3](closest)", "", "train[::2]", "validation+train"]


def late_cases() -> list[Case]:
    """Files of more than one chunk, and columns that begin after the first thousand rows."""
    plain = [json.loads(ok(f"answer {n}")) for n in range(1100)]
    media = {"columns": {"messages": "messages", "images": "images", "system": "system"}}
    cases = []
    for name, changes in {
        "image at 1050": {1050: {"images": ["a.jpg"]}},
        "image at 3 and 1050": {3: {"images": ["a.jpg"]}, 1050: {"images": ["a.jpg"]}},
        "system at 1050": {1050: {"system": "x"}, 0: {"images": ["a.jpg"]}},
        "image at 999": {999: {"images": ["a.jpg"]}},
        "image at 1000": {1000: {"images": ["a.jpg"]}},
    }.items():
        rows = [{"images": [], "system": None} | row | changes.get(n, {}) for n, row in enumerate(plain)]
        for ending in ("json", "jsonl"):
            file = f"data.{ending}"
            cases.append(
                Case(f"{name} {ending}", {file: encode(rows, ending, "") or b""}, CHAT | media | {"file_name": file})
            )
    dropped = [{"messages": [{"role": "human", "content": "x"}]}] * 1001
    cases.append(
        Case(
            "all dropped at first",
            {"d.jsonl": encode(dropped + plain, "jsonl", "") or b""},
            CHAT | {"file_name": "d.jsonl"},
        )
    )
    long = "x" * 5000
    for name, first, last in (
        ("late column", "", ', "id": 1'),
        ("late type", ', "id": 1', ', "id": "x"'),
        ("late number as text", ', "id": "x"', ', "id": 1'),
        ("late null", ', "id": "x"', ', "id": null'),
        ("null at first", ', "id": null', ', "id": "x"'),
        ("empty list at first", ', "id": []', ', "id": ["x"]'),
        ("field comes late", ', "m": {"a": 1}', ', "m": {"b": 1}'),
        ("field goes", ', "m": {"a": 1, "b": 2}', ', "m": {"a": 1}'),
        ("dates at first", ', "id": "2024-05-01"', ', "id": "x"'),
        ("float late", ', "id": 1', ', "id": 1.5'),
        ("whole float late", ', "id": 1', ', "id": 2.0'),
        ("column goes", ', "id": 1', ""),
    ):
        text = "\n".join([ok(long, first)] * 2150 + [ok("end", last)] * 3)
        cases.append(Case(f"large: {name}", {"d.jsonl": text.encode()}, CHAT | {"file_name": "d.jsonl"}))
    return cases
