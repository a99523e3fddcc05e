import pytest
import torch

from bench.nn.hidden_attention import hidden_attention, hidden_attention_row
from bench.nn.mamba import MambaMixer
from bench.nn.scan import selective_scan


@pytest.fixture
def mixer():
    torch.manual_seed(0)
    return MambaMixer(12, d_state=5)


@pytest.mark.parametrize("with_resets", [False, True])
def test_attention_times_input_is_the_scan_without_skip_and_gate(mixer, with_resets):
    tokens = torch.randn(3, 40, 12)
    resets = torch.rand(3, 40) < 0.15 if with_resets else None
    given = mixer.scan_inputs(tokens, resets)
    attention = hidden_attention(mixer, tokens, resets)
    assert attention.shape == (3, 24, 40, 40)
    product = torch.einsum("bdij,bjd->bid", attention, given.u)
    scanned = selective_scan(*given[:5], delta_bias=given.delta_bias, resets=resets)
    torch.testing.assert_close(product, scanned, atol=1e-6, rtol=1e-5)


def test_attention_is_causal_and_its_row_is_the_matrixs(mixer):
    tokens = torch.randn(2, 30, 12)
    attention = hidden_attention(mixer, tokens)
    assert (attention.triu(1) == 0).all()
    for row in (-1, 0, 17):
        torch.testing.assert_close(hidden_attention_row(mixer, tokens, row), attention[:, :, row])
    with pytest.raises(IndexError, match=r"row: expected within \[-30, 30\), got 30"):
        hidden_attention_row(mixer, tokens, 30)


def test_a_row_stays_exact_over_a_long_sequence(mixer):
    tokens = torch.randn(1, 5000, 12)
    given = mixer.scan_inputs(tokens)
    row = hidden_attention_row(mixer, tokens)
    exact = selective_scan(*[x.double() for x in given[:5]], delta_bias=given.delta_bias.double())[:, -1]
    found = torch.einsum("bdj,bjd->bd", row, given.u)
    torch.testing.assert_close(found.double(), exact, atol=1e-6, rtol=1e-5)
