"""`curate init`: what it infers, that `curate check` and the trainer's own parser take it, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from curate.cli import main
from curate.doctor.gpu import Driver, Gpu
from tests.agreement.test_arguments import ask
from tests.scaffold import ROWS, Overlay
from tests.train.conftest import ROOT, Workshop
from train.starter.data import Data
from train.starter.machine import choose_machine
from train.starter.measure import Measured, measure
from train.starter.model import Model, choose_model
from train.starter.places import Places
from train.starter.plan import batch_of
from train.starter.words import scalar
from train.starter.zero import Zero, choose_zero
from validators.budgets.models import find_model
from validators.engine import check
from validators.errors import UsageFault
from validators.findings import Severity
from validators.llamafactory.environment import store
from validators.llamafactory.environment.choose import model_of
from validators.llamafactory.environment.families import FAMILIES as MODEL_FAMILIES
from validators.llamafactory.generated import has_class, tabled
from validators.llamafactory.trainer import REFERENCE, Trainer
from validators.probes import installed
from validators.settings import FORK_KEYS, read_yaml

Project = Callable[[Overlay], Path]
PICTURES, FILMS, SOUNDS, BOTH = "demo_image", "demo_video", "demo_audio", "demo_video_audio"
SEEING = f"{PICTURES},{FILMS}"
# as people type it -> the hub's name, template, whether it brings its own code, what of the demo it can be trained on
FAMILIES = {
    "minicpm-v-2.6": ("openbmb/MiniCPM-V-2_6", "minicpm_v", True, SEEING),
    "MiniCPM-V-4.0": ("openbmb/MiniCPM-V-4", "minicpm_v", True, SEEING),
    "openbmb/minicpm-v-4_5": ("openbmb/MiniCPM-V-4_5", "minicpm_v", True, SEEING),
    "minicpm-v-4.6": ("openbmb/MiniCPM-V-4.6", "minicpm_v_4_6", False, PICTURES),
    "minicpm-o-2.6": ("openbmb/MiniCPM-o-2_6", "minicpm_o", True, f"{SEEING},{SOUNDS},{BOTH}"),
    "minicpm_o_4_5": ("openbmb/MiniCPM-o-4_5", "minicpm_o", True, f"{SEEING},{SOUNDS},{BOTH}"),
    "qwen2-vl-7b-instruct": ("Qwen/Qwen2-VL-7B-Instruct", "qwen2_vl", False, SEEING),
    "Qwen/Qwen2.5-VL-7B-Instruct": ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2_vl", False, SEEING),
    "qwen3-vl-8b": ("Qwen/Qwen3-VL-8B-Instruct", "qwen3_vl_nothink", False, SEEING),
    "qwen3-vl-4b-thinking": ("Qwen/Qwen3-VL-4B-Thinking", "qwen3_vl", False, SEEING),
}
GUIDE = (
    "model_name_or_path", "trust_remote_code", "freeze_vision_tower", "print_param_status", "flash_attn", "stage",
    "do_train", "finetuning_type", "dataset", "template", "cutoff_len", "max_samples", "overwrite_cache",
    "preprocessing_num_workers", "output_dir", "logging_steps", "plot_loss", "overwrite_output_dir",
    "save_total_limit", "per_device_train_batch_size", "gradient_accumulation_steps", "learning_rate",
    "num_train_epochs", "lr_scheduler_type", "warmup_ratio", "bf16", "ddp_timeout", "save_only_model", "do_eval",
    "video_fps", "video_maxlen",
)  # fmt: skip
RUN = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29537"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's folder, built."""
    folder = tmp_path_factory.mktemp("init")
    shutil.copytree(ROOT / "examples", folder / "examples")
    assert main(["build", str(folder / "examples/demo/recipe.yaml")]) == 0
    return folder


@pytest.fixture
def demo(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the demo's build, on a machine without a GPU."""
    for name in ("examples", "build"):
        (tmp_path / name).symlink_to(built / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("train.starter.machine.read_driver", Driver)
    return tmp_path


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("train.starter.machine.read_driver", Driver)
    yield


def init(*words: str, code: int = 0, target: str = "build/demo") -> None:
    assert main(["init", target, *words]) == code


@pytest.mark.parametrize("model", FAMILIES)
def test_each_family_has_a_yaml_that_checks_clean(model: str, demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, template, own_code, datasets = FAMILIES[model]
    for method in ("lora", "full"):
        known = find_model(name)
        listed = () if known is None else known.templates
        verdict = model_of(name, {}, template, listed).under(installed.trainer() or REFERENCE)
        fails = verdict.fails
        init("--model", model, "--method", method, "--out", method, "--gpus", "8", code=int(fails))
        said = capsys.readouterr().out
        settings = read_yaml(Path(method, "train.yaml"))
        assert (settings["model_name_or_path"], settings["template"], settings["dataset"]) == (name, template, datasets)
        assert settings.get("trust_remote_code", False) is own_code
        assert ("NOT TRAINABLE HERE" in said) is fails
        assert ("NOT TRAINABLE HERE" in Path(method, "train.yaml").read_text()) is fails
        report = check(Path(method, "train.yaml"))
        loud = [item for item in report.findings if item.severity is not Severity.NOTE]
        assert [item.code for item in loud] == ["ENV201"] * fails + ["ENV301"] * verdict.doubtful, loud
        assert report.rows_reaching == report.rows_in == sum(1 for _ in rows_of(datasets))
        if report.lowest_cutoff is not None:
            assert report.lowest_cutoff <= report.cutoff_len < max(report.lowest_cutoff + 256, 513)
            assert f"the longest row has {report.lowest_cutoff} tokens" in said


def rows_of(datasets: str) -> Iterator[object]:
    for name in datasets.split(","):
        yield from json.loads(Path("build/demo", f"{name}.json").read_text())


def test_train_and_merge_yaml_agree(demo: Path) -> None:
    init("--model", "minicpm-v-4.5")
    folder = "runs/minicpm-v-4_5-lora"
    train, merge = read_yaml(Path(folder, "train.yaml")), read_yaml(Path(folder, "merge.yaml"))
    assert merge["adapter_name_or_path"] == train["output_dir"] == f"{folder}/output"
    for key in ("model_name_or_path", "template", "trust_remote_code", "finetuning_type"):
        assert merge[key] == train[key], key
    assert merge["export_dir"] == f"{folder}/merged"
    assert (train["dataset_dir"], train["media_dir"]) == ("build/demo", "examples/demo/media")
    assert train["use_cpu"] is True and "bf16" not in train and "deepspeed" not in train
    # nothing but the adapter that is still to be trained is missing
    findings = check(Path(folder, "merge.yaml")).findings
    assert [item.code for item in findings if item.severity is not Severity.NOTE] == ["CFG006"]


def test_every_key_of_the_guide_stands_there(demo: Path) -> None:
    for method in ("lora", "full"):
        init("--model", "minicpm-v-4.5", "--method", method, "--out", method, "--gpus", "2")
        text = Path(method, "train.yaml").read_text()
        keys = [*GUIDE, "lora_target" if method == "lora" else "deepspeed"]
        assert [key for key in keys if not re.search(rf"^(# )?{key}: ", text, re.MULTILINE)] == []
        assert all(key in text for key in FORK_KEYS)
        assert max(map(len, text.splitlines())) <= 120
        # each commented key is ready for use
        ready = re.sub(r"^# (\w+: .*)$", r"\1", text.partition("### model")[2], flags=re.MULTILINE)
        Path("ready.yaml").write_text("### model" + ready)
        assert "CFG101" not in {item.code for item in check(Path("ready.yaml")).findings}


def test_the_same_call_writes_the_same_bytes_and_overwrites_nothing_unasked(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init("--model", "minicpm-v-4.5", "--out", "a", "--gpus", "2", "--method", "full")
    before = {path.name: path.read_bytes() for path in Path("a").iterdir()}
    assert set(before) == {"train.yaml", "ds_z3_offload.json"}
    assert "nothing to merge" in capsys.readouterr().out
    Path("a/train.yaml").write_text("mine: true\n")
    init("--model", "qwen2-vl-2b", "--out", "a", code=2)
    assert "--force" in capsys.readouterr().err and Path("a/train.yaml").read_text() == "mine: true\n"
    assert not Path("a/merge.yaml").exists()
    init("--model", "minicpm-v-4.5", "--out", "a", "--gpus", "2", "--method", "full", "--force")
    assert {path.name: path.read_bytes() for path in Path("a").iterdir()} == before


def test_absolute_paths_hold_from_anywhere(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init("--model", "qwen2-vl-2b", "--out", "a", "--absolute", "--zero", "2")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    settings = read_yaml(demo / "a/train.yaml")
    keys = ("dataset_dir", "media_dir", "output_dir", "deepspeed")
    assert all(Path(str(settings[key])).is_absolute() for key in keys)
    report = check(demo / "a/train.yaml")
    assert report.rows_reaching == 12 and not report.errors and not report.warnings


def overlay(rows: list[object] = ROWS, positions: int = 4096, **more: list[object]) -> dict[str, str]:
    """A project whose model takes so many tokens, with more datasets."""
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "messages", "images": "images", "videos": "videos"}
    sets = {"data": rows, **more}
    entries = {}
    for name, own in sets.items():
        held = {key: value for key, value in columns.items() if any(key in row for row in own)}  # type: ignore[operator]
        entries[name] = {"file_name": f"{name}.json", "formatting": "sharegpt", "columns": held, "tags": tags}
    return {
        "model/config.json": json.dumps({"model_type": "qwen2_vl", "max_position_embeddings": positions}),
        "model/preprocessor_config.json": "{}",
        "dataset_info.json": json.dumps(entries),
        **{f"{name}.json": json.dumps(own) for name, own in sets.items()},
    }


def talk(question: str, **media: list[str]) -> dict[str, object]:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": "Yes."}]
    return {"messages": turns, **media}


def test_media_limits_are_lowered_to_the_model_s_longest_input(
    project: Project, no_gpu: None, capsys: pytest.CaptureFixture[str]
) -> None:
    project(overlay([talk("<image>What?", images=["dog.jpg"])], 200, films=[talk("<video>What?", videos=["clip.mp4"])]))
    settings = {}
    for positions, name in ((100_000, "wide"), (200, "narrow")):
        Path("model/config.json").write_text(
            json.dumps({"model_type": "qwen2_vl", "max_position_embeddings": positions})
        )
        init("--model", "model", "--out", name, target=".")
        settings[name] = read_yaml(Path(name, "train.yaml"))
        report = check(Path(name, "train.yaml"))
        assert not report.errors and report.rows_reaching == 2
    wide, narrow = settings["wide"], settings["narrow"]
    assert narrow["cutoff_len"] == 200 and wide["image_max_pixels"] == 768 * 768
    assert int(str(narrow["image_max_pixels"])) < 640 * 480
    assert f"image_max_pixels {narrow['image_max_pixels']}: 589824 would go beyond" in capsys.readouterr().out
    # as much as fits: at the next step up, tokens of the picture are lost
    more = Path("narrow/train.yaml").read_text().replace(str(narrow["image_max_pixels"]), "307200")
    Path("more.yaml").write_text(more)
    assert any(item.code == "BUD202" for item in check(Path("more.yaml")).findings)


def test_rows_that_no_limit_saves_are_named(project: Project, no_gpu: None, capsys: pytest.CaptureFixture[str]) -> None:
    project(overlay([*ROWS, talk("word " * 3000)], 1000))
    init("--model", "model", "--out", "a", target=".", code=1)
    said = capsys.readouterr().out
    assert read_yaml(Path("a/train.yaml"))["cutoff_len"] == 1000
    assert "data row 2" in said and "data row 2" in Path("a/train.yaml").read_text()


def test_held_out_parts_evaluate_and_what_does_not_fit_is_left_out(
    project: Project, no_gpu: None, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = [talk("<audio>What?", audios=["tone.wav"])]
    laid = overlay(ROWS, data_eval=ROWS, alone_eval=ROWS, data_test=ROWS)
    info = json.loads(laid["dataset_info.json"])
    info["heard"] = info["data"] | {"file_name": "heard.json", "columns": {"messages": "messages", "audios": "audios"}}
    info["far"] = {"hf_hub_url": "org/far"}
    info["gone"] = info["data"] | {"file_name": "gone.json"}
    project(laid | {"dataset_info.json": json.dumps(info), "heard.json": json.dumps(heard)})
    init("--model", "model", "--out", "a", target=".")
    settings, said = read_yaml(Path("a/train.yaml")), capsys.readouterr().out
    assert (settings["dataset"], settings["eval_dataset"]) == ("data,alone_eval", "data_eval")
    assert settings["do_eval"] is True and settings["eval_strategy"] == settings["save_strategy"] == "epoch"
    assert "heard (template qwen2_vl takes no audio)" in said
    assert "far (it lies on a hub" in said and "gone (gone.json not found" in said
    assert "data_test (a part held out for a test" in said
    assert not check(Path("a/train.yaml")).errors
    init("--model", "model", "--out", "e", "--eval", "data_test", target=".")
    settings = read_yaml(Path("e/train.yaml"))
    assert (settings["dataset"], settings["eval_dataset"]) == ("data,alone_eval", "data_test")
    init("--model", "model", "--out", "b", "--dataset", "data", "--eval", "alone_eval", target=".")
    settings = read_yaml(Path("b/train.yaml"))
    assert (settings["dataset"], settings["eval_dataset"]) == ("data", "alone_eval")
    init("--model", "model", "--out", "c", "--dataset", "data", target="dataset_info.json")
    assert read_yaml(Path("c/train.yaml"))["eval_dataset"] == "data_eval"
    init("--model", "model", "--out", "d", target="dataset_info.json:data")
    assert read_yaml(Path("d/train.yaml"))["dataset"] == "data"


@pytest.mark.parametrize("name", ["x\nmodel_name_or_path: evil", "x\u2028do_train: false", "a,b", "${oc.env:HOME}", ""])
def test_a_dataset_s_name_cannot_write_into_the_yaml(
    name: str, project: Project, no_gpu: None, capsys: pytest.CaptureFixture[str]
) -> None:
    laid = overlay()
    info = json.loads(laid["dataset_info.json"])
    project(laid | {"dataset_info.json": json.dumps({**info, name: info["data"]})})
    init("--model", "model", "--out", "a", "--media-dir", ".", target=".")
    settings = read_yaml(Path("a/train.yaml"))
    assert (settings["dataset"], settings["model_name_or_path"], settings["do_train"]) == ("data", "model", True)
    said = capsys.readouterr().out
    assert "a train yaml cannot hold its name" in said and "\nmodel_name_or_path" not in said


def test_many_rows_make_batches_workers_and_saves_by_steps(
    project: Project, no_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    rows = [talk(f"What is {number} and {number + 7}?") for number in range(2400)]
    project(overlay(rows[:2300], data_eval=rows[2300:]))
    init("--model", "model", "--out", "a", target=".")
    settings = read_yaml(Path("a/train.yaml"))
    assert (settings["per_device_train_batch_size"], settings["gradient_accumulation_steps"]) == (2, 8)
    assert (settings["save_steps"], settings["eval_steps"], settings["logging_steps"]) == (100, 100, 10)
    assert settings["eval_strategy"] == "steps" and settings["preprocessing_num_workers"] == 8
    # 2300 rows are 144 steps of 16
    assert f"# {3 * 144} steps" in Path("a/train.yaml").read_text()
    assert not [item.code for item in check(Path("a/train.yaml")).findings if item.code.startswith("CFG")]


def test_a_language_model_trains_on_text(project: Project, no_gpu: None, capsys: pytest.CaptureFixture[str]) -> None:
    project(overlay(films=[talk("<video>What?", videos=["clip.mp4"])]))
    init("--model", "qwen2.5-7b-instruct", "--out", "a", target=".")
    settings, said = read_yaml(Path("a/train.yaml")), capsys.readouterr().out
    assert (settings["model_name_or_path"], settings["template"]) == ("Qwen/Qwen2.5-7B-Instruct", "qwen")
    assert settings["dataset"] == "data" and "films (template qwen takes no video)" in said
    assert not [key for key in settings if key.startswith(("image_", "video_", "freeze_"))]
    assert not [item for item in check(Path("a/train.yaml")).findings if item.severity is not Severity.NOTE]


def test_quantized_and_base_models(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init("--model", "qwen2.5-vl-3b-instruct-awq", "--out", "a")
    assert {path.name for path in Path("a").iterdir()} == {"train.yaml"}
    assert "takes no adapter in" in capsys.readouterr().out
    init("--model", "qwen2.5-vl-3b-instruct-awq", "--out", "b", "--method", "full", code=1)
    assert "is quantized" in capsys.readouterr().err and not Path("b").exists()
    init("--model", "qwen2-vl-2b", "--out", "c")
    assert "Qwen/Qwen2-VL-2B-Instruct is the one that was taught to chat" in capsys.readouterr().out


def test_errors_in_the_data_are_said_and_fail(
    project: Project, no_gpu: None, capsys: pytest.CaptureFixture[str]
) -> None:
    project(overlay([*ROWS, talk("<image><image>What?", images=["dog.jpg"])]))
    init("--model", "model", "--out", "a", target=".", code=1)
    assert "1 × TAG201 more-image-tags-than-images" in capsys.readouterr().out
    assert "TAG201" in Path("a/train.yaml").read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--model", "bloom-3b"], 1, "bigscience/bloom-3b as a base model, without a template"),
        (["--model", "acme/unknown"], 1, "not listed by LLaMA-Factory"),
        (["--model", "minicpm-v-4.7"], 2, "openbmb/MiniCPM-V-4"),
        (["--model", " "], 2, "no name"),
        (["--model", "a/b\n#"], 2, "no model that LLaMA-Factory lists"),
        (["--model", "examples"], 2, "a folder without config.json"),
        (["--model", "qwen2.5-7b-instruct"], 2, "template qwen takes no image"),
        (["--model", "qwen2-vl-2b", "--template", "qwen9"], 2, "no such template"),
        (["--model", "qwen2-vl-2b", "--dataset", "demo_imag"], 2, "no dataset 'demo_imag'"),
        (["--model", "qwen2-vl-2b", "--eval", "nothing"], 2, "no dataset 'nothing'"),
        (["--model", "qwen2-vl-2b", "--dataset", "demo_audio"], 1, "TAG208"),
        (["--model", "qwen2-vl-2b", "--gpus", "-1"], 2, "a negative number"),
        (["--model", "qwen2-vl-2b", "--gpu-memory", "0"], 2, "no memory"),
        (["--model", "qwen2-vl-2b", "--out", "a,b"], 2, "a comma"),
        (["--model", "qwen2-vl-2b", "--out", "${HOME}"], 2, "${"),
        (["--model", "qwen2-vl-2b", "--out", "examples/demo/captions.csv"], 2, "cannot be made"),
    ],
)
def test_what_cannot_be_written_is_refused(
    words: list[str], code: int, said: str, demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(*words, code=code)
    assert said in capsys.readouterr().err
    assert {path.name for path in demo.iterdir()} == {"examples", "build"}


@pytest.mark.parametrize("target", ["nowhere", "examples", "examples/demo/captions.csv"])
def test_a_target_without_datasets_is_refused(target: str, demo: Path) -> None:
    init("--model", "qwen2-vl-2b", target=target, code=2)


def test_a_folder_s_own_config_tells_its_family(project: Project) -> None:
    project(overlay())
    places = Places(Path.cwd())
    cases = {
        "qwen2_5_vl": ("qwen2_vl", False),
        "minicpmv": ("minicpm_v", True),
        "minicpmo": ("minicpm_o", True),
        "qwen3_vl": ("qwen3_vl_nothink", False),
    }
    for model_type, (template, own_code) in cases.items():
        config = {"model_type": model_type} | ({"auto_map": {"AutoModel": "x.Y"}} if own_code else {})
        Path("model/config.json").write_text(json.dumps(config | {"text_config": {"max_position_embeddings": 77}}))
        model = choose_model("model", None, places)
        assert (model.template.name, model.own_code, model.positions) == (template, own_code, 77)
    Path("model/chat_template.jinja").write_text("… <think> …")
    assert choose_model("model", None, places).template.name == "qwen3_vl"
    assert choose_model("unsloth/Qwen2.5-VL-3B-Instruct", None, places).name == "unsloth/Qwen2.5-VL-3B-Instruct"
    assert choose_model("acme/new", "qwen2_vl", places).template.name == "qwen2_vl"


def test_what_the_environment_cannot_train_is_blocked_with_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Places(tmp_path)
    monkeypatch.setattr(store, "folder_of_environments", lambda: tmp_path)

    def blocked(name: str, transformers: str | None) -> str:
        trainer = None if transformers is None else Trainer(llamafactory="0.9.5", transformers=transformers)
        monkeypatch.setattr(installed, "trainer", lambda: trainer)
        return choose_model(name, None, places).blocked

    assert "all_tied_weights_keys" in blocked("minicpm-v-4.5", "5.6.0")
    assert "`curate env --make transformers-4`" in blocked("minicpm-v-4.5", "5.6.0")
    assert "`curate env --make minicpm-v-4.6`" in blocked("minicpm-v-4.6", "4.57.1")
    assert blocked("minicpm-v-4.5", "4.57.1") == blocked("qwen2-vl-2b", "5.6.0") == ""
    assert blocked("minicpm-v-4.6", None) == ""  # it will use the locked environment that it needs


def test_families_whose_models_bring_their_code() -> None:
    """Those of which no transformers that is tabled has a class."""
    for family in MODEL_FAMILIES:
        known = [has_class(each, trainer) for each in family.model_types for trainer in tabled()]
        assert family.own_code is not any(known) or not known, family.name


def test_zero_stage_by_size_and_gpus() -> None:
    eight = 8.7e9
    assert choose_zero(eight, "full", 8, 80) is Zero.TWO
    assert choose_zero(eight, "full", 4, 80) is Zero.TWO
    assert choose_zero(eight, "full", 3, 80) is Zero.THREE
    assert choose_zero(eight, "full", 1, 80) is Zero.OFFLOAD
    assert choose_zero(eight, "lora", 8, 80) is Zero.NONE
    assert choose_zero(72e9, "lora", 8, 80) is Zero.THREE
    assert choose_zero(72e9, "lora", 1, 80) is Zero.NONE
    assert choose_zero(None, "full", 2, 80) is Zero.TWO
    assert choose_zero(eight, "full", 0, 80) is Zero.NONE
    assert json.loads(Zero.OFFLOAD.text)["zero_optimization"]["offload_optimizer"]["device"] == "cpu"
    assert [json.loads(Zero(stage).text)["zero_optimization"]["stage"] for stage in ("2", "3", "3-offload")] == [
        2,
        3,
        3,
    ]


def test_batches_by_rows_and_gpus() -> None:
    assert batch_of(12, 1, 1536, "lora") == (1, 1)
    assert batch_of(5000, 1, 1536, "lora") == (2, 8)
    assert batch_of(5000, 1, 8192, "lora") == (1, 16)
    assert batch_of(5000, 8, 1536, "lora") == (2, 1)
    assert batch_of(5000, 8, 1536, "full") == (1, 2)
    assert batch_of(100, 2, 1536, "lora") == (2, 2)


def test_what_the_driver_shows_decides_the_number_format(monkeypatch: pytest.MonkeyPatch) -> None:
    for capability, wanted in (((9, 0), "bf16"), ((7, 5), "fp16")):
        gpus = (Gpu("x", capability, 24 * 10**9), Gpu("y", (9, 0), 80 * 10**9))
        monkeypatch.setattr("train.starter.machine.read_driver", lambda gpus=gpus: Driver("1", (12, 4), gpus))
        machine = choose_machine(None, None, None)
        assert (machine.gpus, machine.memory, machine.precision) == (2, 24.0, wanted)
    monkeypatch.setattr("train.starter.machine.read_driver", Driver)
    assert choose_machine(None, None, None).precision == "fp32"
    assert choose_machine(4, None, None).precision == "bf16"


@pytest.mark.parametrize(
    "value", ["plain/path", "a: b", "# no", "yes", "1e5", "0x10", "~", "null", "a #b", "'q'", '"', "- x", "é/ü", "1.0"]
)
def test_values_are_read_back_as_they_were(value: str, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(f"key: {scalar(value)}\nrate: {scalar(1.0e-5)}\nepochs: {scalar(3.0)}\n")
    assert read_yaml(file) == {"key": value, "rate": 1.0e-5, "epochs": 3.0}


def test_places_write_paths_as_the_trainer_reads_them(tmp_path: Path) -> None:
    assert Places(tmp_path).named(Path("a/../b")) == "b"
    assert Places(tmp_path).named(tmp_path / "a") == "a"
    assert Places(tmp_path).named(tmp_path.parent) == str(tmp_path.parent)
    assert Places(tmp_path, absolute=True).named(Path("a")) == str(tmp_path / "a")
    with pytest.raises(UsageFault):
        Places(tmp_path).named(Path("a\nb"))


@pytest.mark.trainer
def test_the_trainer_s_own_parser_takes_every_yaml(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: dict[str, Measured] = {}

    def measure_once(data: Data, model: Model, asked: frozenset[str], progress: Callable[[str, int], None]) -> Measured:
        return measured.get(model.name) or measured.setdefault(model.name, measure(data, model, asked, progress))

    monkeypatch.setattr("train.commands.init.measure", measure_once)
    cases, sharded = [], []
    for number, model in enumerate(FAMILIES):
        newer = int("4.6" in model)
        for method, gpus in (("lora", "0"), ("lora", "8"), ("full", "18"[number % 2])):
            out = f"{number}-{method}-{gpus}"
            init("--model", model, "--method", method, "--gpus", gpus, "--out", out, code=newer)
            train = read_yaml(Path(out, "train.yaml"))
            (sharded if "deepspeed" in train else cases).append(("train", train))
            if method == "lora":
                cases.append(("export", read_yaml(Path(out, "merge.yaml"))))
    assert (len(cases), len(sharded)) == (4 * len(FAMILIES), len(FAMILIES))
    stages = {Path(str(case["deepspeed"])).name for _, case in sharded}
    assert stages == {"ds_z2.json", "ds_z3_offload.json"}
    assert [case for case, answer in zip(cases, ask(cases, GPU_WITH_BF16="1"), strict=True) if answer] == []
    answers = ask(sharded, GPU_WITH_BF16="1", **RUN)
    assert [(case, answer) for case, answer in zip(sharded, answers, strict=True) if answer] == []


@pytest.mark.trainer
def test_init_train_export_on_the_tiny_model(workshop: Workshop) -> None:
    workshop.curate("init", "build/demo", "--model", "build/tiny-qwen2vl", "--gpus", "0", "--out", "runs/mine")
    file = workshop.folder / "runs/mine/train.yaml"
    text = file.read_text()
    assert "# max_steps: 10 " in text and read_yaml(file)["dataset"] == SEEING
    file.write_text(text.replace("# max_steps: 10 ", "max_steps: 2 "))
    trained = workshop.curate("train", "runs/mine/train.yaml")
    assert "Total optimization steps = 2" in trained and "Num examples = 12" in trained
    merged = workshop.curate("export", "runs/mine/merge.yaml")
    assert "targeted tensors differ" in merged and "FAIL" not in merged
    assert (workshop.folder / "runs/mine/merged/model.safetensors").is_file()
