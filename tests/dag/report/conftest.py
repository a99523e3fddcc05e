"""The report of the finished tiny suite in a real browser: Debian's chromium, without a window."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from suites import CATALOGUE

from bench.work.reporting import pages, report_folder

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@dataclass
class Visit:
    """A page that is open, with what it said and asked for meanwhile."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser with an empty profile; skips where there is none, but not in continuous integration."""
    if CHROMIUM is None:
        assert os.environ.get("CI") != "true", "no chromium: apt-get install chromium"
        pytest.skip("no chromium on this machine; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not start for root, as whom tests run in containers.
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, chromium_sandbox=False)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def report(finished) -> Path:
    """The folder of a finished run's report."""
    return finished.root / report_folder("tiny")


@pytest.fixture
def visit(browser, report):
    """Open a page of the report: `visit("index", "phone", dark=True)`."""
    contexts = []

    def opened(name: str, width: str = "desktop", *, dark: bool = False, script: bool = True) -> Visit:
        across, down = WIDTHS[width]
        context = browser.new_context(
            viewport={"width": across, "height": down},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
        )
        contexts.append(context)
        visited = Visit(context.new_page())
        visited.page.on("console", lambda message: visited.said.append(message.text))
        visited.page.on("pageerror", lambda error: visited.said.append(str(error)))
        visited.page.on("request", lambda request: visited.asked.append(request.url))
        name, _, place = name.partition("#")
        assert name in pages(CATALOGUE)
        visited.page.goto(f"file://{report}/{name}.html" + (f"#{place}" if place else ""))
        return visited

    yield opened
    for context in contexts:
        context.close()
