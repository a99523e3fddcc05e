"""What a stage leaves: rows of numbers, and a record of how the work ended, with what and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from bench.work.integrity import Files, unsealed
from bench.work.numerics import NATIVE

Kind = Literal["ok", "diverged", "unavailable", "skipped", "oom", "failed", "not-run"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# A result of its own: the code did what it should, and there is no number.
WITHOUT_NUMBER: tuple[Kind, ...] = ("diverged", "oom")


class Row(NamedTuple):
    """One number of a record: the metric, after how many updates, which one of several, and the number."""

    metric: str
    step: int
    index: float  # type: ignore[assignment]
    value: float


COLUMNS = Row._fields
Rows = list[tuple[str, int, float, float]]
# What names a job in the store of its tier: stage, task, method, settings and seed.
Key = tuple[str, str, str, str, int]
# What a stage says of its work beside numbers: name -> what JSON can hold.
Facts = dict[str, Any]


@dataclass(frozen=True)
class Status:
    """How a job ended, and why if it has no number."""

    kind: Kind
    why: str = ""

    @classmethod
    def parse(cls, text: Any) -> Status:
        """The status that a text such as `failed: ValueError` says; ValueError for any other kind."""
        if isinstance(text, Status):
            return text
        word, _, why = str(text).partition(": ")
        for kind in KINDS:
            if word == kind:
                return cls(kind, why)
        raise ValueError(f"{text!r} is not a status, which begins with one of {', '.join(KINDS)}")

    def __str__(self) -> str:
        return f"{self.kind}: {self.why}" if self.why else self.kind

    @property
    def is_ok(self) -> bool:
        """Whether there is a number."""
        return self.kind == "ok"

    @property
    def has_failed(self) -> bool:
        """Whether the code broke."""
        return self.kind == "failed"

    @property
    def is_unavailable(self) -> bool:
        """Whether it, or what it rests on, is not to be had on this machine."""
        return "unavailable" in str(self)

    @property
    def is_result(self) -> bool:
        """Whether the code did what it should and there is no number: a loss diverged, or memory ran out."""
        return self.kind in WITHOUT_NUMBER


OK = Status("ok")


class Record(BaseModel):
    """The sidecar of a job. One that was never made has a status alone; the rest is then empty."""

    model_config = ConfigDict(frozen=True, extra="allow")

    status: Annotated[Status, BeforeValidator(Status.parse), PlainSerializer(str)]
    stage: str = ""
    tier: str = ""
    task: str = ""
    method: str = ""
    settings: str = ""
    seed: int = 0
    # What the numbers rest on is what was used when they were made.
    data_source: str = ""
    fingerprint: str = ""
    command: str = ""
    # What was left with it: name in its folder -> the file as it was written.
    files: Files = Field(default={})
    facts: Facts = Field(default={})
    gpu: str = ""
    # Where it used a GPU: the peak of that one's memory (`peak_memory_mib` is the host's), and what computed.
    gpu_memory_mib: float | None = None
    gpu_versions: dict[str, str] = Field(default={})
    seconds: float = 0.0
    # None in what was never made.
    cpu_seconds: float | None = None
    # What the process had used before the work began. None: records did not say it yet.
    start_cpu_seconds: float | None = None
    peak_memory_mib: float = 0.0
    started: str = ""
    git_commit: str = ""
    versions: dict[str, str] = Field(default={})
    python: str = ""
    platform: str = ""
    # The numeric profile; what was made before there were any was made natively.
    numerics: str = NATIVE
    libc: str = ""
    parts: dict[str, Any] = Field(default={})
    restamped: dict[str, Any] = Field(default={})

    @property
    def key(self) -> Key:
        """What names its job in the store of its tier."""
        return (self.stage, self.task, self.method, self.settings, self.seed)

    @property
    def is_made(self) -> bool:
        """Whether there is such a record at all, and it can be read."""
        return bool(self.fingerprint)

    @property
    def arithmetic(self) -> str:
        """What decides a number's last bit, beside device and packages.

        The platform; under a profile that is the same on every processor, the profile and the C library.
        """
        return self.platform if self.numerics == NATIVE else f"{self.numerics} numerics, {self.libc}"

    @property
    def device(self) -> str:
        """What computed it; empty if the record does not say."""
        return str(self.facts.get("device", ""))

    @property
    def scan_backend(self) -> str:
        """The backend of its scan; empty if it has none."""
        return str(self.facts.get("scan_backend", ""))

    def with_values(self, **changed: Any) -> Record:
        """The same record with other values."""
        return Record.model_validate(self.as_dict() | changed)

    def as_dict(self) -> dict[str, Any]:
        """What is written: what was given, in the order of the fields."""
        return self.model_dump(exclude_unset=True)


NOT_MADE = Record(status=Status("not-run", "no record yet"))
# `snakemake all` makes both again, with `retry=true` or without: neither has a fingerprint.
DAMAGED = Record(status=Status("failed", "its record is damaged; snakemake makes it again"))
MISPLACED = Record(status=Status("failed", "its record is that of another job; snakemake makes it again"))


def read_record(path: Path, key: Key) -> Record:
    """The sidecar of the job that `key` names.

    One that is absent, damaged in a single byte, or another job's says so by its status.
    """
    try:
        record = Record.model_validate(unsealed(path))
    except FileNotFoundError:
        return NOT_MADE
    except ValueError:
        return DAMAGED
    return record if record.key == key else MISPLACED
