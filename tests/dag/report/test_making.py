"""What a report is made of: the same files give the same bytes, and a shown command the shown number."""

import html
import re
import shutil
import sys

import pytest

from bench.work.integrity import described, sealed, unsealed
from bench.work.reporting import report_folder

pytestmark = pytest.mark.slow
TABLE = "results/tiny/tables/dmh_table02.csv"
MAKE = [sys.executable, "-m", "bench", "report", "--tier", "tiny"]


def number_of(suite, method):
    """(row as text, commands) of a method's return in darkroom, as dmh.html shows them."""
    page = (suite.root / report_folder("tiny") / "dmh.html").read_text()
    figure = page[page.index('id="dmh_fig02"') :]
    row = re.search(rf'<tbody data-m="{method}" data-t="darkroom".*?</tbody>', figure, re.DOTALL)[0]
    cells, detail = row.split('<tr class="d">')
    commands = html.unescape(re.search(r"<pre.*?<code>(.*?)</code>", detail, re.DOTALL)[1])
    scores = re.search(r"Per seed:</b>(.*?)</p>", detail, re.DOTALL)[1]
    shown = re.findall(r"<td.*?</td>", cells)
    return (shown[3], scores), commands.split("\n")


def test_the_commands_shown_for_a_number_make_it_again(suite):
    shown, commands = number_of(suite, "ad-mamba")
    shutil.rmtree(suite.root / "results/tiny/cells/darkroom/ad-mamba/default")
    shutil.rmtree(suite.root / "results/tiny/datasets/darkroom")
    shutil.rmtree(suite.root / report_folder("tiny"))
    for command in filter(None, map(str.strip, commands)):
        suite.run(["bash", "-c", command])
    suite.run(MAKE)
    assert number_of(suite, "ad-mamba")[0] == shown
    assert "(2 seeds)" in shown[0]


def test_the_same_files_give_the_same_bytes_without_torch(suite):
    folder = suite.root / report_folder("tiny")
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    shutil.rmtree(folder)
    suite.run([
        sys.executable, "-c",
        "import sys; from bench.commands.report import main; main('tiny'); assert 'torch' not in sys.modules",
    ])  # fmt: skip
    after = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_the_report_comes_with_a_run_and_again_after_an_edit_of_its_looks(suite):
    assert "rule report" not in suite.snakemake("report", "--dry-run")
    suite.edit("bench/analysis/report/templates/style.css", "--page: #fbfbf9", "--page: #fafafa")
    said = suite.snakemake("report", "--dry-run")
    assert "rule report" in said
    assert "rule table" not in said


def test_a_table_that_is_missing_ends_with_a_message_and_writes_nothing(suite):
    folder = suite.root / report_folder("tiny")
    shutil.rmtree(folder)
    (suite.root / TABLE).unlink()
    said = suite.run(MAKE, check=False)
    assert suite.exit_code == 2
    assert f"{TABLE}: missing" in said
    assert "snakemake tables figures" in said
    assert not folder.exists()


def shorten(table):
    """Leave a table its first four numbers."""
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:5]))


def test_a_table_that_was_edited_is_refused_by_name(suite):
    shorten(suite.root / TABLE)
    said = suite.run(MAKE, check=False)
    assert suite.exit_code == 2
    assert f"{TABLE}: damaged or edited: " in said
    assert "snakemake dmh_table02 --config tier=tiny" in said


def test_a_table_of_another_specification_is_refused_by_name(suite):
    table = suite.root / TABLE
    shorten(table)
    sidecar = table.with_suffix(".json")
    content = unsealed(sidecar)
    written = content["files"] | {
        name: one.model_dump(exclude_unset=True) for name, one in described(table.parent, [table]).items()
    }
    sidecar.write_text(sealed(content | {"files": written}))
    said = suite.run(MAKE, check=False)
    assert suite.exit_code == 2
    assert "dmh_table02.csv: it has 4 numbers of" in said
    assert "snakemake dmh_table02 --config tier=tiny" in said


def test_a_figure_that_is_no_picture_is_refused_by_name(suite):
    (suite.root / "figures/tiny/dmh_fig02.png").write_text("")
    said = suite.run(MAKE, check=False)
    assert suite.exit_code == 2
    assert "figures/tiny/dmh_fig02.png: missing, or no PNG file" in said


def test_missing_claims_are_asked_for_by_their_command(suite):
    (suite.root / "results/tiny/claims.csv").unlink()
    said = suite.run(MAKE, check=False)
    assert suite.exit_code == 2
    assert "results/tiny/claims.csv: missing" in said
    assert "snakemake claims audit --config tier=tiny" in said
