"""A nested state as two files that hold no code: its tensors (safetensors), and all else (a sealed JSON).

The JSON names the SHA-256 of the tensors and is written last, so that what it stands for is whole. No
fingerprint follows this module: how a state is written changes no number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.errors import DamagedError
from bench.files import placed, sha256_of, write_atomically
from bench.work.integrity import Written, sealed, trouble_of, unsealed

# What stands in the JSON for a tensor, a numpy array, and a mapping, whose keys may be numbers.
TENSOR, ARRAY, MAPPING = "tensor", "array", "mapping"


def tensors_beside(path: Path) -> Path:
    """Where the tensors of a state lie."""
    return path.with_suffix(".safetensors")


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write mappings, lists, tensors, numpy arrays and what JSON can hold; a tuple is read back as a list.

    Raises TypeError for anything else.
    """
    tensors: dict[str, Tensor] = {}
    plain = _apart(state, "", tensors)
    with placed(tensors_beside(path)) as temporary:
        save_file(tensors, temporary)
    digest = sha256_of(tensors_beside(path))
    write_atomically(path, sealed({"sha256": digest, "state": plain}))


def read_state(path: Path) -> dict[str, Any]:
    """The state that was written, on the CPU.

    Raises DamagedError, naming the file, where one of the two is missing or differs in a byte.
    """
    try:
        content = unsealed(path)
    except FileNotFoundError:
        raise DamagedError(f"{path}: missing") from None
    except ValueError as error:
        raise DamagedError(f"{path}: damaged or edited: {error}") from None
    beside = tensors_beside(path)
    if trouble := trouble_of(beside, Written(sha256=content["sha256"]), path):
        raise DamagedError(trouble)
    state: dict[str, Any] = _together(content["state"], load_file(beside))
    return state


def _apart(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """What stands in the JSON for a value; its tensors are put under their names."""
    if isinstance(value, dict):
        items = [[key, _apart(one, f"{name}/{key}", tensors)] for key, one in value.items()]
        return {MAPPING: items}
    if isinstance(value, list | tuple):
        return [_apart(one, f"{name}/{number}", tensors) for number, one in enumerate(value)]
    if isinstance(value, Tensor):
        # A copy, since the file holds no two tensors that share memory.
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {TENSOR: name}
    if isinstance(value, np.ndarray):
        tensors[name] = torch.from_numpy(np.array(value, order="C"))
        return {ARRAY: name}
    return value


def _together(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_together(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == MAPPING:
        return {key: _together(one, tensors) for key, one in content}
    return tensors[content] if kind == TENSOR else tensors[content].numpy()
