"""After a merge the folder is loaded by the base's code: what is put back, and what is left alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.train.conftest import BIN
from tests.train.own_model import MAPS, make_own_model
from train.export.files import restore
from train.export.merge import Merge
from train.export.own_code import declared_in, missing_modules, with_code_of
from validators.replay.adapter_base import base_fingerprint
from validators.replay.arguments import Arguments

AUTOS = ("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoTokenizer", "AutoProcessor", "AutoImageProcessor")
REFERENCES = ("modeling_own.Own", "tokenization_own.OwnFast", "org/model--modeling_own.Own", "tokenization_qwen2.Slow")
VALUES = st.one_of(
    st.sampled_from(REFERENCES),
    st.tuples(st.sampled_from(REFERENCES), st.sampled_from(REFERENCES)).map(list),
    st.sampled_from(REFERENCES).map(lambda name: [None, name]),
    st.sampled_from(REFERENCES).map(lambda name: [name, None]),
)
MAP = st.dictionaries(st.sampled_from(AUTOS), VALUES, max_size=4)
CLASS = st.sampled_from(["OwnTokenizer", "OwnTokenizerFast", "Qwen2Tokenizer", "TokenizersBackend"])
CONFIG = st.fixed_dictionaries(
    {}, optional={"auto_map": MAP, "tokenizer_class": CLASS, "processor_class": st.just("OwnProcessor")}
)
TRAINED = st.fixed_dictionaries(
    {"added_tokens_decoder": st.just({"9": {"content": "<new>"}}), "chat_template": st.text(max_size=5)},
    optional={"image_processor": st.fixed_dictionaries({"size": st.just(3)}, optional={"auto_map": MAP})},
)
CODE = ("auto_map", "tokenizer_class", "processor_class")


@given(base=CONFIG, written=CONFIG, more=TRAINED, elsewhere=MAP, is_there=st.booleans())
def test_the_code_is_the_base_s_and_nothing_else_changes(
    base: dict[str, Any], written: dict[str, Any], more: dict[str, Any], elsewhere: dict[str, Any], is_there: bool
) -> None:
    base = base if is_there else {}
    declared = elsewhere | base.get("auto_map", {})
    value, keys = with_code_of(base, written | more, declared, is_there)
    if is_there:
        assert value.get("auto_map") == base.get("auto_map")
        assert value.get("tokenizer_class") == base.get("tokenizer_class", value.get("tokenizer_class"))
    for key, reference in value.get("auto_map", {}).items():
        assert reference == declared[key], "no class is loaded from what the base does not name"
    for key, reference in value.get("image_processor", {}).get("auto_map", {}).items():
        assert reference == declared[key]
    left = {key: part for key, part in value.items() if key not in (*CODE, "image_processor")}
    assert left == {key: part for key, part in more.items() if key != "image_processor"}
    assert value.get("image_processor", {}).get("size") == more.get("image_processor", {}).get("size")
    assert bool(keys) is (value != written | more)
    assert with_code_of(base, value, declared, is_there) == (value, []), "a second time there is nothing to do"


def test_what_code_imports_from_beside_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"auto_map": {"AutoModel": "a.A", "AutoConfig": "org/other--far.B"}}')
    assert missing_modules(tmp_path) == ["a.py"]
    (tmp_path / "a.py").write_text("import os\nfrom .b import (\n    x,\n)\nfrom torch import nn\n")
    assert missing_modules(tmp_path) == ["b.py"]
    (tmp_path / "b.py").write_text("from .a import A\n    from .c import y\nimport .d\n")
    assert missing_modules(tmp_path) == ["c.py", "d.py"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of its own code and an adapter for it."""
    folder = tmp_path_factory.mktemp("own")
    make_own_model(folder / "base", folder / "adapter")
    return folder


SAVE = """
import json, sys
from transformers import AutoConfig, AutoTokenizer
for line in sys.stdin:
    base, out = json.loads(line)
    config = AutoConfig.from_pretrained(base, trust_remote_code=True)
    tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=True)
    # as llamafactory 0.9.5 does it: model/model_utils/misc.py, register_autoclass
    config.__class__.register_for_auto_class()
    if "AutoTokenizer" in tokenizer.init_kwargs.get("auto_map", {}):
        tokenizer.__class__.register_for_auto_class()
    tokenizer.add_tokens(["<new>"])
    config.save_pretrained(out)
    tokenizer.save_pretrained(out)
"""
LOAD = """
import json, sys
from transformers import AutoTokenizer
for line in sys.stdin:
    before, after = [AutoTokenizer.from_pretrained(folder, trust_remote_code=True) for folder in json.loads(line)]
    print(json.dumps([type(before).__name__, type(after).__name__, len(after.tokenize("<new>"))]))
"""
FAST, SLOW = "tokenization_own.OwnTokenizerFast", "tokenization_own.OwnTokenizer"
FORMS: dict[str, object] = {
    "fast in the slow one's place": {"AutoTokenizer": [FAST, None]},
    "fast": {"AutoTokenizer": [None, FAST]},
    "both": {"AutoTokenizer": [SLOW, FAST]},
    "slow": {"AutoTokenizer": [SLOW, None]},
}


@pytest.mark.trainer
def test_a_tokenizer_saved_by_transformers_loads_as_the_base_s(own: Path, tmp_path: Path) -> None:
    """For each way to write auto_map: the base's class loads again, with the tokens that training added."""
    pairs = []
    for number, form in enumerate(FORMS.values()):
        base = tmp_path / f"base{number}"
        shutil.copytree(own / "base", base, ignore=shutil.ignore_patterns("*.safetensors"))
        vocabulary = json.loads((base / "tokenizer.json").read_text())
        tokens = vocabulary["model"]["vocab"] | {each["content"]: each["id"] for each in vocabulary["added_tokens"]}
        (base / "vocab.json").write_text(json.dumps(tokens))
        config = json.loads((base / "tokenizer_config.json").read_text())
        name = "OwnTokenizerFast" if "Fast" in str(form) else "OwnTokenizer"
        config |= {"auto_map": form, "tokenizer_class": name}
        (base / "tokenizer_config.json").write_text(json.dumps(config))
        pairs.append((str(base), str(tmp_path / f"out{number}")))
    run_over(pairs, SAVE, tmp_path)
    for base, out in pairs:
        merge = Merge(tmp_path / "m.yaml", base, (), Path(out), Arguments({"resize_vocab": True}))
        told = restore(merge)
        assert all(proof.passed for proof in told), told
        assert declared_in(Path(out)) == declared_in(Path(base))
        assert missing_modules(Path(out)) == []
    rows = run_over(pairs, LOAD, tmp_path)
    assert len(rows) == len(FORMS)
    for before, after, length in rows:
        assert (after, length) == (before, 1), "what training added stays"


def run_over(pairs: list[tuple[str, str]], program: str, folder: Path) -> list[list[Any]]:
    """What a program said of base and merged folder, a JSON list a line."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="".join(json.dumps(pair) + "\n" for pair in pairs),
        env=os.environ | {"HF_MODULES_CACHE": str(folder / "modules"), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


@pytest.mark.trainer
def test_a_real_merge_of_own_code_answers_by_it(own: Path) -> None:
    """llamafactory's own export: the base's auto_map again, its processor, its `chat`.

    One adapter names a base that is elsewhere and has its hashes, the other names another one of these shapes.
    """
    shutil.copytree(own / "adapter", own / "other")
    for name, base in (("adapter", "/elsewhere/first"), ("other", "org/another")):
        config = own / name / "adapter_config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": base}))
    record = {"base": {"path": "/elsewhere/first", "files": base_fingerprint(own / "base")}}
    (own / "adapter/run.json").write_text(json.dumps(record))
    settings = {
        "model_name_or_path": str(own / "base"),
        "adapter_name_or_path": f"{own / 'adapter'},{own / 'other'}",
        "template": "minicpm_v",
        "trust_remote_code": True,
        "export_dir": str(own / "merged"),
        "export_device": "cpu",
        "export_size": 5,
    }
    (own / "merge.yaml").write_text(yaml.safe_dump(settings))
    done = subprocess.run(
        [BIN / "curate", "export", own / "merge.yaml"],
        env=os.environ | {"HF_MODULES_CACHE": str(own / "modules")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    verified = done.stdout.partition("verified:\n")[2]
    assert f"ok    adapter belongs to the base: {own / 'adapter'} (by hash)" in done.stdout
    assert f"open  adapter belongs to the base: {own / 'other'} (trained on org/another; the shapes fit)" in done.stdout
    assert "EXP201" in done.stdout
    assert "FAIL" not in verified and "open" not in verified
    assert "ok    processor loads: " in verified and "by its own code" in verified
    assert "tokens to a picture by its own chat, finite" in verified
    assert "auto_map of tokenizer_config.json" in verified and "auto_map of processor_config.json" in verified
    for name, declared in MAPS.items():
        assert json.loads((own / "merged" / name).read_text())["auto_map"] == declared
    for file in (own / "base").glob("*.py"):
        assert (own / "merged" / file.name).read_bytes() == file.read_bytes()
