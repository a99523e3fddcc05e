"""Parameters and multiply-accumulate operations (MACs), counted and not measured.

A MAC is one product that is summed: matrix products, convolutions, attention's two products, and
the four products of the selective scan for each token, channel and state (step x A, step x B x u,
decay x state, state x C). Element-wise work, norms and softmax are not counted. Attention is
counted in full, also above the diagonal, as it is computed by most kernels.

fvcore walks a trace, in which a scan written as one operator or as a loop counts nothing; so the
mixer is traced here with the scan as one named operator, for which both fvcore and torch's own
counter have a handle. A convolution by kind of token, a sum over taps where it runs, is traced as the
convolutions that give its result: window x features products for each token.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from fvcore.nn.flop_count import FlopCountAnalysis
from fvcore.nn.parameter_count import parameter_count
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.methods.base import Batch
from bench.nn.convolution import TOKEN_KINDS, ConvolutionMixer
from bench.nn.mixer import MambaMixer

SCAN_PRODUCTS = 4


@torch.library.custom_op("bench::counted_scan", mutates_args=())
def counted_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Stands for the scan while counting: the right shape, no work."""
    return torch.zeros_like(u)


def scan_macs(batch: int, length: int, channels: int, states: int) -> int:
    """MACs of a selective scan."""
    return SCAN_PRODUCTS * batch * length * channels * states


def _counted_forward(self: MambaMixer, x: Tensor, resets: Tensor | None = None) -> Tensor:
    """The mixer's own layers, with the scan as one operator; values are meaningless, shapes are not."""
    inner, gate = self.in_proj(x).chunk(2, dim=-1)
    u = self.conv1d(inner.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2)
    low_rank, B, C = self.x_proj(u).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
    y = torch.ops.bench.counted_scan(u, self.dt_proj(low_rank), -torch.exp(self.A_log), B, C)
    mixed: Tensor = self.out_proj(y * gate)
    return mixed


def _counted_convolution(
    self: ConvolutionMixer, x: Tensor, mask: Tensor | None = None, resets: Tensor | None = None
) -> Tensor:
    """One strided convolution for each kind of token; x (batch, 3 steps, d_model) and no padding."""
    tokens = functional.pad(x.transpose(1, 2), (self.window - 1, 0))
    mixed = [
        functional.conv1d(
            tokens[:, :, kind:], self.weight[:, kind].T.unsqueeze(1), self.bias[kind], TOKEN_KINDS,
            groups=self.d_model,
        )
        for kind in range(TOKEN_KINDS)
    ]  # fmt: skip
    return torch.stack(mixed, dim=-1).flatten(2).transpose(1, 2)


COUNTED: list[tuple[type[nn.Module], Any]] = [
    (MambaMixer, _counted_forward),
    (ConvolutionMixer, _counted_convolution),
]


@contextmanager
def _counted_mixers() -> Iterator[None]:
    originals = [(mixer, mixer.forward) for mixer, _ in COUNTED]
    for mixer, counted in COUNTED:
        mixer.forward = counted  # type: ignore[method-assign]
    try:
        yield
    finally:
        for mixer, original in originals:
            mixer.forward = original  # type: ignore[method-assign]


class _Positional(nn.Module):
    """A model called with tensors in the order of a batch's keys, as tracing wants it."""

    def __init__(self, model: nn.Module, keys: list[str]) -> None:
        super().__init__()
        self.model, self.keys = model, keys

    def forward(self, *values: Tensor) -> Tensor:
        result: Tensor = self.model(**dict(zip(self.keys, values, strict=True)))
        return result


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
    with _counted_mixers(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analysis = FlopCountAnalysis(_Positional(model.eval(), list(batch)), tuple(batch.values()))
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
    """The same by torch's FlopCounterMode, which counts two operations for each MAC."""

    def scan_formula(u: list[int], delta: Any, a: list[int], *_: Any, **__: Any) -> int:
        return 2 * scan_macs(u[0], u[1], u[2], a[1])

    # Plain kernels: this counter does not know the fused operators of attention and LSTM on a CPU.
    plain = sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False)
    with _counted_mixers(), torch.no_grad(), warnings.catch_warnings(action="ignore"), plain[0], plain[1]:
        counter = FlopCounterMode(display=False, custom_mapping={torch.ops.bench.counted_scan: scan_formula})
        with counter:
            model.eval()(**batch)
    return counter.get_total_flops() // 2


def parameters(model: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def parameters_by_fvcore(model: nn.Module) -> int:
    """The same by fvcore, which counts frozen ones too: those are taken off."""
    frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    return int(parameter_count(model)[""]) - frozen
