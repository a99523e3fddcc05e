"""The numbers of a paper: sorted, filtered, and unfolded to the commands that make them."""

from statistics import fmean

import pytest

pytestmark = pytest.mark.slow
FIGURE = "#dmh_fig02"


def rows(page, artifact):
    return page.locator(f"{artifact} .matrix > tbody:not([hidden])")


def test_a_column_sorts_both_ways_and_says_so(visit):
    page = visit(f"dmh{FIGURE}").page
    header = page.locator(f"{FIGURE} .matrix > thead th", has_text="Ours")
    for direction, sign in (("ascending", 1), ("descending", -1)):
        header.locator("button").click()
        assert header.get_attribute("aria-sort") == direction
        cells = page.locator(f"{FIGURE} .cell").all_inner_texts()
        # Too few seeds for an interval stand one by one.
        shown = [fmean(float(seed) for seed in text.split(", ")) for text in cells]
        assert len(shown) >= 2
        assert shown == sorted(shown, key=lambda value: sign * value)
        # What has no number comes last either way.
        assert rows(page, FIGURE).first.locator(".cell").count() == 1
    page.locator(f"{FIGURE} .matrix > thead th button", has_text="Method").click()
    assert header.get_attribute("aria-sort") is None


def test_a_filter_leaves_what_fits_and_says_how_many(visit):
    page = visit("dmh").page
    every = page.locator(".matrix > tbody").count()
    page.get_by_label("Method").select_option("ad-mamba")
    wanted = page.locator('.matrix > tbody[data-m="ad-mamba"]').count()
    assert 0 < wanted < every
    assert page.locator(".matrix > tbody:not([hidden])").count() == wanted
    assert page.get_by_role("status").inner_text().startswith(f"{wanted} of {every:,} numbers")
    assert page.locator(".artifact:visible").count() == page.locator(".artifact[open]").count()
    page.get_by_label("Verdict").select_option("any-run")
    page.get_by_role("searchbox").fill("darkroom reward")
    left = rows(page, FIGURE)
    assert left.count() == 1
    assert "AD (Mamba)" in left.inner_text()
    page.get_by_role("button", name="Show all").click()
    assert page.locator(".matrix > tbody:not([hidden])").count() == every
    assert page.locator(".artifact[open]").count() == 0


def test_a_click_on_a_cell_unfolds_its_commands_curve_and_sidecar(visit):
    page = visit(f"dmh{FIGURE}").page
    cell = page.locator(f"{FIGURE} .cell").first
    detail = page.locator(f"[id='{cell.get_attribute('aria-controls')}']")
    assert not detail.is_visible()
    cell.click()
    assert cell.get_attribute("aria-expanded") == "true"
    commands = detail.locator("pre").inner_text().splitlines()
    assert [line.split()[3] for line in commands] == [
        "dataset", "train", "evaluate", "train", "evaluate"
    ]  # fmt: skip
    assert "seed 0:" in detail.inner_text()
    assert "mean-of-last-3" in detail.inner_text()
    curve = detail.locator("svg[role=img]").first
    assert curve.is_visible()
    assert "Training loss" in curve.get_attribute("aria-label")
    assert curve.locator("polyline").count() == 2
    assert "updates" in curve.inner_html()
    sidecar = detail.locator("table.sidecar").inner_text()
    for field in ("status", "fingerprint", "platform", "versions", "peak memory"):
        assert field in sidecar
    cell.click()
    assert not detail.is_visible()


def test_a_cell_unfolds_by_keyboard(visit):
    page = visit(f"dmh{FIGURE}").page
    cell = page.locator(f"{FIGURE} .cell").first
    cell.focus()
    page.keyboard.press("Enter")
    assert cell.get_attribute("aria-expanded") == "true"
    assert page.locator(f"{FIGURE} tr.d.open pre").is_visible()
    page.keyboard.press("Space")
    assert page.locator(f"{FIGURE} tr.d.open").count() == 0


def test_without_scripts_a_number_unfolds_natively_to_its_commands(visit):
    page = visit("dmh", script=False).page
    page.locator(f"{FIGURE} > summary").click()
    detail = page.locator(f"{FIGURE} tr.d details").first
    detail.locator("summary").click()
    assert "python -m bench train" in detail.locator("pre").inner_text()
    run = detail.locator(".run a").get_attribute("href")
    assert page.locator(run).locator("svg[role=img]").count() >= 1


def test_what_has_no_number_says_why(visit):
    page = visit(f"dmh{FIGURE}").page
    unfilled = page.locator(f'{FIGURE} tbody[data-v="not-run"] .reason')
    assert unfilled.count() > 0
    assert all(len(text) > 12 and "not-run" not in text for text in unfilled.all_inner_texts())


def test_a_run_that_many_numbers_rest_on_stands_once_on_the_page(report):
    text = (report / "dmh.html").read_text()
    assert text.count('id="run-probe-darkroom-ad-mamba-default"') == 1
    assert text.count('data-run="run-probe-darkroom-ad-mamba-default"') > 1
