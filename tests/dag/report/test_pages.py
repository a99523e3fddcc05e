"""Every page of a report, as a reader meets it: on a desk, on a phone, in the dark, without scripts."""

import re

import pytest
from suites import CATALOGUE

from bench.work.claims import load_claims
from bench.work.reporting import pages
from bench.work.suite import Suite

pytestmark = pytest.mark.slow
PAGES = pages(CATALOGUE)

# The contrast of an element's text with what it stands on, as the accessibility guidelines compute it.
CONTRAST = """elements => elements.map(element => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = colour => channels(colour).slice(0, 3).map(value => value / 255)
    .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
  let behind = element;
  const clear = colour => channels(colour)[3] === 0;
  const isClear = () => clear(getComputedStyle(behind).backgroundColor);
  while (behind.parentElement && isClear()) behind = behind.parentElement;
  const ground = getComputedStyle(behind).backgroundColor;
  const [light, dark] = [getComputedStyle(element).color, ground].map(luminance).sort((a, b) => b - a);
  return [element.textContent.slice(0, 40), (light + 0.05) / (dark + 0.05)];
})"""


@pytest.mark.parametrize("width", ["desktop", "phone"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_width_says_nothing_and_asks_for_nothing_beyond_its_folder(
    visit, report, name, width
):
    visited = visit(name, width)
    visited.page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    assert visited.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert visited.said == []
    assert all(url.startswith((f"file://{report}/", "data:")) for url in visited.asked)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_a_language_a_title_one_heading_and_a_way_past_the_links(visit, name):
    page = visit(name).page
    assert page.locator("html").get_attribute("lang") == "en"
    assert PAGES[name] in page.title()
    assert page.locator("h1").count() == 1
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert skip.evaluate("element => element === document.activeElement")
    assert skip.bounding_box()["x"] >= 0
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("thead th:not([scope])").count() == 0


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_loads_and_says_what_is_seen(visit, name):
    page = visit(name).page
    for image in page.locator("img").all():
        assert len(image.get_attribute("alt")) > 40
        image.evaluate("image => { image.loading = 'eager'; return image.decode(); }")
        assert image.evaluate("image => image.naturalWidth") > 100
    # SVG figures carry their own words.
    assert page.locator("svg:not([aria-label]):not([aria-hidden])").count() == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["index", "claims", "dmh"])
def test_text_and_verdicts_stand_out_from_their_ground(visit, name, dark):
    page = visit(name, dark=dark).page
    found = page.eval_on_selector_all(".v, a, p, h1, td, small, caption, .muted, label, button", CONTRAST)
    assert len(found) > 15
    assert [(text, ratio) for text, ratio in found if ratio < 4.5] == []


def test_every_claim_has_a_verdict_in_words(visit, finished):
    page = visit("claims").page
    claims = load_claims(Suite.open(finished.root / "workflow"))
    assert claims
    assert page.locator("article.claim").count() == len(claims)
    for name in claims:
        word = page.locator(f"#{name} h3 .v").inner_text()
        assert word in ("supported", "contradicted", "inconclusive", "not-run")


def test_verdicts_are_told_apart_by_shape_and_word_and_not_by_colour(visit):
    badges = visit("index").page.locator("dl.words .v")
    shape = """elements => elements.map(element => {
      const drawn = getComputedStyle(element, "::before");
      const names = ["clipPath", "backgroundImage", "borderTopStyle", "borderRadius"];
      return [element.textContent, names.map(name => drawn[name]).join()];
    })"""
    of_a_number = {"match", "differs", "inconclusive", "reduced", "stand-in", "unreported", "unavailable",
                   "not-run"}  # fmt: skip
    shapes = {word: drawn for word, drawn in badges.evaluate_all(shape) if word in of_a_number}
    assert len(set(shapes.values())) == len(of_a_number)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read_without_scripts(visit, name):
    page = visit(name, script=False).page
    assert page.locator("h1").is_visible()
    assert page.locator(".tools:visible").count() == 0
    details = page.locator("details")
    if details.count():
        details.first.locator("summary").first.click()
        assert details.first.get_attribute("open") is not None


def test_all_pages_lead_to_each_other_and_links_lead_somewhere(report):
    texts = {f"{name}.html": (report / f"{name}.html").read_text() for name in PAGES}
    for name, text in texts.items():
        links = set(re.findall(r'<a [^>]*?href="([^"]+)"', text))
        assert texts.keys() <= links
        for link in links:
            file, _, place = link.partition("#")
            assert (report / (file or name)).exists(), link
            assert not place or f'id="{place}"' in texts[file or name], link
