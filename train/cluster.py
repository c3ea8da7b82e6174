"""How many processes and machines a run gets, from the environment that the trainer's launcher reads.

llamafactory 0.9.5, launcher.py: launch. It takes what is missing by guess (this machine as the master, any free port,
rank 0), ignores all of it where it does not start torchrun, and splits torchrun's command line at white space. On
several machines each of these ends in nodes that wait for one another, or in as many runs as there are nodes: they are
refused.
"""

from __future__ import annotations

import errno
import importlib.util
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from validators.errors import UsageFault

INTERPOLATED = (
    "NNODES", "NODE_RANK", "NPROC_PER_NODE", "MASTER_ADDR", "MASTER_PORT", "MAX_RESTARTS", "RDZV_ID", "MIN_NNODES",
    "MAX_NNODES",
)  # fmt: skip
"""Variables that become words of torchrun's command line."""
WORKER = ("LOCAL_RANK", "TORCHELASTIC_RUN_ID")
"""What torchrun gives its workers (torch 2.11, distributed/run.py)."""
COUNTED = frozenset({"gpu", "cpu", "auto", "xpu"})
"""Words that torchrun takes for --nproc-per-node (torch 2.11, distributed/run.py: determine_local_world_size)."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """This machine's place among those of a run."""

    nodes: int = 1
    """At most so many, where their number may change."""
    rank: int | None = 0
    """This one's number; None where a rendezvous gives it."""
    leads: bool = True
    """Whether this machine keeps the run's record and verifies what it leaves: one of them all."""

    def words(self) -> str:
        """`node 1 of 2`."""
        return f"{'a node' if self.rank is None else f'node {self.rank}'} of {self.nodes}"


def launch_environment(environment: Mapping[str, str], deepspeed: bool, accelerators: int) -> dict[str, str]:
    """What the launcher needs beside the user's environment to start torchrun where it was asked for more than one
    process or node, or for DeepSpeed, which llamafactory refuses without (hparams/parser.py)."""
    several = deepspeed or nodes_of(environment) > 1 or processes_of(environment) > 1
    if not several:
        return {}
    added = {"FORCE_TORCHRUN": "1"}
    if not accelerators:  # the launcher counts no processes without one
        added["NPROC_PER_NODE"] = "1"
    return {name: value for name, value in added.items() if name not in environment}


def cluster_of(environment: Mapping[str, str], deepspeed: bool, accelerators: int, arguments: Sequence[str]) -> Cluster:
    """This machine's place; UsageFault for what the launcher would take otherwise than it is meant.

    arguments: those of llamafactory-cli.
    """
    for name in WORKER:
        if name in environment:
            raise UsageFault(
                name, "set: torchrun has started this process", "one `curate train` on each machine",
                "start `curate train` itself: it starts torchrun, with NPROC_PER_NODE processes",
            )  # fmt: skip
    for name in INTERPOLATED:
        value = environment.get(name)
        if value is not None and (not value or re.search(r"\s", value)):
            raise UsageFault(name, repr(value), "one word without white space")
    nodes = nodes_of(environment)
    processes_of(environment)
    refuse_half_elastic(environment)
    forced = {**launch_environment(environment, deepspeed, accelerators), **environment}.get("FORCE_TORCHRUN", "")
    torchrun = forced.lower() in ("true", "y", "1")  # extras/misc.py: is_env_enabled
    if not torchrun and (nodes > 1 or processes_of(environment) > 1 or deepspeed):
        asked = "DeepSpeed" if deepspeed else f"{nodes} nodes" if nodes > 1 else "several processes"
        raise UsageFault("FORCE_TORCHRUN", f"{forced!r}, but {asked} asked for", "1, or not set")
    if torchrun or (accelerators > 1 and not any(name.endswith("_VISIBLE_DEVICES") for name in environment)):
        refuse_white_space(arguments)
    if nodes == 1:
        return Cluster()
    if environment.get("USE_RAY", "0").lower() in ("true", "y", "1"):
        raise UsageFault("USE_RAY", f"set with NNODES={nodes}", "one of the two: Ray starts its own workers")
    return placed(environment, nodes)


def placed(environment: Mapping[str, str], nodes: int) -> Cluster:
    """This machine's place among several."""
    for name, guess, meant in (
        ("MASTER_ADDR", "127.0.0.1, itself", "node 0's name or address"),
        ("MASTER_PORT", "a free port of its own", "a free port of node 0"),
    ):
        if name not in environment:
            found = f"not set with {nodes} nodes: each would take {guess}"
            raise UsageFault(name, found, "the same on all nodes", f"set {name} to {meant}")
    port = whole("MASTER_PORT", environment["MASTER_PORT"], 1, 65535)
    elastic = "RDZV_ID" in environment
    if not elastic and "NODE_RANK" not in environment:
        raise UsageFault(
            "NODE_RANK", f"not set with {nodes} nodes: each would be node 0", f"0 to {nodes - 1}, another on each node"
        )
    rank = whole("NODE_RANK", environment["NODE_RANK"], 0, nodes - 1) if "NODE_RANK" in environment else None
    here = is_here(environment["MASTER_ADDR"])
    leads = here if rank is None else rank == 0
    if leads and here:
        refuse_taken(port)
    return Cluster(nodes, rank, leads)


def nodes_of(environment: Mapping[str, str]) -> int:
    """The number of nodes, at most."""
    most = environment.get("MAX_NNODES") if "RDZV_ID" in environment and "MIN_NNODES" in environment else None
    return whole("NNODES" if most is None else "MAX_NNODES", most or environment.get("NNODES", "1"), 1, 1 << 20)


def processes_of(environment: Mapping[str, str]) -> int:
    """The number of processes that is asked for on this node; 0 where torchrun or the launcher is to count."""
    text = environment.get("NPROC_PER_NODE", "")
    return 0 if not text or text in COUNTED else whole("NPROC_PER_NODE", text, 1, 1 << 16)


def refuse_half_elastic(environment: Mapping[str, str]) -> None:
    """MIN_NNODES, MAX_NNODES and MAX_RESTARTS mean something with RDZV_ID only, and the first two together only."""
    bounds = [name for name in ("MIN_NNODES", "MAX_NNODES") if name in environment]
    if len(bounds) == 1:
        raise UsageFault(bounds[0], "set without the other bound", "both MIN_NNODES and MAX_NNODES, or neither")
    if bounds:
        least = whole("MIN_NNODES", environment["MIN_NNODES"], 1, 1 << 20)
        whole("MAX_NNODES", environment["MAX_NNODES"], least, 1 << 20)
    restarts = whole("MAX_RESTARTS", environment.get("MAX_RESTARTS", "0"), 0, 1 << 20)
    if "RDZV_ID" not in environment and (bounds or restarts):
        name = bounds[0] if bounds else "MAX_RESTARTS"
        raise UsageFault(name, "set without RDZV_ID: the launcher ignores it", "RDZV_ID too, the same on all nodes")


def refuse_white_space(arguments: Sequence[str]) -> None:
    """The launcher joins its words and splits them again."""
    spec = importlib.util.find_spec("llamafactory")
    installed = [str(Path(spec.origin).parent)] if spec is not None and spec.origin else []
    for word in (*arguments, *installed):
        if re.search(r"\s", word):
            raise UsageFault(
                word, "white space in a path: torchrun would get it as two words", "a path without", "move or link it"
            )


def refuse_taken(port: int) -> None:
    """The master's port is one that nothing else listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                reason = "taken on this machine" if error.errno == errno.EADDRINUSE else "not ours to open"
                raise UsageFault(
                    "MASTER_PORT", f"{port} is {reason}", "a free port", "set another on all nodes"
                ) from error
            raise


def is_here(address: str) -> bool:
    """Whether a name or address is this machine's; UsageFault where it cannot be resolved."""
    try:
        found = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UsageFault(
            "MASTER_ADDR", f"{address!r} cannot be resolved: {error}", "node 0's name or address"
        ) from error
    for family, kind, protocol, _, place in found:
        with socket.socket(family, kind, protocol) as probe:
            try:
                probe.bind(place)
            except OSError:
                continue
            return True
    return False


def whole(name: str, text: str, least: int, most: int) -> int:
    """A variable's whole number between two others; UsageFault for anything else."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not least <= int(text) <= most:
        raise UsageFault(name, repr(text), f"a whole number from {least} to {most}")
    return int(text)
