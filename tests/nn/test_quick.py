import torch

from bench.nn.backbone import Backbone
from bench.nn.scan import selective_scan


def make(batch, length, channels, states, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    r = lambda *s: torch.randn(*s, generator=g, dtype=dtype).requires_grad_()
    return dict(
        u=r(batch, length, channels),
        delta=r(batch, length, channels),
        A=(-torch.rand(channels, states, generator=g, dtype=dtype) * 4).requires_grad_(),
        B=r(batch, length, states),
        C=r(batch, length, states),
        D=r(channels),
        z=r(batch, length, channels),
        delta_bias=r(channels),
        initial_state=r(batch, channels, states),
    )


def test_torch_equals_reference():
    a = make(3, 37, 5, 4)
    resets = torch.rand(3, 37) < 0.1
    outs = {}
    for backend in ("reference", "torch"):
        y, h = selective_scan(**a, return_final_state=True, backend=backend, resets=resets)
        grads = torch.autograd.grad((y.sin().sum() + h.cos().sum()), list(a.values()))
        outs[backend] = [y, h, *grads]
    for p, q in zip(*outs.values()):
        torch.testing.assert_close(p, q)


def test_backbone():
    for mixer in ("mamba", "attention"):
        for arrangement in ("pre", "post"):
            torch.manual_seed(0)
            net = Backbone(2, 32, mixer, arrangement, heads=4)
            x = torch.randn(3, 9, 32)
            full = net(x)
            states = net.allocate_state(3, 9)
            ys = []
            for t in range(9):
                y, states = net.step(x[:, t], states)
                ys.append(y)
            torch.testing.assert_close(torch.stack(ys, 1), full, atol=1e-5, rtol=1e-4)
            padded = torch.cat([torch.full((3, 4, 32), float("nan")), x], 1)
            mask = torch.arange(13).expand(3, 13) >= 4
            torch.testing.assert_close(net(padded, mask)[:, 4:], full, atol=1e-5, rtol=1e-4)
            both = net(torch.cat([x, x], 1), resets=(torch.arange(18) % 9 == 0).expand(3, 18))
            torch.testing.assert_close(both, torch.cat([full, full], 1), atol=1e-5, rtol=1e-4)
