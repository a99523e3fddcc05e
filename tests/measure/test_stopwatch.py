"""The stop-watch, on clocks that tests set: nothing here asks how fast a machine is."""

import math

import pytest

from bench.measure.stopwatch import LEAST_SECONDS, Stopwatch, Timing, once, spread_of


class Machine:
    """Clocks that advance by what is worked, processor time in ticks; wall time is a multiple of it."""

    def __init__(self, tick=0.0, load=1.0):
        self.worked, self.tick, self.load, self.done = 0.0, tick, load, []

    def processor(self):
        return math.floor(self.worked / self.tick) * self.tick if self.tick else self.worked

    def work(self, name, seconds):
        def run():
            self.done.append(name)
            self.worked += seconds

        return run

    def watch(self):
        return Stopwatch(self.processor, lambda: self.load * self.worked, self.tick)


def test_two_works_alternate_and_each_turn_swaps_who_begins():
    machine = Machine()
    machine.watch().in_turns(once(machine.work("A", 1.0)), once(machine.work("B", 2.0)), 4)
    # Each is tried before the first turn; then ABBA ABBA.
    assert machine.done[-8:] == ["A", "B", "B", "A", "A", "B", "B", "A"]


def test_a_turn_holds_the_seconds_of_one_run_of_each():
    machine = Machine()
    turns = machine.watch().in_turns(once(machine.work("A", 0.004)), once(machine.work("B", 3.0)), 3)
    assert turns == [(pytest.approx(0.004), pytest.approx(3.0))] * 3


def test_work_timed_against_the_same_work_has_the_ratio_one_while_the_machine_slows_down():
    machine = Machine()

    def slowing():
        machine.worked += 0.2 * (1 + machine.worked / 100)

    ratios = [b / a for a, b in machine.watch().in_turns(once(slowing), once(slowing), 8)]
    # Whoever is second in a turn is slower: over swapped turns that cancels.
    assert min(ratios) < 1 < max(ratios)
    assert math.prod(ratios) ** (1 / 8) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("tick", [1e-9, 0.01])
def test_short_work_is_repeated_until_a_tick_of_the_clock_is_below_a_hundredth(tick):
    machine = Machine(tick)
    turns = machine.watch().in_turns(once(machine.work("A", 1e-3)), once(machine.work("B", 1e-3)), 5)
    for a, b in turns:
        assert a == pytest.approx(1e-3, rel=0.0101)
        assert b == pytest.approx(1e-3, rel=0.0101)


def test_the_number_of_runs_is_chosen_before_the_turns_and_stays():
    machine, counts = Machine(), []
    own, rival = once(machine.work("A", 1e-3)), once(machine.work("B", 2e-3))
    for turns in (1, 2, 5):
        machine.done.clear()
        machine.watch().in_turns(own, rival, turns)
        counts.append((machine.done.count("A"), machine.done.count("B")))
    a, b = ((counts[1][side] - counts[0][side]) for side in (0, 1))
    assert (a, b) == (round(LEAST_SECONDS / 1e-3), round(LEAST_SECONDS / 2e-3))
    assert [n - m for n, m in zip(counts[2], counts[1], strict=True)] == [3 * a, 3 * b]


def test_a_whole_of_several_works_has_one_time():
    machine = Machine()
    whole = Timing((machine.work("A", 0.5), machine.work("B", 0.25)), lambda s: 10 * s[0] + 100 * s[1])
    spread = machine.watch().measure(whole, 3)
    assert tuple(spread) == pytest.approx((30.0, 30.0, 30.0))
    assert machine.watch().in_turns(whole, whole, 1) == [pytest.approx((30.0, 30.0))]


def test_times_are_of_the_processor_and_the_wall_is_noted_beside_them():
    machine = Machine(load=1.7)
    watch = machine.watch()
    assert watch.measure(once(machine.work("A", 2.0)), 3).median == pytest.approx(2.0)
    assert watch.wall_seconds / watch.processor_seconds == pytest.approx(1.7)


def test_a_spread_is_the_median_between_the_quartiles():
    assert tuple(spread_of([5.0, 1.0, 2.0, 4.0, 3.0])) == (2.0, 3.0, 4.0)
    assert tuple(spread_of([1.0, 2.0, 3.0]).times(60)) == (90.0, 120.0, 150.0)
