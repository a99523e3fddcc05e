"""Write what editors and type checkers read of the specification: `python -m bench schema`.

A JSON schema of each kind of file under `workflow/`, a list of the files that each is for, and the names and
types of all options. A test fails if they are out of step with the models and the files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from bench.catalogue.artifacts import Artifact, kinds, layout_class
from bench.catalogue.catalogue import WORKFLOW, Catalogue
from bench.catalogue.choices import PaperReadings
from bench.catalogue.load import load_catalogue
from bench.catalogue.models import Method, Metric, Option, OptionTable, Protocol, TaskFamily
from bench.catalogue.paper import Paper
from bench.catalogue.strict import Name, OptionName
from bench.catalogue.tiers import Tier
from bench.errors import exit_with_message
from bench.files import ROOT, shown, write_atomically
from bench.work.claim import Claim
from bench.work.regression import Regressed

SCHEMAS = WORKFLOW / "schema"
OPTION_TYPES = ROOT / "bench" / "catalogue" / "option_types.py"
LINE_LENGTH = 110  # the formatter's
# Kind of file -> its type, and the files of it, from `workflow/` or a lab's own folder.
FILES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "artifact": (Artifact, ("papers/*/table*.yaml", "papers/*/fig*.yaml")),
    "claim": (Claim, ("claims/*.yaml",)),
    "method": (Method, ("methods/*.yaml",)),
    "metrics": (dict[OptionName, Metric], ("metrics.yaml",)),
    "options": (dict[OptionName, Option], ("options/*.yaml",)),
    "paper": (Paper, ("papers/*/paper.yaml",)),
    "protocol": (Protocol, ("protocols/*.yaml",)),
    "readings": (PaperReadings, ("papers/*/readings.yaml",)),
    "regress": (Regressed, ("regress.yaml",)),
    "sets": (dict[Name, tuple[Name, ...]], ("sets.yaml",)),
    "tasks": (TaskFamily, ("tasks/*.yaml",)),
    "tier": (Tier, ("tiers/*.yaml",)),
}


def schema_of(kind: str) -> dict[str, Any]:
    """The JSON schema of a kind of file, as its files are written."""
    schema = TypeAdapter(FILES[kind][0]).json_schema()
    if kind == "artifact":
        _add_layouts(schema)
    if kind == "claim":
        _let_share(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _add_layouts(schema: dict[str, Any]) -> None:
    """Let `layout` be that of each kind there is: the model itself knows none of them."""
    layouts = []
    for kind in kinds():
        layout = layout_class(kind).model_json_schema()
        schema["$defs"] |= layout.pop("$defs", {})
        layout["properties"]["kind"] = {"const": kind}
        layouts.append(layout)
    schema["properties"]["layout"] = {"anyOf": layouts}
    schema["$defs"].pop("Layout", None)


def _let_share(schema: dict[str, Any]) -> None:
    """Let `shared` hold the keys of a comparison, and a comparison lack those that may be shared."""
    comparison = schema["$defs"]["Comparison"]
    schema["properties"]["shared"] = {
        key: comparison[key] for key in ("type", "properties", "additionalProperties")
    }
    comparison["required"] = ["label"]


def editor_settings() -> dict[str, Any]:
    """Which files each schema is for, as settings of the YAML language server, from the repository's root."""
    folder = shown(SCHEMAS)
    return {
        "yaml.schemas": {
            f"{folder}/{kind}.json": [f"{WORKFLOW.name}/{pattern}" for pattern in patterns]
            for kind, (_, patterns) in FILES.items()
        }
    }


def option_tables(catalogue: Catalogue) -> list[OptionTable]:
    """Every table of options, whatever declares it."""
    return [
        *catalogue.option_groups.values(),
        *(method.options for method in catalogue.methods.values()),
        *(protocol.options for protocol in catalogue.protocols.values()),
        *(protocol.drawn for protocol in catalogue.protocols.values()),
        *(task.environment_options for task in catalogue.tasks.values()),
        *(task.data_options for task in catalogue.tasks.values()),
        *(task.model_options for task in catalogue.tasks.values()),
    ]


def option_types(tables: Iterable[OptionTable]) -> str:
    """The module `option_types`: each option with its type; the union if it is declared with several."""
    declared: dict[str, list[Option]] = {}
    for table in tables:
        for name, option in table.items():
            declared.setdefault(name, []).append(option)
    lines = [_line(name, options) for name, options in sorted(declared.items())]
    imports = ", ".join(["Literal"] * any("Literal[" in line for line in lines) + ["TypedDict"])
    return (
        '"""The options of the suite and their types, written by `python -m bench schema`."""\n\n'
        f"from __future__ import annotations\n\nfrom typing import {imports}\n\n\n"
        "class Options(TypedDict, total=False):\n"
        '    """Every option there is; a task and a method have some of them."""\n\n'
        + "\n".join(lines)
        + "\n"
    )


def _line(name: str, options: list[Option]) -> str:
    line = f"    {name}: {_type(options)}"
    if len(line) > LINE_LENGTH:  # broken as the formatter breaks it
        return line.replace("Literal[", "Literal[\n        ", 1).removesuffix("]") + "\n    ]"
    helps = {option.help for option in options}
    whole = f"{line}  # {min(helps)}"
    return whole if len(helps) == 1 and len(whole) <= LINE_LENGTH else line


def _type(options: list[Option]) -> str:
    plain = {type(option.default).__name__ for option in options if not _is_choice(option)}
    choices = dict.fromkeys(value for option in options if _is_choice(option) for value in option.choices)
    literal = [f"Literal[{', '.join(json.dumps(value) for value in choices)}]"] if choices else []
    return " | ".join([*sorted(plain), *(literal if "str" not in plain else [])])


def _is_choice(option: Option) -> bool:
    return bool(option.choices) and isinstance(option.default, str)


def written(catalogue: Catalogue) -> dict[Path, str]:
    """Each file that the command writes, with its text."""
    schemas = {SCHEMAS / f"{kind}.json": _json(schema_of(kind)) for kind in FILES}
    return {
        **schemas,
        SCHEMAS / "editors.json": _json(editor_settings()),
        OPTION_TYPES: option_types(option_tables(catalogue)),
    }


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"


@exit_with_message
def main() -> None:
    """Write the schemas, the editors' settings and the types of options."""
    for path, text in written(load_catalogue()).items():
        write_atomically(path, text)
        print(shown(path))
