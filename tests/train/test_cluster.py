"""Several processes and machines: what the launcher's environment means, and what is refused of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from curate.cli import main
from tests.scaffold import Overlay
from tests.train.conftest import BIN, Workshop
from train import trainer
from train.cluster import Cluster, cluster_of, launch_environment
from train.verify import verify_weights
from validators.errors import UsageFault
from validators.settings import read_yaml

TWO = {"NNODES": "2", "NODE_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
WORDS = ("train", "x.yaml")


def place(environment: dict[str, str], accelerators: int = 0, deepspeed: bool = False) -> Cluster:
    return cluster_of(environment, deepspeed, accelerators, WORDS)


def without(*names: str, **more: str) -> dict[str, str]:
    return {name: value for name, value in TWO.items() if name not in names} | more


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (without("MASTER_ADDR"), "MASTER_ADDR: not set with 2 nodes"),
        (without("MASTER_PORT"), "MASTER_PORT: not set with 2 nodes"),
        (without("NODE_RANK"), "NODE_RANK: not set with 2 nodes"),
        (without(NODE_RANK="2"), "a whole number from 0 to 1"),
        (without(NODE_RANK="-1"), "a whole number from 0 to 1"),
        (without(NNODES="two"), "NNODES: 'two'"),
        (without(NNODES=""), "NNODES: ''"),
        (without(MASTER_PORT="70000"), "from 1 to 65535"),
        (without(MASTER_ADDR="no such host.invalid"), "without white space"),
        (without(MASTER_ADDR="--role=x 1"), "without white space"),
        (without(MASTER_ADDR="256.256.256.256"), "cannot be resolved"),
        (without(FORCE_TORCHRUN="0"), "FORCE_TORCHRUN: '0', but 2 nodes"),
        ({"NPROC_PER_NODE": "2", "FORCE_TORCHRUN": "no"}, "several processes asked for"),
        ({"NPROC_PER_NODE": "0"}, "NPROC_PER_NODE: '0'"),
        (without(USE_RAY="1"), "USE_RAY"),
        ({"LOCAL_RANK": "0"}, "one `curate train` on each machine"),
        ({"MAX_RESTARTS": "3"}, "set without RDZV_ID"),
        ({"MIN_NNODES": "1", "MAX_NNODES": "2"}, "set without RDZV_ID"),
        ({"MIN_NNODES": "1", "RDZV_ID": "x"}, "without the other bound"),
        ({"MIN_NNODES": "3", "MAX_NNODES": "2", "RDZV_ID": "x"}, "from 3 to"),
    ],
)
def test_what_cannot_mean_what_it_says_is_refused(environment: dict[str, str], words: str) -> None:
    with pytest.raises(UsageFault) as fault:
        place(environment)
    assert words in str(fault.value)


def test_the_place_of_a_node() -> None:
    assert place({}) == place({"NNODES": "1", "NODE_RANK": "0"}) == Cluster()
    assert place(TWO) == Cluster(2, 1, leads=False) and place(TWO).words() == "node 1 of 2"
    elsewhere = {"MASTER_ADDR": "192.0.2.1"}  # TEST-NET-1 (RFC 5737): nobody's
    assert place(without(**elsewhere, NODE_RANK="0")) == Cluster(2, 0, leads=True)
    bounds = {"RDZV_ID": "x", "MIN_NNODES": "1", "MAX_NNODES": "3", "MAX_RESTARTS": "2"}
    assert place(without("NODE_RANK", "NNODES", **elsewhere, **bounds)) == Cluster(3, None, leads=False)
    with socket.socket() as free:
        free.bind(("", 0))
        port = str(free.getsockname()[1])
    here = without("NODE_RANK", "NNODES", **bounds) | {"MASTER_PORT": port}
    assert place(here) == Cluster(3, None, leads=True)


def test_a_port_that_is_taken_is_refused_on_the_node_that_opens_it() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = {"MASTER_PORT": str(taken.getsockname()[1])}
        assert not place(without(**port)).leads
        with pytest.raises(UsageFault, match="taken on this machine"):
            place(without(NODE_RANK="0", **port))


def test_torchrun_is_asked_for_where_it_is_needed() -> None:
    """Without it the launcher ignores NNODES and NPROC_PER_NODE, and each machine trains by itself."""
    assert launch_environment({}, False, 0) == launch_environment({}, False, 8) == {}
    assert launch_environment(TWO, False, 0) == {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "1"}
    assert launch_environment(TWO, False, 1) == {"FORCE_TORCHRUN": "1"}
    assert launch_environment({"NPROC_PER_NODE": "2"}, False, 0) == {"FORCE_TORCHRUN": "1"}
    assert launch_environment({"FORCE_TORCHRUN": "true"}, True, 0) == {"NPROC_PER_NODE": "1"}


def test_a_path_that_torchrun_would_split_is_refused() -> None:
    words = ("train", "my run.yaml")
    cluster_of({}, False, 0, words)
    cluster_of({"CUDA_VISIBLE_DEVICES": "0"}, False, 8, words)
    for environment, deepspeed, accelerators in ((TWO, False, 0), ({}, True, 1), ({}, False, 8)):
        with pytest.raises(UsageFault, match="as two words"):
            cluster_of(environment, deepspeed, accelerators, words)


def test_a_node_that_follows_keeps_no_record(
    project: Callable[[Overlay], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in TWO.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(trainer, "run", lambda *_: trainer.Outcome(0, ()))
    path = str(project({}))
    assert main(["train", path]) == 0
    assert "node 1 of 2: ended well" in capsys.readouterr().out and not Path("out").exists()
    monkeypatch.setattr(trainer, "run", lambda *_: trainer.Outcome(1, ("ValueError: x",)))
    assert main(["train", path]) == 1
    assert "node 1 of 2: llamafactory-cli train ended with 1: ValueError: x" in capsys.readouterr().out


def test_every_node_refuses_bad_data_by_itself(
    project: Callable[[Overlay], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in TWO.items():
        monkeypatch.setenv(name, value)
    path = project({"data.json": json.dumps([{"messages": [{"role": "user", "content": "Hi"}]}])})
    assert main(["train", str(path)]) == 1
    assert "TRN202" in capsys.readouterr().out


@pytest.fixture
def nodes(workshop: Workshop) -> Iterator[tuple[str, str]]:
    """What two nodes on this machine said, of one process each, that trained two steps together."""
    folder = workshop.folder
    settings = read_yaml(folder / "train/recipes/tiny_lora.yaml")
    settings |= {"output_dir": "runs/nodes", "max_steps": 2, "save_strategy": "no", "plot_loss": False}
    (folder / "nodes.yaml").write_text(json.dumps(settings))
    with socket.socket() as free:
        free.bind(("", 0))
        port = str(free.getsockname()[1])
    environments = [TWO | {"NODE_RANK": str(rank), "MASTER_PORT": port} for rank in (0, 1)]
    started = [
        subprocess.Popen(
            [BIN / "curate", "train", "nodes.yaml"],
            cwd=folder,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for environment in environments
    ]
    try:
        said = tuple(process.communicate(timeout=500)[0] for process in started)
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], said
    yield said[0], said[1]


@pytest.mark.trainer
def test_two_nodes_train_one_adapter(workshop: Workshop, nodes: tuple[str, str]) -> None:
    """Nothing but NNODES, NODE_RANK and the master's address is given: torchrun and its process come by themselves."""
    leader, follower = nodes
    assert "rank: 0, world size: 2" in leader and "rank: 1, world size: 2" in follower
    assert "ok    adapter: runs/nodes" in leader and "ok    record" in leader
    assert "node 1 of 2: ended well" in follower and "verified" not in follower
    assert "nodes.yaml, node 0 of 2" in leader and "nodes.yaml, node 1 of 2" in follower
    assert "reach the loss" in leader and "reach the loss" not in follower
    out = workshop.folder / "runs/nodes"
    assert verify_weights(out, adapter=True).passed
    record = json.loads((out / "run.json").read_text())
    assert record["outcome"] == "finished" and len(record["attempts"]) == 1 and record["result"]["steps"] == 2
    launched = {name: value for name, value in record["launcher"].items() if not name.startswith("HF_")}
    assert launched | {"MASTER_PORT": ""} == TWO | {"NODE_RANK": "0", "MASTER_PORT": ""}
