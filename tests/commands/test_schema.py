"""What `bench schema` writes is in step with the models, and every file is as its schema says."""

import ast

import jsonschema
import pytest
from suites import CATALOGUE

from bench.catalogue.catalogue import WORKFLOW
from bench.catalogue.models import Option
from bench.catalogue.reading import read_yaml
from bench.commands.schema import FILES, OPTION_TYPES, editor_settings, option_types, schema_of, written
from bench.files import ROOT, shown

# Profiles are Snakemake's own.
WRITTEN = sorted(path for path in WORKFLOW.rglob("*.yaml") if "profiles" not in path.parts)


def kinds_of(path):
    return [kind for kind, (_, patterns) in FILES.items() if any(path.match(pattern) for pattern in patterns)]


@pytest.mark.parametrize("path", written(CATALOGUE), ids=lambda path: path.name)
def test_a_written_file_is_in_step(path):
    remedy = "run `python -m bench schema`"
    assert path.read_text() == written(CATALOGUE)[path], remedy


def test_no_schema_is_left_over():
    assert set((WORKFLOW / "schema").iterdir()) == set(written(CATALOGUE)) - {OPTION_TYPES}


def test_every_file_has_one_schema():
    assert {shown(path): len(kinds_of(path)) for path in WRITTEN if len(kinds_of(path)) != 1} == {}
    assert set(editor_settings()["yaml.schemas"]) == {f"workflow/schema/{kind}.json" for kind in FILES}


@pytest.mark.parametrize("kind", FILES)
def test_the_files_of_a_kind_are_as_its_schema_says(kind):
    validator = jsonschema.Draft202012Validator(schema_of(kind))
    jsonschema.Draft202012Validator.check_schema(validator.schema)
    files = [path for path in WRITTEN if kinds_of(path) == [kind]]
    assert files
    mistakes = {
        f"{shown(path)}: {error.json_path}: {error.message[:200]}"
        for path in files
        for error in validator.iter_errors(read_yaml(path))
    }
    assert mistakes == set()


@pytest.mark.parametrize(
    ("kind", "file", "old", "new"),
    [
        ("artifact", "papers/dema/table04.yaml", "metrics:", "metrix:"),
        ("artifact", "papers/dema/table04.yaml", "rows:", "lines:"),
        ("artifact", "papers/dmh/fig02.yaml", "kind: curve", "kind: curv"),
        ("tier", "tiers/cpu.yaml", "seeds: 5", "seeds: five"),
        ("claim", "claims/dema_over_dt_in_mujoco.yaml", "label: after equal updates", "lable: equal"),
        ("claim", "claims/dema_over_dt_in_mujoco.yaml", "expect: more", "expct: more"),
        ("tasks", "tasks/tmaze.yaml", "protocol: tmaze\n", ""),
    ],
)
def test_a_mistake_is_seen_by_an_editor_too(kind, file, old, new, tmp_path):
    text = (WORKFLOW / file).read_text()
    assert old in text
    changed = tmp_path / "changed.yaml"
    changed.write_text(text.replace(old, new, 1))
    validator = jsonschema.Draft202012Validator(schema_of(kind))
    assert list(validator.iter_errors(read_yaml(changed)))


def test_every_option_has_its_type():
    (options,) = [n for n in ast.parse(OPTION_TYPES.read_text()).body if isinstance(n, ast.ClassDef)]
    types = {node.target.id: ast.unparse(node.annotation) for node in options.body[1:]}
    declared = {
        name: option
        for task in CATALOGUE.tasks
        for method in CATALOGUE.methods
        for name, option in CATALOGUE.options(task, method).items()
    }
    assert list(types) == sorted(types)
    assert declared.keys() <= types.keys()
    for name, option in declared.items():
        assert type(option.default).__name__ in types[name] or types[name].startswith("Literal"), name


def test_an_option_of_two_types_has_their_union():
    text = option_types(
        [
            {"a": Option(default=1, help="one"), "b": Option(default="x", choices=("x", "y"), help="same")},
            {"a": Option(default=0.5, help="two"), "b": Option(default="z", choices=("z",), help="same")},
        ]
    )
    assert "    a: float | int\n" in text
    assert '    b: Literal["x", "y", "z"]  # same\n' in text


def test_the_documentation_says_where_the_schemas_are():
    assert "workflow/schema/editors.json" in (ROOT / "docs" / "extending.md").read_text()
