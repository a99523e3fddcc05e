"""Attention by the fused kernel and in separate steps: one output, two costs."""

from __future__ import annotations

import pytest
import torch
from backbone_cases import WIDTH, backbone_of, mamba

from bench.measure.counting import macs, macs_by_torch
from bench.nn.attention import CausalSelfAttention, use_attention_kernel

LENGTH = 9
EVERY_FOURTH = torch.arange(LENGTH).expand(3, -1) % 4 == 0
NEAR = {"atol": 1e-6, "rtol": 1e-5}


def both(dropout=0.0):
    """The same transformer with either kernel."""
    fused, eager = (backbone_of("attention", "attention", feed_forward="gelu") for _ in range(2))
    for net in (fused, eager):
        for block in net.blocks:
            block.mixer.dropout = dropout
    use_attention_kernel(eager, "eager")
    return fused, eager


def padding(rows):
    """A mask (3, LENGTH) whose rows begin with so many tokens of padding."""
    return torch.arange(LENGTH) >= torch.tensor(rows)[:, None]


@pytest.mark.parametrize("mask", [None, padding([0, 3, LENGTH - 1])], ids=["whole", "padded"])
@pytest.mark.parametrize(
    "resets", [None, torch.arange(LENGTH).expand(3, -1) % 4 == 0], ids=["one", "several"]
)
def test_kernels_agree_on_outputs_and_on_gradients(mask, resets):
    x = torch.randn(3, LENGTH, WIDTH)
    real = torch.ones(3, LENGTH, dtype=torch.bool) if mask is None else mask
    outputs, gradients = [], []
    for net in both():
        tokens = x.clone().requires_grad_()
        y = net(tokens, mask, resets)[real]
        y.square().sum().backward()
        outputs.append(y.detach())
        gradients.append([tokens.grad, *(parameter.grad for parameter in net.parameters())])
    torch.testing.assert_close(outputs[1], outputs[0], **NEAR)
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("padded", [0, 3])
@torch.no_grad()
def test_kernels_agree_on_tokens_read_one_by_one(padded):
    x = torch.randn(2, LENGTH, WIDTH)
    mask = torch.arange(LENGTH - 2).expand(2, -1) >= padded if padded else None
    found = []
    for net in both():
        _, memory = net.eval().prefill(x[:, :-2], mask, LENGTH)
        for token in x[:, -2:].unbind(1):
            y, memory = net.step(token, memory)
            found.append(y)
    torch.testing.assert_close(found[2:], found[:2], **NEAR)


def test_dropout_of_the_eager_kernel_acts_on_the_weights_in_training_alone():
    _, eager = both(dropout=0.5)
    x = torch.randn(1, LENGTH, WIDTH)
    assert not torch.equal(eager(x), eager(x))
    assert torch.equal(eager.eval()(x), eager(x))


def test_a_kernel_changes_no_count():
    fused, eager = both()
    batch = {"x": torch.randn(2, LENGTH, WIDTH)}
    assert macs(eager, batch) == macs_by_torch(eager, batch) == macs(fused, batch) > 0


@pytest.mark.parametrize(("kernel", "holds"), [("fused", False), ("eager", True)])
def test_only_the_eager_kernel_holds_the_matrix_of_weights(kernel, holds):
    heads, length, kept = 2, 256, []
    layer = CausalSelfAttention(WIDTH, heads)
    use_attention_kernel(layer, kernel)

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        layer(torch.randn(1, length, WIDTH, requires_grad=True))
    assert (max(kept) >= heads * length * length) == holds


def test_a_model_without_attention_has_no_kernel_to_choose():
    with pytest.raises(ValueError, match="attention_kernel: the model has no attention layers"):
        use_attention_kernel(mamba(1), "eager")
