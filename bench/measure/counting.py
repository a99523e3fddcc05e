"""Parameters and multiply-accumulate operations (MACs), counted and not measured.

A MAC is one product that is summed. Two conventions are counted, which agree on matrix products,
convolutions and attention's two products; attention is counted in full, also above the diagonal,
as it is computed by most kernels. They differ in two things:

| convention          | selective scan, for each token, channel and state   | LayerNorm              |
|---------------------|-----------------------------------------------------|------------------------|
| `macs`              | 4: step x A, step x B x u, decay x state, state x C | nothing                |
| `macs_as_published` | 5/2: fvcore's count of the scan written in einsums  | 5 for each of its inputs |

The second is how DeMa's authors count (their gym/decision_transformer/models/ssm_flops.py and
atari/models/cal_flops.py): fvcore as it comes, on a copy of Mamba whose scan is einsums. fvcore halves
an einsum's multiplications and additions, so step x A, which is not summed, is half a MAC, step x B x u
one, state x C one, and decay x state, element-wise, none. fvcore itself reads these sums off a text of four
digits, and is wrong by up to a ten-thousandth for it; here they are exact. Other element-wise work,
RMSNorm and softmax are counted by neither.

fvcore walks a trace, in which a scan written as one operator or as a loop counts nothing. So every
mixer has a second forward pass, `Mixer.countable_forward`, whose operators both fvcore and torch's
own counter know, or have a handle for here. A copy of the model is counted that runs these.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from math import prod
from typing import Any

import torch
from fvcore.nn.flop_count import FlopCountAnalysis
from fvcore.nn.parameter_count import parameter_count
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.methods.base import Batch
from bench.nn.counted_scan import OPERATOR as SCAN
from bench.nn.mixer import Mixer

Handle = Callable[[list[Any], list[Any]], int]
# Products of the selective scan for each token, channel and state; see above.
SCAN_PRODUCTS = 4.0
PUBLISHED_SCAN_PRODUCTS = 2.5


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


def _scan_macs(u: list[int], a: list[int], products: float) -> int:
    """MACs of a scan over u (batch, length, channels) with A (channels, states)."""
    return int(products * prod(u) * a[1])


def _scan_handle(products: float) -> Handle:
    def handle(inputs: list[Any], outputs: list[Any]) -> int:
        return _scan_macs(inputs[0].type().sizes(), inputs[2].type().sizes(), products)

    return handle


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
    return _counted(model, batch, {SCAN: _scan_handle(SCAN_PRODUCTS), "aten::layer_norm": _nothing})


def macs_as_published(model: nn.Module, batch: Batch) -> int:
    """MACs of one forward pass over the batch, counted as DeMa's authors count them (DeMa Table 7).

    Raises RuntimeError as `macs` does.
    """
    return _counted(model, batch, {SCAN: _scan_handle(PUBLISHED_SCAN_PRODUCTS)})


def _counted(model: nn.Module, batch: Batch, handles: dict[str, Handle]) -> int:
    """The count of fvcore, with these handles of operators beside those that every count needs."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analysis = FlopCountAnalysis(_Positional(countable(model), list(batch)), tuple(batch.values()))
        analysis.set_op_handle("aten::scaled_dot_product_attention", _attention_handle)
        analysis.set_op_handle("aten::lstm", _lstm_handle)
        for operator, handle in handles.items():
            analysis.set_op_handle(operator, handle)
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
        return 2 * _scan_macs(u, a, SCAN_PRODUCTS)

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
