"""Classes of methods and models: few levels, and what a base class does stays as it is below it."""

import importlib
import importlib.util
import inspect
import pkgutil

import pytest

import bench.methods
import bench.nn
from bench.methods.base import Learner

MODULES = [
    importlib.import_module(found.name)
    for room in (bench.methods, bench.nn)
    for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
    if not found.name.endswith("backends.mamba_ssm")  # needs CUDA
    and not (found.name.endswith(".triton_scan") and importlib.util.find_spec("triton") is None)
]
CLASSES = [
    found
    for module in MODULES
    for _, found in inspect.getmembers(module, inspect.isclass)
    if found.__module__ == module.__name__
]
LEARNERS = [found for found in CLASSES if found.__name__ == "Learner" and issubclass(found, Learner)]


def bases(found):
    """The classes of the suite that a class builds on, the nearest first."""
    return [base for base in found.__mro__[1:] if base.__module__.startswith("bench.")]


def is_final(function):
    """Whether a base class says what it does, and does not mark it as a hook."""
    function = inspect.unwrap(function.fget if isinstance(function, property) else function)
    if getattr(function, "__isabstractmethod__", False) or getattr(function, "is_hook", False):
        return False
    return not getattr(function, "_is_protocol_member", False)


def replaced(found):
    """(name, base) of each final function of a base class that a class replaces."""
    for name, function in vars(found).items():
        if name.startswith("__") or not (inspect.isfunction(function) or isinstance(function, property)):
            continue
        for base in bases(found):
            if name in vars(base) and not getattr(base, "_is_protocol", False) and is_final(vars(base)[name]):
                yield name, base.__name__


def test_every_method_has_a_learner():
    assert len(LEARNERS) == len({found.__module__ for found in LEARNERS}) >= 19


@pytest.mark.parametrize("found", LEARNERS, ids=lambda found: found.__module__)
def test_a_learner_builds_on_at_most_two_classes_of_the_suite(found):
    assert len(bases(found)) <= 2, [base.__name__ for base in bases(found)]


@pytest.mark.parametrize("found", CLASSES, ids=lambda found: f"{found.__module__}.{found.__name__}")
def test_nothing_that_a_base_class_does_is_replaced_below_it(found):
    assert list(replaced(found)) == []


def test_a_replaced_function_is_found_out():
    class Base:
        def kept(self):
            return 1

    class Below(Base):
        def kept(self):
            return 2

    Base.__module__ = Below.__module__ = "bench.methods.made_up"
    assert list(replaced(Below)) == [("kept", "Base")]
