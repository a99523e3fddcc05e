"""The pages of a report as text: what each template is given."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from bench.analysis.agreement import RESULT, SETTING, agreement, in_words
from bench.analysis.claims_page import introduction
from bench.analysis.claims_table import read_table
from bench.analysis.rendering import command_of
from bench.analysis.report import overview
from bench.analysis.report.charts import Chart, Interval, interval_chart
from bench.analysis.report.figures import Picture, picture_of
from bench.analysis.report.numbers import Number, numbers_of
from bench.analysis.report.options import options_of
from bench.analysis.report.runs import Records, Run
from bench.analysis.tables import OLDER
from bench.catalogue.artifacts import Artifact
from bench.catalogue.catalogue import Catalogue, paper_name
from bench.catalogue.paper import OpenChoice
from bench.errors import UserError
from bench.work.claims import load_claims
from bench.work.gathered import AUDIT, checked, files_of
from bench.work.plan import all_jobs
from bench.work.renderings import Rendering, varied_in
from bench.work.reporting import TEMPLATES, pages
from bench.work.suite import Suite

# In the order in which a reader wants them.
VERDICTS = (
    "match", "differs", "agrees", "disagrees", "inconclusive", "reduced", "stand-in", "unreported",
    "unavailable", "not-run",
)  # fmt: skip
AUDIT_VERDICTS = ("conflicts", "noted", "agrees", "open")


@dataclass(frozen=True)
class ArtifactShown:
    """An artifact with its numbers, its picture if it is a figure, and the command that makes it."""

    name: str
    artifact: Artifact
    kind: str
    numbers: list[Number]
    picture: Picture | None
    command: str
    # What the paper leaves open, each with the artifacts of the tier that vary it.
    open_choices: list[tuple[OpenChoice, list[str]]]

    @property
    def paper(self) -> str:
        """The folder of its paper."""
        return paper_name(self.name)

    @property
    def results(self) -> list[Number]:
        """Its numbers that a run gives or would give, and what is made of them."""
        return [number for number in self.numbers if number.kind != SETTING]

    @property
    def settings(self) -> list[Number]:
        """Its hyper-parameters and constants, which no run gives."""
        return [number for number in self.numbers if number.kind == SETTING]

    @property
    def only_metric(self) -> str:
        """The metric of all of its numbers; empty where they have several."""
        metrics = {number.metric_title for number in self.numbers}
        return metrics.pop() if len(metrics) == 1 else ""

    @property
    def measured(self) -> int:
        """How many of its numbers a run gave."""
        return sum(number.kind == RESULT and bool(number.ours) for number in self.numbers)

    @property
    def wanted(self) -> int:
        """How many of its numbers a run would give."""
        return sum(number.kind == RESULT for number in self.numbers)


@dataclass(frozen=True)
class RunShown:
    """A run with its learning curves, its sidecars, and the options of each of its parts."""

    run: Run
    charts: list[Chart]
    sidecars: list[tuple[str, list[str]]]
    options: list[tuple[str, str]]


def verdicts_on(numbers: Iterable[Number]) -> dict[str, int]:
    """How often each verdict fell."""
    return counted((number.verdict for number in numbers), VERDICTS)


def counted(words: Iterable[str], order: Iterable[str]) -> dict[str, int]:
    """How often each word fell, in this order, without those that did not."""
    counts = Counter(words)
    return {word: counts[word] for word in order if counts[word]}


@dataclass
class Report:
    """Everything a report shows of a tier; read once, from files."""

    suite: Suite
    tier: str
    reported: pd.DataFrame

    def __post_init__(self) -> None:
        self.records = Records(self.tier)
        self.jobs = all_jobs(self.suite, self.tier)
        answers = read_table(self._made(files_of(self.tier, "claims.csv")))
        self.claims = overview.claims_shown(self.suite.catalogue, load_claims(self.suite), answers)
        audit = self._made(AUDIT)
        self.findings = pd.read_csv(audit, dtype=str, keep_default_na=False).to_dict("records")
        self.artifacts = [self._artifact(name) for name in self.suite.catalogue.artifacts]

    def _made(self, files: Sequence[Path]) -> Path:
        path = files[0]
        if not path.exists():
            raise UserError(
                f"{path}: missing, so there is nothing to report. Make it: snakemake claims audit "
                f"--config tier={self.tier}"
            )
        return checked(files, f"Make it again: snakemake claims audit --config tier={self.tier}")

    def _artifact(self, name: str) -> ArtifactShown:
        rendering = Rendering(self.suite, self.tier, name)
        numbers = numbers_of(rendering, self.reported, self.records)
        picture = picture_of(rendering, numbers) if rendering.kind == "figure" else None
        choices = [(one, varied_in(one.option, rendering)) for one in rendering.artifact.open_choices]
        return ArtifactShown(
            name, rendering.artifact, rendering.kind, numbers, picture, command_of(rendering), choices
        )

    @cached_property
    def environment(self) -> jinja2.Environment:
        """Jinja with autoescape; a name that a template does not get is an error."""
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        environment.filters["linked"] = partial(linked, self.suite.catalogue)
        return environment

    def page(self, name: str) -> str:
        """The text of one page."""
        catalogue = self.suite.catalogue
        template = "matrix" if name in catalogue.papers else name
        return self.environment.get_template(f"{template}.html.j2").render(
            tier=self.tier, about=catalogue.tier(self.tier), pages=pages(catalogue), page=name,
            reading_said=catalogue.reading_said,
            papers=catalogue.papers, paper_of=catalogue.paper_of, artifacts=self.artifacts,
            claims=self.claims, findings=self.findings, records=self.records, jobs=self.jobs,
            verdicts_on=verdicts_on, agreement=self._agreement(),
            claim_counts=self._claim_counts(), audit_counts=self._audit_counts(),
            counted=counted, older=OLDER, from_store=not self.suite.source.makes, **self._own(name),
        )  # fmt: skip

    def _agreement(self) -> str:
        printed = [one for shown in self.artifacts for one in shown.numbers if one.reported]
        kinds = ((SETTING if one.kind == SETTING else RESULT, one.verdict) for one in printed)
        return in_words(agreement(kinds))

    def _claim_counts(self) -> dict[str, int]:
        return counted((shown.verdict for shown in self.claims), overview.CLAIM_VERDICTS)

    def _audit_counts(self) -> dict[str, int]:
        return counted((finding["verdict"] for finding in self.findings), AUDIT_VERDICTS)

    def _own(self, name: str) -> dict[str, Any]:
        """What one page alone is given."""
        if name in self.suite.catalogue.papers:
            own = [shown for shown in self.artifacts if shown.paper == name]
            return {"own": own, "runs": self._runs(own), "choices": _choices(self.suite.catalogue, own)}
        if name in ("index", "provenance"):
            return {
                "bills": overview.bills(self.jobs),
                "rows": overview.job_rows(self.jobs, self.records),
                "environment": overview.environment(self.jobs, self.records),
                "sources": overview.data_sources(self.jobs, self.records),
            }
        if name == "claims":
            return {"interval_of": interval_of, "introduction": introduction(self.suite.catalogue)}
        return {}

    def _runs(self, artifacts: list[ArtifactShown]) -> list[RunShown]:
        """The runs behind the numbers of some artifacts, each once whoever asks for it."""
        metrics: dict[Run, dict[str, None]] = {}
        for shown in artifacts:
            for number in shown.numbers:
                for run in number.runs:
                    metrics.setdefault(run, {}).setdefault(number.metric)
        return [
            RunShown(
                run,
                self.records.curves(run, list(asked)),
                self.records.sidecars(run),
                options_of(run, self.records),
            )
            for run, asked in metrics.items()
        ]


def _choices(catalogue: Catalogue, artifacts: list[ArtifactShown]) -> dict[str, list[tuple[str, str]]]:
    """What a reader of a page can filter by: field -> (value, how it is called)."""
    numbers = [number for shown in artifacts for number in shown.numbers]
    titles = catalogue.methods
    methods = {number.method: titles[number.method].title for number in numbers}
    tasks = {number.task: number.task_title for number in numbers}
    verdicts = {number.verdict for number in numbers}
    return {
        "artifact": [
            (shown.name, f"{shown.artifact.printed}: {shown.artifact.title}") for shown in artifacts
        ],
        "method": sorted(methods.items(), key=lambda item: item[1].lower()),
        "task": sorted(tasks.items(), key=lambda item: item[1].lower()),
        "verdict": [("any-run", "any but not-run"), *((word, word) for word in VERDICTS if word in verdicts)],
    }


def linked(catalogue: Catalogue, text: str) -> Markup:
    """A text in which every artifact's name leads to its numbers."""

    def link(found: re.Match[str]) -> str:
        name = found[0]
        return f'<a href="{paper_name(name)}.html#{name}">{name}</a>'

    names = "|".join(catalogue.artifacts)
    return Markup(re.sub(rf"\b(?:{names})\b", link, str(escape(text))))


def interval_of(row: dict[str, Any]) -> Interval | None:
    """A finding's effect beside what it is held against; None where it has no number."""
    if math.isnan(row["effect"]):
        return None
    smallest, ratio = row["smallest"], row["scale"] == "ratio"
    mirrored = 1 / smallest if ratio else -smallest
    marks = [mirrored, smallest] if row["expect"] == "equal" else [smallest]
    return interval_chart(row["effect"], row["low"], row["high"], marks, ratio)
