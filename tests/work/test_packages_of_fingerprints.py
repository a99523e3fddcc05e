"""Which packages a fingerprint holds, and in which words: what no number of a CPU depends on is left out."""

from __future__ import annotations

import pytest

from bench.work import fingerprint as module
from bench.work.fingerprint import fingerprint, fingerprint_parts

ROOTS = ("bench.nn.backends.select.load_backend",)


@pytest.fixture
def other_build(monkeypatch):
    """Read versions anew, in another build of each package."""
    real = module.importlib.metadata.version
    monkeypatch.setattr(
        module.importlib.metadata, "version", lambda name: real(name).split("+")[0] + "+cu130"
    )
    for kept in (module._version, module._versions):
        kept.cache_clear()
    yield
    for kept in (module._version, module._versions):
        kept.cache_clear()


def test_a_build_for_a_gpu_has_the_fingerprints_of_one_for_a_cpu(request):
    here = fingerprint_parts(ROOTS, {}, 0, ())
    request.getfixturevalue("other_build")
    there = fingerprint_parts(ROOTS, {}, 0, ())
    assert here["packages"]["torch"] == there["packages"]["torch"]
    assert "+" not in there["packages"]["torch"]
    assert fingerprint(there) == fingerprint(here)


def test_backends_of_a_gpu_alone_are_outside():
    """Installing one makes nothing out of date, though the code names it."""
    assert "triton" in module.closure_of(ROOTS).packages
    for roots in (ROOTS, ("bench.stages.train.train", "bench.methods.dema.Learner")):
        packages = fingerprint_parts(roots, {}, 0, ())["packages"]
        assert not {"triton", "mamba_ssm"} & packages.keys()
        assert "torch" in packages
