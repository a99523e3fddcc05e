"""A paper as data: the pydantic model of `papers/<paper>/paper.yaml`."""

from __future__ import annotations

from pydantic import Field

from bench.catalogue.strict import Name, OptionName, Strict

# Numbers and ranges of them: "1-4, 6".
NUMBERS = r"^(\d+(-\d+)?(, \d+(-\d+)?)*)?$"


class Prints(Strict):
    """The tables and figures a paper prints, as `1-4, 6`; each wants an artifact."""

    tables: str = Field(default="", pattern=NUMBERS)
    figures: str = Field(default="", pattern=NUMBERS)

    def places(self) -> list[str]:
        """Each of them as an artifact says where it is printed: `Table 4`."""
        kinds = (("Table", self.tables), ("Figure", self.figures))
        return [f"{kind} {number}" for kind, text in kinds for number in _numbers(text)]


def _numbers(text: str) -> list[int]:
    ends = [[int(end) for end in part.split("-")] for part in text.split(", ") if part]
    return [number for end in ends for number in range(end[0], end[-1] + 1)]


class OpenChoice(Strict):
    """A choice the paper leaves open, and the option it became; a table finds which artifacts vary it."""

    choice: str
    alternatives: tuple[str, ...] = Field(min_length=2)
    option: OptionName
    note: str = ""


class Untested(Strict):
    """A comparative sentence of a paper that no claim tests, in our words, and why."""

    says: str
    section: str
    why: str


class Paper(Strict):
    """A paper: `papers/<paper>/paper.yaml`, beside its artifacts."""

    title: str = Field(min_length=1)  # as pages call it
    full_title: str = Field(min_length=1)
    arxiv: str = Field(default="", pattern=r"^(\d{4}\.\d{4,5})?$")
    order: int  # of its page among the papers'
    own: bool = False  # no paper, but what the suite asks beyond the papers: nothing is printed beside it
    prints: Prints = Prints()
    open_choices: dict[Name, OpenChoice] = Field(default={})  # by the key that its artifacts name

    untested: tuple[Untested, ...] = ()  # what it says of its experiments and no claim tests

    @property
    def named(self) -> str:
        """Its title, and where it is to be had if it is to be had anywhere."""
        return f"{self.title} (arXiv {self.arxiv})" if self.arxiv else self.title
