"""Reads one YAML file into its model. Every error is one paragraph: the file, the key and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from bench.catalogue.names import Names
from bench.catalogue.strict import SAID
from bench.errors import SpecError, unknown
from bench.files import shown

Model = TypeVar("Model", bound=BaseModel)
Read = TypeVar("Read")


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML's safe loader, but a key written twice is an error: YAML itself keeps the last one in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node; YAMLError, with its line, at the first key written twice."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                problem = f"key {key!r} is written twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def read_yaml(path: Path) -> Any:
    """The content of one YAML file; a syntax error names the file and the line."""
    try:
        return yaml.load(path.read_text(), Loader=Loader)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).replace('in "<unicode string>", ', "").split())
        raise SpecError(f"{shown(path)}: not valid YAML: {problem}. Mend the file and run again.") from None


def _explain(path: Path, error: ValidationError, model: type[BaseModel] | None) -> SpecError:
    """Turn a pydantic error into one paragraph: file, key, what is wrong, what to do."""
    parts = []
    for problem in error.errors()[:5]:
        key = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
        if problem["type"] == SAID:
            parts.append(problem["msg"].rstrip("."))
        elif problem["type"] == "extra_forbidden":
            known = sorted(model.model_fields) if model and len(problem["loc"]) == 1 else []
            parts.append(
                str(unknown("key", str(problem["loc"][-1]), known, f"key {key}"))
                if known
                else f"key {key}: not a key this file may hold; remove it or correct its spelling"
            )
        else:
            parts.append(f"key {key}: {problem['msg']}, got {str(problem.get('input'))[:80]!r}")
    said = "; ".join(parts)
    return SpecError(
        f"{shown(path)}: {said}{'' if said.endswith('?') else '.'} Correct the file and run again."
    )


def read_model(path: Path, model: type[Model], names: Names | None = None) -> Model:
    """One YAML file as one model, with the names that it may use written out."""
    try:
        return model.model_validate(read_yaml(path), context=names)
    except ValidationError as error:
        raise _explain(path, error, model) from None


def read_mapping(path: Path, value: type[Read]) -> dict[str, Read]:
    """One YAML file as name -> model, or another type."""
    try:
        return TypeAdapter(dict[str, value]).validate_python(read_yaml(path) or {})  # type: ignore[valid-type]
    except ValidationError as error:
        raise _explain(path, error, None) from None
