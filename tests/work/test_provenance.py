"""What a record says of the machine: processors whose sums may differ have different names."""

import pytest

from bench.work import provenance

CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: {family}
model\t\t: {model}
model name\t: AMD EPYC
flags\t\t: fpu {flags}

processor\t: 1
model name\t: another
"""


@pytest.fixture
def name_of(monkeypatch, tmp_path):
    """The platform's name on a processor with this `/proc/cpuinfo`."""
    for variable in provenance.KERNEL_CHOICES:
        monkeypatch.delenv(variable, raising=False)
    real = provenance.Path

    def name(family, model, flags):
        (tmp_path / "cpuinfo").write_text(CPUINFO.format(family=family, model=model, flags=flags))
        monkeypatch.setattr(provenance, "Path", lambda _: real(tmp_path / "cpuinfo"))
        return provenance.platform_name()

    return name


def test_two_generations_of_one_name_are_two_platforms(name_of):
    assert name_of(25, 1, "avx2").startswith("AMD EPYC (family 25, model 1, AVX2), ")
    assert name_of(25, 17, "avx2 avx512f").startswith("AMD EPYC (family 25, model 17, AVX-512), ")


def test_a_variable_that_chooses_other_kernels_is_part_of_the_name(name_of, monkeypatch):
    plain = name_of(25, 1, "avx2")
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert provenance.platform_name() == f"{plain}, ATEN_CPU_CAPABILITY=default"
