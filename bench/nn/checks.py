"""Argument checks shared by the sequence core: every message names the argument and what was expected."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def check_shape(name: str, tensor: Tensor | None, axes: tuple[str, ...], sizes: Mapping[str, int]) -> None:
    """Raise ValueError unless `tensor` is None or has the sizes that `axes` name in `sizes`."""
    if tensor is None:
        return
    expected = tuple(sizes[axis] for axis in axes)
    if tuple(tensor.shape) != expected:
        raise ValueError(
            f"{name}: expected shape ({', '.join(axes)}) = {expected}, got {tuple(tensor.shape)}"
        )


def check_width(x: Tensor, axes: tuple[str, ...], width: int) -> None:
    """Raise ValueError unless `x` has these axes, and `width` features behind them."""
    if x.dim() != len(axes) + 1 or x.shape[-1] != width:
        shape = ", ".join([*axes, f"width = {width}"])
        raise ValueError(f"x: expected shape ({shape}), got {tuple(x.shape)}")


def check_flags(x: Tensor, **flags: Tensor | None) -> None:
    """Raise ValueError unless each of `flags` is None or a bool for each token of x (batch, length, .)."""
    for name, values in flags.items():
        if values is not None and (values.shape != x.shape[:2] or values.dtype != torch.bool):
            raise ValueError(
                f"{name}: expected a bool tensor of shape (batch, length) = {tuple(x.shape[:2])}, "
                f"got {values.dtype} of {tuple(values.shape)}"
            )


def check_dtypes(
    u: Tensor, same: Mapping[str, Tensor | None], parameters: Mapping[str, Tensor | None]
) -> None:
    """Raise TypeError unless `same` share u's dtype, and `parameters` it or float32; all on u's device."""
    if not u.is_floating_point():
        raise TypeError(f"u: expected a floating dtype, got {u.dtype}")
    for name, tensor in {**same, **parameters}.items():
        if tensor is None:
            continue
        # Half-precision activations beside float32 parameters is how Mamba is trained in mixed precision.
        half = u.dtype in (torch.bfloat16, torch.float16)
        allowed = {u.dtype, torch.float32} if name in parameters and half else {u.dtype}
        if tensor.dtype not in allowed:
            names = " or ".join(str(dtype) for dtype in sorted(allowed, key=str))
            raise TypeError(f"{name}: expected dtype {names} beside u of {u.dtype}, got {tensor.dtype}")
        if tensor.device != u.device:
            raise ValueError(f"{name}: expected on device {u.device} like u, got {tensor.device}")


def check_finite(output: Tensor, **inputs: Tensor | None) -> None:
    """Raise FloatingPointError naming the first input with a NaN or infinity, if `output` shows one.

    Usually only the output is read. Finite inputs that overflow pass: that is the caller's divergence.
    Nothing is checked off the CPU: reading the values would wait for the device.
    """
    if output.device.type == "cpu" and not bool(torch.isfinite(output.detach().sum())):
        require_finite(**inputs)


def require_finite(**inputs: Tensor | None) -> None:
    """Raise FloatingPointError naming the first input with a NaN or infinity, and where it is."""
    for name, tensor in inputs.items():
        if tensor is None:
            continue
        bad = ~torch.isfinite(tensor.detach())
        if bool(bad.any()):
            where = tuple(int(index) for index in bad.nonzero()[0])
            raise FloatingPointError(
                f"{name}: expected finite values of shape {tuple(tensor.shape)}, "
                f"got {tensor[where].item()} at {where} ({int(bad.sum())} such values)"
            )
