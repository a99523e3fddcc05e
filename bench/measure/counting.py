"""Parameters and multiply-accumulate operations (MACs), counted and not measured.

A MAC is one product that is summed: matrix products, convolutions, attention's two products, and
the four products of the selective scan for each token, channel and state (step x A, step x B x u,
decay x state, state x C). Element-wise work, norms and softmax are not counted. Attention is
counted in full, also above the diagonal, as it is computed by most kernels.

fvcore walks a trace, in which a scan written as one operator or as a loop counts nothing. So every
mixer has a second forward pass, `Mixer.countable_forward`, whose operators both fvcore and torch's
own counter know, or have a handle for here. A copy of the model is counted that runs these.
"""

from __future__ import annotations

import copy
import warnings
from math import prod
from typing import Any

import torch
from fvcore.nn.flop_count import FlopCountAnalysis
from fvcore.nn.parameter_count import parameter_count
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.methods.base import Batch
from bench.nn.counted_scan import scan_macs
from bench.nn.mixer import Mixer


class _Countable(nn.Module):
    """A mixer whose forward pass is the countable one."""

    def __init__(self, mixer: Mixer[Any]) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None) -> Tensor:
        return self.mixer.countable_forward(x, mask, resets)


def countable(model: nn.Module) -> nn.Module:
    """A copy of the model, in evaluation mode, in which every mixer runs its countable forward pass."""
    copied = copy.deepcopy(model).eval()
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Mixer):
                setattr(parent, name, _Countable(child))
    return copied


class _Positional(nn.Module):
    """A model called with tensors in the order of a batch's keys, as tracing requires."""

    def __init__(self, model: nn.Module, keys: list[str]) -> None:
        super().__init__()
        self.model, self.keys = model, keys

    def forward(self, *values: Tensor) -> Tensor:
        return self.model(**dict(zip(self.keys, values, strict=True)))


def _scan_handle(inputs: list[Any], outputs: list[Any]) -> int:
    u, a = inputs[0].type().sizes(), inputs[2].type().sizes()
    return scan_macs(u[0], u[1], u[2], a[1])


def _attention_handle(inputs: list[Any], outputs: list[Any]) -> int:
    queries, keys = inputs[0].type().sizes(), inputs[1].type().sizes()
    return int(2 * prod(queries) * keys[-2])


def _lstm_handle(inputs: list[Any], outputs: list[Any]) -> int:
    tokens = prod(inputs[0].type().sizes()[:2])
    shapes = (weight.type().sizes() for weight in inputs[2].node().inputs())
    return int(tokens * sum(prod(shape) for shape in shapes if len(shape) == 2))


def _nothing(inputs: list[Any], outputs: list[Any]) -> int:
    return 0


def macs(model: nn.Module, batch: Batch) -> int:
    """MACs of one forward pass over the batch, by fvcore.

    Raises RuntimeError if fvcore meets an operator that multiplies and that it cannot count.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analysis = FlopCountAnalysis(_Positional(countable(model), list(batch)), tuple(batch.values()))
        analysis.set_op_handle("bench::counted_scan", _scan_handle)
        analysis.set_op_handle("aten::scaled_dot_product_attention", _attention_handle)
        analysis.set_op_handle("aten::lstm", _lstm_handle)
        analysis.set_op_handle("aten::layer_norm", _nothing)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        total = int(analysis.total())
        uncounted = {
            name for name in analysis.unsupported_ops() if any(w in name for w in ("mm", "conv", "attention"))
        }
    if uncounted:
        raise RuntimeError(
            f"fvcore cannot count {', '.join(sorted(uncounted))}; add a handle to bench/measure/counting.py"
        )
    return total


def macs_by_torch(model: nn.Module, batch: Batch) -> int:
    """The same count by torch's FlopCounterMode, which counts two operations for each MAC."""

    def scan_formula(u: list[int], delta: Any, a: list[int], *_: Any, **__: Any) -> int:
        return 2 * scan_macs(u[0], u[1], u[2], a[1])

    # Plain kernels: this counter does not know the fused operators of attention and LSTM on a CPU.
    plain = sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False)
    with torch.no_grad(), warnings.catch_warnings(action="ignore"), plain[0], plain[1]:
        counted = countable(model)
        counter = FlopCounterMode(display=False, custom_mapping={torch.ops.bench.counted_scan: scan_formula})
        with counter:
            counted(**batch)
    return counter.get_total_flops() // 2


def parameters(model: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def parameters_by_fvcore(model: nn.Module) -> int:
    """The same count by fvcore, minus the frozen parameters that fvcore includes."""
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    return int(parameter_count(model)[""]) - frozen
