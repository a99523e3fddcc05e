"""What counts as the same code, on a small package: where code stands does not, what it computes does."""

import itertools
import os
import shutil
import subprocess
import sys

import pytest

from bench.files import ROOT

MACHINERY = ("__init__", "errors", "files", "work/__init__", "work/circles", "work/digests", "work/modules",
             "work/shape", "work/syntax")  # fmt: skip
ASK = "import sys; from bench.work.digests import Closure; print(Closure([sys.argv[1]]).digest)"

SHAPES = '''
"""Shapes."""
from dataclasses import dataclass
from math import pi

SIDES = 4


@dataclass
class Box:
    """A box."""

    width: float
    height: float = 1.0


def area(box, scale=2):
    """Of a box."""
    return box.width * box.height * scale


def circle(radius):
    return pi * radius**2


def unused():
    return SIDES
'''
WORK = '''
from bench.shapes import Box, area
from bench.other import shrink


def work(width):
    """Do it."""
    box = Box(width)
    return shrink(area(box))
'''
OTHER = """
def shrink(value):
    return value / 2


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)
"""
FILES = {"shapes": SHAPES, "work_on": WORK, "other": OTHER}


@pytest.fixture
def digest(tmp_path):
    """The digest of a definition in a package of these files, with changes (file, old text, new text)."""
    number = itertools.count()

    def ask(*changes, files=FILES, root="bench.work_on.work"):
        folder = tmp_path / str(next(number))
        for name in MACHINERY:
            target = folder / "bench" / f"{name}.py"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "bench" / f"{name}.py", target)
        texts = dict(files)
        for name, old, new in changes:
            assert old in texts[name]
            texts[name] = texts[name].replace(old, new)
        for name, text in texts.items():
            (folder / "bench" / f"{name}.py").write_text(text)
        command = [sys.executable, "-c", ASK, root]
        answer = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": ""},
            text=True,
            capture_output=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()

    return ask


SAME = {
    "a docstring": [("work_on", "Do it.", "Do it well.")],
    "a comment": [("shapes", "SIDES = 4", "SIDES = 4  # of a square")],
    "annotations of a function": [
        ("work_on", "def work(width):", "def work(width: float) -> float:"),
        ("work_on", "box = Box", "box: Box = Box"),
    ],
    "an import that only types use": [
        ("work_on", "\n\ndef w", "\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import x\ndef w")
    ],
    "the order of imports": [
        ("work_on", "from bench.shapes import Box, area\nfrom bench.other import shrink",
         "from bench.other import shrink\nfrom bench.shapes import area, Box")
    ],
    "the way it is imported": [
        ("work_on", "from bench.other import shrink", "from bench import other"),
        ("work_on", "shrink(area", "other.shrink(area"),
    ],
    "another name of an import": [
        ("work_on", "import shrink", "import shrink as lessen"), ("work_on", "shrink(area", "lessen(area"),
    ],
    "an import within a function": [
        ("work_on", "from bench.other import shrink\n", ""),
        ("work_on", "    box =", "    from bench.other import shrink\n    box ="),
    ],
    "a new name of a function": [("shapes", "def area", "def surface"), ("work_on", "area", "surface")],
    "a definition that is not used": [("shapes", "return SIDES", "return SIDES + 1")],
    "what it prints": [("work_on", "    box =", "    print('now')\n    box =")],
}  # fmt: skip
OTHERWISE = {
    "a constant in it": [("work_on", "Box(width)", "Box(width + 1)")],
    "a default of what it calls": [("shapes", "scale=2", "scale=3")],
    "the body of what it calls": [("other", "value / 2", "value / 4")],
    "the default of a field": [("shapes", "height: float = 1.0", "height: float = 2.0")],
    "a new field": [("shapes", "    width: float\n", "    width: float\n    depth: float = 1.0\n")],
    "the type of a field": [("shapes", "width: float", "width: int")],
    "the order of fields": [
        ("shapes", "width: float\n    height: float = 1.0", "height: float = 1.0\n    width: float")
    ],
    "a decorator of what it uses": [("shapes", "@dataclass\n", "@dataclass(order=True)\n")],
    "which function is imported": [
        ("work_on", "from bench.other import shrink", "from bench.shapes import circle as shrink")
    ],
    "something that an imported module does": [("other", "\ndef shrink", "\nregister('it')\n\n\ndef shrink")],
    "a definition that its decorator registers": [
        ("other", "\ndef shrink", "\n@register\ndef hidden():\n    return 1\n\n\ndef shrink")
    ],
}


@pytest.mark.parametrize("name", SAME)
def test_is_the_same_code_but_for(digest, name):
    assert digest(*SAME[name]) == digest()


@pytest.mark.parametrize("name", OTHERWISE)
def test_is_other_code_with(digest, name):
    assert digest(*OTHERWISE[name]) != digest()


def test_a_module_may_have_another_name_and_a_function_another_place(digest):
    renamed = {"forms": SHAPES, "work_on": WORK.replace("bench.shapes", "bench.forms"), "other": OTHER}
    assert digest(files=renamed) == digest()
    start, area = SHAPES.index("def area"), SHAPES.index("def circle")
    moved = {
        "shapes": SHAPES[:start] + SHAPES[area:],
        "areas": SHAPES[start:area],
        "work_on": WORK.replace("import Box, area", "import Box\nfrom bench.areas import area"),
        "other": OTHER,
    }
    assert digest(files=moved) == digest()


def test_a_module_that_only_passes_a_name_on_does_not_count(digest):
    passed = FILES | {"front": "from bench.other import shrink\n"}
    assert digest(("work_on", "bench.other", "bench.front"), files=passed) == digest()


def test_functions_that_call_each_other_are_told_apart_and_seen_whole(digest):
    even, odd = (digest(root=f"bench.other.{name}") for name in ("even", "odd"))
    assert even != odd
    changed = ("other", "n != 0", "n > 0")
    assert digest(changed, root="bench.other.even") != even
    assert digest(changed, root="bench.other.shrink") == digest(root="bench.other.shrink")
    renamed = (("other", "even", "straight"), ("other", "odd", "uneven"))
    assert digest(*renamed, root="bench.other.straight") == even


def test_a_name_that_is_local_is_not_the_global_one(digest):
    local = [
        ("work_on", "    box =", "    circle = 3\n    box ="),
        ("work_on", "import Box", "import circle, Box"),
    ]
    assert digest(*local) == digest(*local, ("shapes", "pi * radius", "2 * radius"))


def test_a_name_that_an_inner_function_binds_stays_global_outside_of_it(digest):
    edits = [
        ("work_on", "    box = Box(width)", "    inner = lambda shrink: shrink\n    box = Box(inner(width))"),
    ]
    assert digest(*edits) != digest(*edits, ("other", "value / 2", "value / 4"))


def test_an_import_that_cannot_be_followed_is_named(tmp_path, digest):
    with pytest.raises(AssertionError, match=r"work_on.py: line \d+: name the module in full"):
        digest(("work_on", "from bench.other import shrink", "from bench.other import *"))


def test_a_definition_that_is_not_there_is_named(digest):
    with pytest.raises(AssertionError, match=r"bench.other: defines no grow, which the suite looks for"):
        digest(root="bench.other.grow")
