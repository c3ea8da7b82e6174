"""The `chat` of a model's own code: MiniCPM's way to be asked, `chat(image=None, msgs=[…], tokenizer=…, …)`.

Sources: modeling_minicpmv.py of MiniCPM-V 2.6, 4.0 and 4.5, modeling_minicpmo.py of MiniCPM-o 2.6 and 4.5 (chat). The
versions differ in their parameters, so the signature is read, and what it does not take is left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

GREEDY: Mapping[str, object] = {"sampling": False, "do_sample": False, "num_beams": 1, "repetition_penalty": 1.0}
"""The same answer each time. Without sampling V 4.5 takes 3 beams and a penalty of 1.2 unless it is told other ones."""
THROUGH = ("num_beams", "repetition_penalty")
"""What `chat` takes among **kwargs, and no version names."""


def takes_messages(model: Any) -> bool:  # noqa: ANN401 (a model of its own code)
    """Whether the model has a `chat` that takes the turns as `msgs`."""
    method = getattr(model, "chat", None)
    return callable(method) and "msgs" in inspect.signature(method).parameters


def chat(
    model: Any,  # noqa: ANN401 (objects of the model's own code)
    tokenizer: Any,  # noqa: ANN401
    processor: Any,  # noqa: ANN401
    turns: Sequence[Mapping[str, object]],
    most: int,
    system: str = "",
    **options: object,
) -> str:
    """The answer of at most so many tokens, without sampling.

    turns: {"role": "user" or "assistant", "content": texts, PIL images and arrays of samples, in order}, the first and
    the last the user's. The system prompt is a parameter of V 2.6 to 4.5, and a turn of its own in o 2.6 and 4.5.
    ValueError where no text comes back.
    """
    parameters = inspect.signature(model.chat).parameters
    before = [{"role": "system", "content": [system]}] if system and "system_prompt" not in parameters else []
    given: dict[str, object] = {
        "image": None,
        "msgs": [*before, *(dict(turn) for turn in turns)],
        "system_prompt": system,
        "tokenizer": tokenizer,
        "processor": processor,
        "max_new_tokens": most,
        **GREEDY,
        **options,
    }
    rest = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    found = model.chat(**{key: value for key, value in given.items() if key in parameters or (rest and key in THROUGH)})
    if not isinstance(found, str):
        raise ValueError(f"chat gave {type(found).__name__} in place of text")
    return found


@dataclass(slots=True)
class Passes:
    """How often a model gave numbers for a next token."""

    passes: int = 0


@contextmanager
def counted(model: Any) -> Iterator[Passes]:  # noqa: ANN401 (a model of its own code)
    """Count the passes through the model's last layer; ValueError where its numbers are not finite, or none came."""
    count = Passes()

    def see(_module: object, _inputs: object, output: Any) -> None:  # noqa: ANN401 (a torch tensor)
        if not bool(output[..., -1, :].isfinite().all()):
            raise ValueError("numbers that are not finite")
        count.passes += 1

    last = model.get_output_embeddings()
    if last is None:
        raise ValueError(f"{type(model).__name__} does not say which layer gives its tokens")
    handle = last.register_forward_hook(see)
    try:
        yield count
    finally:
        handle.remove()
    if not count.passes:
        raise ValueError("chat gave no tokens")
