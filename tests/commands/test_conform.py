"""What `bench conform` is asked for: mistakes are messages, and code that raises breaks its promise alone."""

import pytest
from suites import CATALOGUE

from bench.commands import conform
from bench.commands.conform import chosen_pairs
from bench.errors import SpecError


@pytest.mark.parametrize(
    ("method", "task", "said"),
    [
        ("dma", "", "--method: unknown method 'dma'. Did you mean"),
        ("dema", "hoper-medium", "--task: unknown task 'hoper-medium'. Did you mean"),
        ("dema", "darkroom", "Nothing to check: method dema is not built for gridworld tasks yet."),
        ("dc-hybrid", "", "Nothing to check: method dc-hybrid is not built for any task yet."),
    ],
)
def test_what_cannot_be_checked_is_said(method, task, said):
    with pytest.raises(SpecError) as refused:
        chosen_pairs(CATALOGUE, method, task)
    assert said in str(refused.value)


def test_all_methods_on_a_task_are_those_that_are_built_for_it():
    assert chosen_pairs(CATALOGUE, "all", "darkroom") == [
        (method, "darkroom") for method in ("ad-mamba", "ad-transformer", "amago", "dmh", "dpt")
    ]


def test_code_that_raises_breaks_its_promise_and_the_others_are_still_looked_at(monkeypatch, capsys):
    from bench.methods.cloning import CloningLearner

    def policy(self, trial):
        raise KeyError("no such thing")

    monkeypatch.setattr(CloningLearner, "policy", policy)
    with pytest.raises(SystemExit) as ended:
        conform.main("bc", "maze2d-umaze")
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert "broken  bc on maze2d-umaze: acting repeats: KeyError: 'no such thing'" in said
    assert "kept    bc on maze2d-umaze: datasets repeat" in said
