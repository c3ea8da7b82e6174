"""Orders and batches against torch, accelerate and the real trainer's data loader."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.llamafactory.batches import real_batches
from validators.llamafactory.batches.permutation import MOST, permutation
from validators.llamafactory.batches.sampler import Sampling, cut, evaluating, sampling_of
from validators.replay.arguments import Arguments

Case = dict[str, Any]
SCRIPT = Path(real_batches.__file__)


def predicted(case: Case, processes: int) -> list[list[list[int]]]:
    """The batches of each epoch, of all processes in turn."""
    raw = case["arguments"] | {"disable_shuffling": not case["shuffles"]}
    sampling = sampling_of(Arguments(raw), processes)
    assert isinstance(sampling, Sampling), sampling
    sampling = evaluating(Arguments(raw), sampling) if case["evaluates"] else sampling
    found = []
    for epoch in range(case["epochs"] if not case["evaluates"] else 1):
        order = sampling.order(case["rows"], epoch)
        assert order is not None
        table, more = cut(order, sampling)
        found.append([*table.tolist(), *(rows.tolist() for rows in more)])
    return found


def cases(count: int) -> list[Case]:
    """Runs of every kind, small ones among them."""
    rng = random.Random(count)
    made = []
    for number in range(count):
        arguments: dict[str, Any] = {"per_device_train_batch_size": rng.choice([1, 2, 3, 8])}
        arguments |= {"seed": rng.choice([0, 7, 42, 2**31])} if number % 3 else {}
        arguments |= {"data_seed": rng.randrange(2**32)} if number % 4 == 1 else {}
        arguments |= {"dataloader_drop_last": True} if number % 5 == 2 else {}
        made.append({"rows": rng.choice([1, 3, 9, 31, 100]), "epochs": 3, "shuffles": bool(number % 7)})
        arguments |= {"per_device_eval_batch_size": 3} if number % 2 else {}
        made[-1] |= {"arguments": arguments, "evaluates": number % 6 == 5}
    return made


@pytest.mark.trainer
def test_a_permutation_is_torch_s() -> None:
    import torch

    for seed in (0, 1, 42, 2**31 - 1, 2**32 - 1, 2**32, 2**32 + 42, 2**40 + 7):
        for count in (0, 1, 2, 3, 8, 100, 1031, 20_000):
            drawn = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
            found = permutation(count, seed)
            assert found is not None and found.tolist() == drawn, (seed, count)


def test_more_than_torch_draws_so_are_not_told() -> None:
    assert permutation(MOST, 0) is None


@pytest.mark.trainer
def test_shards_are_accelerate_s() -> None:
    """Any number of rows and processes, uneven ends and ends of fewer rows than one round among them."""
    from accelerate.data_loader import BatchSamplerShard, SeedableRandomSampler
    from torch.utils.data import BatchSampler

    rng = random.Random(0)
    for _ in range(400):
        rows, epoch = rng.randint(1, 40), rng.randint(0, 3)
        sampling = Sampling(
            shuffled=True, seed=rng.randrange(2**33), batch=rng.randint(1, 7), accumulated=1,
            processes=rng.randint(1, 4), drop_last=rng.random() < 0.3, epochs=3, max_steps=-1,
        )  # fmt: skip
        shards = []
        for process in range(sampling.processes):
            sampler = SeedableRandomSampler(range(rows), data_seed=sampling.seed)
            sampler.set_epoch(epoch)
            batches = BatchSampler(sampler, sampling.batch, sampling.drop_last)
            shards.append(
                [*BatchSamplerShard(batches, sampling.processes, process)] if sampling.processes > 1 else [*batches]
            )
        order = sampling.order(rows, epoch)
        assert order is not None
        table, more = cut(order, sampling)
        found = [*table.tolist(), *(part.tolist() for part in more)]
        assert found == [batch for turn in zip(*shards, strict=True) for batch in turn], sampling


@pytest.mark.trainer
def test_batches_are_the_trainer_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CustomSeq2SeqTrainer's own data loader, over epochs, seeds, and without shuffling."""
    monkeypatch.chdir(tmp_path)
    for case in cases(15):
        assert predicted(case, 1) == real_batches.batches_of(**case), case


@pytest.mark.trainer
def test_batches_are_the_trainer_s_on_two_processes(tmp_path: Path) -> None:
    request = cases(12)
    (tmp_path / "request.json").write_text(json.dumps(request))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    subprocess.run(
        [*torchrun, str(SCRIPT), str(tmp_path / "request.json"), str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
        check=True,
        capture_output=True,
    )
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    for number, case in enumerate(request):
        turns = [
            [batch for turn in zip(*both, strict=True) for batch in turn]
            for both in zip(first[number], second[number], strict=True)
        ]
        assert predicted(case, 2) == turns, case


@pytest.mark.parametrize(
    "key", ["streaming", "group_by_length", "auto_find_batch_size", "accelerator_config", "train_sampling_strategy"]
)
def test_orders_that_are_not_known(key: str) -> None:
    value = {"accelerator_config": {"split_batches": True}, "train_sampling_strategy": "group_by_length"}.get(key, True)
    assert isinstance(sampling_of(Arguments({key: value}), 1), str)


def test_steps_follow_accumulation_and_processes() -> None:
    raw = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 3, "num_train_epochs": 2}
    sampling = sampling_of(Arguments(raw), 2)
    assert isinstance(sampling, Sampling)
    # 27 rows: 14 batches, 7 for each of the processes, 3 steps an epoch
    assert (sampling.updates_of_epoch(27), sampling.steps(27)) == (3, 6)
    assert [sampling.step(27, 0, batch) for batch in (0, 5, 6, 12, 13)] == [1, 1, 2, 3, 3]
    assert sampling.step(27, 1, 0) == 4
