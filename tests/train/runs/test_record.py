"""run.json: what is written down of a run, and what is told from it later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.cli import main
from tests.scaffold import Overlay
from train import trainer
from train.resume import going_on
from train.runs import facts
from train.runs.losses import read_losses
from train.runs.read import find_runs, outcome_of, read_run
from train.runs.record import NAME, RunFile, read_record
from train.watch import Watcher
from validators.errors import UsageFault

Project = Callable[[Overlay], Path]
LOSS = "{{'loss': '{loss}', 'grad_norm': '0.1', 'learning_rate': '0.001', 'epoch': '1'}}\n"


def logged(folder: Path, *losses: float, start: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [{"current_steps": step, "total_steps": 9, "loss": loss} for step, loss in enumerate(losses, start)]
    with (folder / "trainer_log.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def stub(monkeypatch: pytest.MonkeyPatch, code: int, *lines: str, losses: tuple[float, ...] = ()) -> None:
    """A trainer that logs losses, says lines and ends."""

    def run(arguments: list[str], settings: dict[str, object], watcher: Watcher) -> trainer.Outcome:
        out = Path(str(settings["output_dir"]))
        assert (read_record(out / NAME) or {})["outcome"] == "running", "the record is there before the trainer starts"
        logged(out, *losses)
        for line in lines:
            list(watcher.see(line))
        return trainer.Outcome(code, lines)

    monkeypatch.setattr(trainer, "run", run)


def test_a_failed_run_is_written_down_with_its_fault(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(monkeypatch, 1, "torch.OutOfMemoryError: CUDA out of memory", losses=(3.0, 2.5))
    path = project({"train.yaml": "hf_hub_token: hf_abcdef\nreport_to: none\n"})
    (Path("data.json").parent / "lock.json").write_text("{}")
    assert main(["train", str(path)]) == 1
    record = json.loads(Path("out/run.json").read_text())
    assert record["outcome"] == "failed" and "out of memory" in record["fault"]
    assert record["result"]["last_loss"] == 2.5 and record["result"]["steps"] == 2
    assert any("memory is full" in words for words in record["result"]["explained"])
    assert "hf_abcdef" not in Path("out/run.json").read_text() and facts.HIDDEN in record["settings"]["text"]
    assert record["settings"]["values"]["template"] == "qwen2_vl"
    build = next(iter(record["data"].values()))["build"]
    assert build["file"] == "lock.json" and build["sha256"] == facts.sha256(Path("lock.json"))
    assert record["check"]["reaching"] == record["check"]["rows"] > 0


def test_a_run_that_is_interrupted_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> trainer.Outcome:
        logged(Path("out"), 3.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "run", run)
    assert main(["train", str(project({}))]) == 130
    assert json.loads(Path("out/run.json").read_text())["outcome"] == "interrupted"


def test_an_earlier_run_s_files_are_not_this_one_s(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """overwrite_output_dir leaves checkpoints, and a run that fails early leaves the log, of the one before."""
    path = project({"train.yaml": "overwrite_output_dir: true\n"})
    logged(Path("out"), 9.0)
    Path("out/checkpoint-1").mkdir()
    Path("out/checkpoint-1/trainer_state.json").write_text('{"global_step": 1}')
    for file in Path("out").rglob("*.json*"):
        os.utime(file, (file.stat().st_mtime - 100,) * 2)
    stub(monkeypatch, 1, "ValueError: early")
    monkeypatch.setattr("tests.train.runs.test_record.logged", lambda *_: None)
    assert main(["train", str(path)]) == 1
    result = json.loads(Path("out/run.json").read_text())["result"]
    assert result["last_loss"] is None and result["checkpoints"] == []
    run = read_run(Path("out"))
    assert run is not None and run.losses.trained == ()


def test_a_record_that_says_running_is_believed_while_its_process_lives(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from train.runs.record import RunFile;"
        "RunFile(Path(sys.argv[1])).start({}, None); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / NAME)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        record = read_record(tmp_path / NAME)
        assert record is not None and outcome_of(record) == "running"
        process.kill()
    assert outcome_of(record) == "broken off"
    record["attempts"][0]["host"]["name"] = "elsewhere"
    assert outcome_of(record) == "running", "another machine's processes are not seen from here"
    record["attempts"][0] |= {"host": facts.host(), "process": facts.process() | {"started": "1"}}
    assert outcome_of(record) == "broken off", "the number was given to another process"


def test_a_resumed_run_gets_one_more_attempt(tmp_path: Path) -> None:
    first = RunFile(tmp_path / NAME)
    first.start({"git": None}, None)
    second = RunFile(tmp_path / NAME)
    second.start({"git": None}, tmp_path / "checkpoint-3")
    second.end("finished", "", {"steps": 9})
    record = read_record(tmp_path / NAME)
    assert record is not None and record["id"] == first.value["id"]
    assert [each["outcome"] for each in record["attempts"]] == ["broken off", "finished"]
    third = RunFile(tmp_path / NAME)
    third.start({"git": None}, None)
    assert len(third.value["attempts"]) == 1 and third.value["id"] != first.value["id"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 99}', "[" * 99999, '{"format": 1, "outcome": 5, "attempts": [3], "data": []}']
)
def test_any_run_json_is_read_or_passed_over(text: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(text)
    logged(tmp_path, 1.0)
    (run,) = find_runs(tmp_path)
    assert run.losses.last == 1.0 and isinstance(run.outcome, str)
    assert (run.settings, run.data, run.seconds) == ({}, {}, 0.0)


def test_steps_that_were_done_twice_count_once(tmp_path: Path) -> None:
    logged(tmp_path, 5.0, 4.0, 3.0)
    logged(tmp_path, 2.0, float("nan"), start=3)
    with (tmp_path / "trainer_log.jsonl").open("a") as file:
        file.write('{"current_steps": 4, "eval_loss": "1.5"}\n{"loss": 1}\n7\n{"current_steps": 5, "lo')
    losses = read_losses(tmp_path)
    assert losses.trained[:3] == ((1, 5.0), (2, 4.0), (3, 2.0)) and losses.step == 4
    assert losses.evaluated == ((4, 1.5),) and losses.total == 9
    (tmp_path / "trainer_log.jsonl").unlink()
    (tmp_path / "trainer_state.json").write_text('{"max_steps": 2, "log_history": [{"step": 1, "loss": 7.0}, 3]}')
    assert read_losses(tmp_path).trained == ((1, 7.0),) and read_losses(tmp_path).total == 2


def test_where_the_trainer_goes_on_by_itself(tmp_path: Path) -> None:
    settings: dict[str, object] = {"output_dir": str(tmp_path)}
    assert going_on(settings) is None
    for step in (5, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
    assert going_on(settings) == tmp_path / "checkpoint-10"
    assert going_on(settings | {"overwrite_output_dir": True}) is None
    assert going_on(settings | {"stage": "rm", "finetuning_type": "full"}) is None
    assert going_on(settings | {"resume_from_checkpoint": "x/checkpoint-5"}) == Path("x/checkpoint-5")


def test_the_commit_and_its_changes(tmp_path: Path) -> None:
    assert facts.git_state(tmp_path) is None
    for words in (("init", "-q"), ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x", "--allow-empty")):
        subprocess.run(["git", "-C", tmp_path, *words], check=True)
    (tmp_path / "new").write_text("")
    state = facts.git_state(tmp_path)
    assert state is not None and len(str(state["commit"])) == 40 and state["dirty"] is False
    subprocess.run(["git", "-C", tmp_path, "add", "new"], check=True)
    changed = facts.git_state(tmp_path)
    assert changed is not None and changed["dirty"] is True


def test_a_secret_that_is_not_written_as_it_reads_hides_the_text(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text('swanlab_api_key: "a\\x62c"\n')
    said = facts.settings_of_run(file, {"swanlab_api_key": "abc"}, ["hub_token=abc"])
    assert said["text"] == facts.HIDDEN and "abc" not in json.dumps(said)


def test_a_record_that_cannot_be_written_is_a_usage_fault(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(UsageFault, match="cannot be written"):
        RunFile(tmp_path / NAME).start({}, None)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageFault, match="cannot be made"):
        RunFile(tmp_path / "file/out" / NAME).start({}, None)
