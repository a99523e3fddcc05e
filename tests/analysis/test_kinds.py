"""A kind of figure is one file, found by its name: in the suite's own folder or in another on the path."""

import re
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from dag.conftest import copy_suite

import bench.analysis.kinds as kinds
from bench.analysis.figures import draw
from bench.analysis.readings import read_entry
from bench.catalogue.load import load_catalogue
from bench.errors import SpecError
from bench.files import ROOT
from bench.work.entries import entries
from bench.work.suite import Suite

KIND, ARTIFACT = "bench/analysis/kinds/dots.py", "workflow/papers/extra/fig03.yaml"


def from_the_page(path):
    """The block of docs/extending.md that is the file of this path."""
    page = (ROOT / "docs" / "extending.md").read_text()
    section = page[page.index("## A figure kind") :]
    return re.search(rf"`{re.escape(path)}`:\n\n```\w+\n(.*?)```", section, re.DOTALL)[1]


@pytest.fixture
def add_kind(tmp_path, copied_workflow, monkeypatch):
    """Adds a kind, in a folder of its own, and the page's artifact that asks for it."""
    folder = tmp_path / "kinds"
    folder.mkdir()
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(folder)])

    def add(code):
        (folder / "dots.py").write_text(code)
        (copied_workflow / "papers/extra/fig03.yaml").write_text(from_the_page(ARTIFACT))

    yield add
    sys.modules.pop("bench.analysis.kinds.dots", None)
    plt.close("all")


def refused(workflow):
    with pytest.raises(SpecError) as caught:
        load_catalogue(workflow)
    return str(caught.value)


def test_a_kind_in_a_folder_of_its_own_draws_and_describes_its_figure(add_kind, copied_workflow):
    add_kind(from_the_page(KIND))
    suite = Suite.open(copied_workflow, source="stored")
    readings = [read_entry(entry, "quick") for entry in entries(suite, "extra_fig03", "quick")]
    artifact = suite.catalogue.artifacts["extra_fig03"]

    (ax,) = draw(artifact, readings, "heading").axes
    assert [len(reading.scores) for reading in readings] == [3, 3]
    for place, (line, reading) in enumerate(zip(ax.lines, readings, strict=True)):
        np.testing.assert_array_equal(line.get_xydata(), [(place, score) for score in reading.scores])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["AD (Transformer)", "AD (Mamba)"]

    said = kinds.figure_layout(artifact).describe([reading.entry for reading in readings])
    assert said.startswith("One dot a seed: ")
    assert said.endswith(" by method; lines or bars: AD (Transformer), AD (Mamba); on Darkroom.")


@pytest.mark.slow
def test_the_example_of_the_page_is_drawn_in_a_suite_that_it_was_copied_into(tmp_path):
    suite = copy_suite(tmp_path / "suite")
    (suite.root / "results/stored").symlink_to(ROOT / "results/stored")
    for path in (KIND, ARTIFACT):
        (suite.root / path).write_text(from_the_page(path))
    target = ["extra_fig03", "--cores", "1", "--config", "tier=quick", "source=stored"]
    suite.run([sys.executable, "-m", "snakemake", *target])
    folder = suite.root / "figures/quick"
    assert (folder / "extra_fig03.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "extra_fig03.pdf").read_bytes().startswith(b"%PDF")


def test_a_file_without_a_layout_is_named(add_kind, copied_workflow):
    add_kind("")
    said = refused(copied_workflow)
    for part in ("fig03.yaml: key layout.kind", "dots.py lacks a class Layout", "docs/extending.md"):
        assert part in said


def test_a_layout_that_lacks_methods_is_told_which(add_kind, copied_workflow):
    add_kind("from bench.analysis.kinds import PanelLayout\nclass Layout(PanelLayout):\n    pass\n")
    assert "dots.py lacks in its class Layout describe, line_name, paint." in refused(copied_workflow)


def test_what_a_kind_itself_fails_to_import_is_not_taken_for_a_missing_kind(add_kind, copied_workflow):
    add_kind("import no_such_package\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        load_catalogue(copied_workflow)


def test_a_table_is_no_figure():
    with pytest.raises(SpecError, match="Table 2: its layout is a table, which is no figure"):
        kinds.figure_layout(load_catalogue().artifacts["dema_table02"])


def test_reading_the_specification_imports_nothing_that_draws_or_computes():
    slow = ["matplotlib", "seaborn", "pandas", "scipy", "numpy", "torch"]
    code = f"""
import sys
from bench.catalogue.artifacts import KINDS, kinds, layout_class
from bench.catalogue.load import load_catalogue
load_catalogue()
[layout_class(kind) for kind in kinds()]
assert KINDS + ".bar" in sys.modules
print([name for name in {slow} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
