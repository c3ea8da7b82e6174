"""What a device holds while it trains, in bytes: an estimate from the model's shape and the run's settings.

Sources. States under ZeRO: deepspeed 0.19.8, runtime/zero/stage_1_and_2.py: estimate_zero2_model_states_mem_needs,
stage3.py: estimate_zero3_model_states_mem_needs; without DeepSpeed: llamafactory 0.9.5, model/adapter.py: init_adapter
(trained parameters are 32-bit unless pure_bf16), torch's AdamW (two moments of the parameter's own type).
Activations: Korthikanti et al. 2022 (arXiv:2205.05198), section 4, with a gated MLP in the place of theirs. Logits:
transformers 5.6.0, loss/loss_utils.py: ForCausalLMLoss casts them to 32 bits, and cross entropy keeps their
log-softmax and their gradient beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from train.preflight.figures import NOTHING, Range, exactly
from train.preflight.machine import Machine
from train.preflight.parameters import Parameters, Shape
from validators.replay.arguments import Arguments

BUFFER = 1.5  # deepspeed: additional_buffer_factor
# bytes of state for each trained parameter, by the optimizer's name; of torch's own type where it is not named
EIGHT_BIT = ("adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit")
SMALL = ("adafactor", "sgd", "adagrad")


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one device: its parts, and of the machine what is offloaded to it."""

    weights: Range
    gradients: Range
    optimizer: Range
    activations: Range
    logits: Range
    host: Range

    @property
    def states(self) -> Range:
        """Weights, gradients and optimizer."""
        return self.weights + self.gradients + self.optimizer

    @property
    def total(self) -> Range:
        """Of the device."""
        return self.states + self.activations + self.logits


@dataclass(frozen=True, slots=True)
class Ways:
    """How a run holds its numbers."""

    zero: int | None
    """ZeRO's stage; None without DeepSpeed."""
    offload_optimizer: bool
    offload_weights: bool
    half: bool
    """Whether the model computes with 16 bits."""
    pure: bool
    """Whether trained parameters are 16-bit too."""
    quantized: int | None
    """Bits of a quantized base."""
    checkpointing: bool
    moments: Range
    """Bytes of optimizer state a trained parameter."""
    eager: bool
    """Whether attention makes its whole matrix."""

    @property
    def width(self) -> int:
        """Bytes of a number that the model computes with."""
        return 2 if self.half else 4


def ways_of(arguments: Arguments, parameters: Parameters, gpu: bool) -> Ways:
    """As the yaml and its DeepSpeed file say."""
    file = arguments.deepspeed
    zero: int | None = None
    offloads = {}
    if file is not None:
        stage = file.value("zero_optimization.stage")
        zero = stage if isinstance(stage, int) and 0 <= stage <= 3 else 0
        offloads = {
            part: file.value(f"zero_optimization.{part}.device") in ("cpu", "nvme")
            for part in ("offload_optimizer", "offload_param")
        }
    asked = any(arguments.on(key) for key in ("bf16", "fp16", "pure_bf16"))
    # without a word the files' own type is taken where the device has it (model/patcher.py: patch_config)
    half = asked or (gpu and parameters.half)
    pure = arguments.on("pure_bf16")
    quantized = arguments.number("quantization_bit")
    return Ways(
        zero,
        bool(offloads.get("offload_optimizer")),
        bool(offloads.get("offload_param")) and zero == 3,
        half,
        pure,
        int(quantized) if quantized in (2, 3, 4, 5, 6, 8) else None,
        not arguments.on("disable_gradient_checkpointing"),
        moments_of(str(arguments["optim"]), 2 if pure and zero is None else 4),
        arguments.among("flash_attn", "disabled"),
    )


def moments_of(optimizer: str, width: int) -> Range:
    """Bytes of state a trained parameter: Adam's two moments, one byte each with 8-bit Adam; little to one moment for
    optimizers that keep less."""
    if optimizer in EIGHT_BIT:
        return Range(2, 2.1)
    if optimizer in SMALL:
        return Range(0, width)
    return exactly(2 * width)


# name, ZeRO's stage, whether optimizer and weights are offloaded
CHOICES: tuple[tuple[str, int | None, bool], ...] = (
    ("no DeepSpeed", None, False),
    ("ZeRO-2", 2, False),
    ("ZeRO-3", 3, False),
    ("ZeRO-3 with offload", 3, True),
)


def choices(
    parameters: Parameters, arguments: Arguments, machine: Machine, batch: int, longest: int
) -> tuple[tuple[str, Range], ...]:
    """A device's memory for the same batch under each of CHOICES; DeepSpeed takes no quantized base beyond ZeRO-2."""
    ways = ways_of(arguments, parameters, machine.gpu_memory is not None)
    found = []
    for name, stage, offload in CHOICES:
        if stage == 3 and ways.quantized is not None:
            continue
        other = replace(ways, zero=stage, offload_optimizer=offload, offload_weights=offload)
        found.append((name, held(parameters, other, arguments, machine, batch, longest).total))
    return tuple(found)


def estimate(parameters: Parameters, arguments: Arguments, machine: Machine, batch: int, longest: int) -> Memory:
    """Memory of one device for a batch of so many sequences of so many tokens."""
    ways = ways_of(arguments, parameters, machine.gpu_memory is not None)
    return held(parameters, ways, arguments, machine, batch, longest)


def held(
    parameters: Parameters, ways: Ways, arguments: Arguments, machine: Machine, batch: int, longest: int
) -> Memory:
    """The same in these ways."""
    kept = parameters.total - (0 if parameters.adapter else parameters.trainable)
    if ways.zero is None:
        weights, gradients, optimizer, host = plain(parameters, kept, ways, machine.world)
    else:
        weights, gradients, optimizer, host = sharded(parameters, kept, ways, machine)
    shape, tokens = parameters.shape, batch * longest
    activations = NOTHING if shape is None else layers(shape, batch, longest, ways, parameters.adapter)
    if shape is None or arguments.on("enable_liger_kernel"):
        # liger's loss never makes all logits at once
        logits = NOTHING if shape is None else Range(0, tokens * shape.vocabulary * 2)
    else:
        logits = Range(10, 16 if ways.half else 20).times(tokens * shape.vocabulary)
    return Memory(weights, gradients, optimizer, activations, logits, host)


def frozen(parameters: Parameters, kept: int, ways: Ways) -> Range:
    """Bytes of the parameters that are kept as they are, quantized where that is asked."""
    if ways.quantized is None:
        return exactly(kept * ways.width)
    matrices = min(parameters.matrices, kept)
    # constants of blocks add from an eighth of a bit (double quantization) to half a bit a number (QLoRA, §3)
    packed = Range(*(matrices * (ways.quantized + extra) / 8 for extra in (0.125, 0.5)))
    return packed + exactly((kept - matrices) * ways.width)


def plain(parameters: Parameters, kept: int, ways: Ways, world: int) -> tuple[Range, Range, Range, Range]:
    """One device, or several with a copy each: weights, gradients, optimizer, and nothing on the host."""
    own = 2 if ways.pure else 4
    # autocast keeps 16-bit copies of 32-bit weights for the length of a step
    copies = Range(0, parameters.trainable * 2 if ways.half and not ways.pure else 0)
    gradients = parameters.trainable * own
    # DDP's buckets hold gradients once more
    buckets = Range(0, gradients if world > 1 else 0)
    optimizer = ways.moments.times(parameters.trainable)
    weights = frozen(parameters, kept, ways) + exactly(parameters.trainable * own) + copies
    return weights, exactly(gradients) + buckets, optimizer, NOTHING


def sharded(parameters: Parameters, kept: int, ways: Ways, machine: Machine) -> tuple[Range, Range, Range, Range]:
    """Under DeepSpeed: weights, gradients and optimizer of a device, and the host's part.

    With all parameters trained in 16 bits under ZeRO-2 or 3, the sum is what deepspeed's own estimate says.
    """
    trained, world = parameters.trainable, machine.world
    everything = kept + trained
    stage = ways.zero or 0
    width = ways.width
    layer = 4 * parameters.largest
    master = trained * 4  # the optimizer's own 32-bit copy
    moments = ways.moments.times(trained)
    if stage == 3:
        weights = exactly(layer + (0 if ways.offload_weights else everything * width / world))
        gradients = exactly(trained * 4 / world)
    else:
        weights = frozen(parameters, kept, ways) + exactly(trained * width)
        # 16-bit gradients, and their 32-bit sum
        gradients = exactly(trained * (width + 4) / (world if stage == 2 else 1))
        if stage < 2:
            gradients = Range(trained * width, trained * (width + 4))
    optimizer = (exactly(master) + moments).times(1 / world if stage else 1)
    if not ways.offload_optimizer:
        return weights, gradients, optimizer, NOTHING
    host = trained * max(4 * world, 16) * BUFFER
    if stage == 3:
        each = 18 if ways.offload_weights else 16
        host = everything * each / machine.nodes * BUFFER
    return weights, NOTHING, NOTHING, Range(host / BUFFER, host)


def layers(shape: Shape, batch: int, longest: int, ways: Ways, adapter: bool) -> Range:
    """Activations of the language model.

    With checkpoints each layer keeps its input, and one layer at a time all that its gradient needs; without them
    every layer keeps all. A layer keeps, in numbers a token: 8 to 17 times the hidden size around attention and norms
    (which compute in 32 bits), 4 times the inner size of a gated MLP; with LoRA up to as much again for 32-bit inputs
    of the adapters. Without a fused kernel it keeps attention's matrix too: scores and their softmax, which is
    computed in 32 bits. Not counted: the vision tower's.
    """
    tokens = batch * longest
    inside = Range(8, 17).times(shape.hidden) + exactly(4 * shape.intermediate)
    one = inside.times(tokens * ways.width)
    if adapter:
        one = Range(one.low, 2 * one.high)
    if ways.eager:
        one += Range(2 * ways.width, 3 * ways.width + 4).times(shape.heads * tokens * longest)
    if not ways.checkpointing:
        return one.times(shape.layers)
    return exactly(tokens * shape.hidden * ways.width * shape.layers) + one


def as_json(found: Memory | str) -> Mapping[str, object]:
    """For programs, in bytes."""
    if isinstance(found, str):
        return {"unknown": found}
    names = ("weights", "gradients", "optimizer", "activations", "logits", "host", "total")
    return {name: [round(getattr(found, name).low), round(getattr(found, name).high)] for name in names}
