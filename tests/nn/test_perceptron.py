"""The plain perceptron: its layers, and where dropout and activations are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.nn.perceptron import Perceptron


def test_it_is_what_its_layers_make_by_hand():
    torch.manual_seed(0)
    network, x = Perceptron([3, 5, 4, 2], nn.LeakyReLU), torch.randn(7, 3)
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(3, 5), (5, 4), (4, 2)]
    by_hand = x
    for number, layer in enumerate(linear):
        by_hand = by_hand @ layer.weight.T + layer.bias
        if number < 2:
            by_hand = torch.where(by_hand > 0, by_hand, 0.01 * by_hand)
    torch.testing.assert_close(network(x), by_hand)


def test_dropout_thins_each_hidden_layer_and_nothing_else():
    kinds = [type(layer) for layer in Perceptron([3, 5, 4, 2], nn.ReLU, 0.5)]
    hidden = [nn.Linear, nn.ReLU, nn.Dropout]
    assert kinds == [*hidden, *hidden, nn.Linear]
    assert [type(layer) for layer in Perceptron([3, 2], nn.ReLU, 0.5)] == [nn.Linear]


def test_one_width_is_no_network():
    with pytest.raises(ValueError, match=r"^widths: expected those of input and output at least, got \[3\]$"):
        Perceptron([3], nn.ReLU)
