"""A paper with two readings, in a folder of a lab's own, for the tests of readings."""

import re
import shutil
from pathlib import Path

import yaml

from bench.catalogue.catalogue import WORKFLOW, Catalogue
from bench.work.suite import Suite

TASK = "hopper-medium"
PAPER = "title: Mine\nfull_title: A paper of mine\norder: 9\nown: true\n"
SOURCES = {"title": "a reading", "source": "a book"}


def choice(catalogue: Catalogue, code: dict, methods: tuple[str, ...] = (), **more) -> dict:
    """A choice that turns these options away from their defaults on Hopper."""
    from bench.catalogue.values import defaults

    usual = defaults(catalogue, TASK, methods[0] if methods else None)
    return {
        "choice": "what is chosen",
        "text": "the one",
        "code": "the other",
        "source": "a book",
        "methods": list(methods),
        "tasks": [TASK],
        "values": {"text": {key: usual[key] for key in code}, "code": code},
        **more,
    }


def choices(catalogue: Catalogue) -> dict[str, dict]:
    """Three choices of DT's (one of scale), one of BC's, one of the test and one of the data of Hopper."""
    return {
        "noise": choice(catalogue, {"dropout": 0.375}, ("dt",)),
        "step": choice(catalogue, {"learning_rate": 0.0625, "weight_decay": 0.5}, ("dt",)),
        "length": choice(catalogue, {"updates": 77}, ("dt",), scale=True),
        "bc-noise": choice(catalogue, {"weight_decay": 0.25}, ("bc",)),
        "test": choice(catalogue, {"evaluation_episodes": 7}),
        "data": choice(catalogue, {"transitions": 1234}),
    }


def lab(folder: Path, declared: dict[str, dict], **artifacts: str) -> Path:
    """A folder of papers with these choices and artifacts."""
    paper = folder / "papers" / "mine"
    paper.mkdir(parents=True, exist_ok=True)
    (paper / "paper.yaml").write_text(PAPER)
    whole = {"text": SOURCES, "code": SOURCES, "choices": declared}
    (paper / "readings.yaml").write_text(yaml.safe_dump(whole))
    for name, text in artifacts.items():
        (paper / f"{name}.yaml").write_text(text)
    return folder


def without_readings(folder: Path) -> Path:
    """A copy of workflow/ whose papers have one reading each, which is all that their artifacts ask for."""
    copy = Path(shutil.copytree(WORKFLOW, folder))
    for path in [*copy.glob("papers/*/*.yaml"), *copy.glob("claims/*.yaml")]:
        if path.name == "readings.yaml":
            path.unlink()
        else:
            path.write_text(re.sub(r"reading: (\[[^]]*\]|[a-z+-]+)", "reading: text", path.read_text()))
    return copy


def suite_with_readings(folder: Path, reading: str = "", **artifacts: str) -> Suite:
    """The suite with that paper as the only one of two readings, under one of them."""
    from suites import CATALOGUE

    papers = str(lab(folder / "lab", choices(CATALOGUE), **artifacts))
    return Suite.open(without_readings(folder / "workflow"), papers=papers, reading=reading)
