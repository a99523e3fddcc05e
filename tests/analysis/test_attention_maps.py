"""Figures of hidden attention show every map, its decay, and why there is none."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from suites import CATALOGUE, SUITE

from bench.analysis.figures import draw, figure_data, save
from bench.analysis.readings import Reading, read_entry
from bench.analysis.reported import COLUMNS
from bench.analysis.statistics import summarise
from bench.errors import UserError
from bench.work.entries import entries
from bench.work.jobs import Job
from bench.work.plan import jobs_of

# No paper prints anything.
NOTHING = pd.DataFrame(columns=COLUMNS)
LAYERS, STEPS, TOKENS = 3, 30, 59


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def made_up_maps(*kinds):
    """Maps that decay with half-lives of 4, 8 and 12 tokens, fused to their mean."""
    lives = np.array([np.nan, 4.0, 8.0, 12.0])
    decay = 2.0 ** (-np.arange(TOKENS) / lives[1:, None])
    weights = np.repeat(decay[:, None], STEPS, axis=1)
    lag = np.subtract.outer(np.arange(TOKENS), np.arange(TOKENS))
    matrices = np.where(lag >= 0, decay[:, np.abs(lag)], 0.0)
    return {
        "steps": np.arange(300, 300 + STEPS),
        "weights": np.concatenate([weights.mean(0)[None], weights]),
        "matrices": np.concatenate([matrices.mean(0)[None], matrices]),
        "channels": matrices,
        "half_lives": lives,
        "channel": np.array(7),
        "token_kinds": np.array(kinds or ("state", "action", "return")),
        "seed": np.array(2),
    }


def made_up(name, maps, seeds=1):
    """The three readings of an attention figure: profile, half-lives and fits."""
    readings = []
    for entry in entries(SUITE, name, "cpu"):
        values = {"attention_half_life": [6.0, 4.0, 8.0, 12.0], "attention_fit": [0.6, 0.7, 0.8, 0.9]}
        shown = values.get(entry.metric, [1.0, 0.5])
        points = [
            {"index": float(n), **summarise([v + 0.1 * seed for seed in range(seeds)]).as_row()}
            for n, v in enumerate(shown)
        ]
        arrays = maps if entry.metric == "hidden_attention" else {}
        readings.append(
            Reading(
                entry,
                "ok",
                summarise([1.0] * seeds),
                pd.DataFrame(points),
                fingerprints=("a",),
                arrays=arrays,
            )
        )
    return readings


def drawn(name, readings):
    figure = draw(CATALOGUE.artifacts[name], readings, f"heading of {name}")
    assert figure.get_suptitle() == f"heading of {name}"
    return [ax for ax in figure.findobj(plt.Axes) if ax.get_visible()]


def test_a_surface_shows_the_weights_over_steps_and_distance_with_their_decay_in_the_title():
    maps = made_up_maps()
    panels = [ax for ax in drawn("dema_fig04", made_up("dema_fig04", maps)) if ax.get_title()]
    assert [ax.get_title().split("\n") for ax in panels] == [
        ["all layers fused", "half-life 6.0 tokens, R² 0.60"],
        ["layer 1, channels fused", "half-life 4.0 tokens, R² 0.70"],
        ["layer 2, channels fused", "half-life 8.0 tokens, R² 0.80"],
        ["layer 3, channels fused", "half-life 12.0 tokens, R² 0.90"],
    ]
    for ax, weights in zip(panels, maps["weights"], strict=True):
        (image,) = ax.collections
        np.testing.assert_array_equal(np.asarray(image.get_array()).reshape(TOKENS, STEPS), weights.T)
        assert image.norm.vmax == 1.0, "one colour scale for all of them"
        assert ax.get_ylabel() == "distance [tokens]"
    assert panels[-1].get_xlabel() == "step of the episode (seed 2)"


def test_beside_a_surface_each_kind_of_token_has_its_marker_and_the_exponential_its_line():
    beside = [
        ax for ax in drawn("dema_fig04", made_up("dema_fig04", made_up_maps())) if ax.get_xscale() == "log"
    ]
    lines = {line.get_label(): line.get_xydata() for line in beside[2].lines}
    assert list(lines) == ["state token", "action token", "return-to-go token", "exponential"]
    assert lines["state token"][:, 1].tolist() == list(range(0, TOKENS, 3))
    assert lines["action token"][:, 1].tolist() == list(range(1, TOKENS, 3))
    np.testing.assert_allclose(lines["exponential"][:, 0], 2.0 ** (-np.arange(TOKENS) / 8.0))
    fused = [line.get_label() for line in beside[0].lines]
    assert "exponential" not in fused, "no half-life, no line"


def test_one_token_a_step_is_one_kind():
    panels = drawn("dema_fig04", made_up("dema_fig04", made_up_maps("step")))
    beside = next(ax for ax in panels if ax.get_xscale() == "log")
    assert [line.get_label() for line in beside.lines] == ["step token"]


def test_several_seeds_give_half_lives_an_interval_and_no_decay_is_said():
    readings = made_up("dema_fig04", made_up_maps(), seeds=3)
    readings = [
        replace(reading, curve=reading.curve.drop(index=1))
        if reading.entry.metric == "attention_half_life"
        else reading
        for reading in readings
    ]
    titles = [ax.get_title() for ax in drawn("dema_fig04", readings)]
    assert "all layers fused\nhalf-life 6.1 [5.9, 6.3] tokens, R² 0.70" in titles
    assert "layer 1, channels fused\nno decay with distance, R² 0.80" in titles


def test_a_cell_without_maps_says_why_beside_one_that_has_them():
    filled = made_up("dema_fig04", made_up_maps())
    empty = [Reading(entry, "not-run: cpu tier") for entry in entries(SUITE, "dema_fig07", "cpu")]
    panels = drawn("dema_fig04", filled + empty)
    assert sum("half-life" in ax.get_title() for ax in panels) == 4
    assert [text.get_text() for ax in panels for text in ax.texts] == ["cpu tier"]


def test_matrices_are_lower_triangular_single_channels_first():
    maps = made_up_maps()
    panels = [ax for ax in drawn("dema_fig06", made_up("dema_fig06", maps)) if ax.images]
    assert [ax.get_title().split("\n")[0] for ax in panels] == [
        *(f"layer {layer}, channel 7 alone" for layer in (1, 2, 3)),
        *(f"layer {layer}, channels fused" for layer in (1, 2, 3)),
        "all layers fused",
    ]
    for ax, matrix in zip(panels, [*maps["channels"], *maps["matrices"][[1, 2, 3, 0]]], strict=True):
        shown = ax.images[0].get_array()
        lower = np.tri(TOKENS, dtype=bool)
        np.testing.assert_array_equal(shown[lower], matrix[lower])
        assert np.ma.getmaskarray(np.ma.masked_invalid(shown))[~lower].all(), (
            "nothing is read from the future"
        )


def test_the_data_beside_hold_profile_half_life_and_fit():
    readings = made_up("dema_fig04", made_up_maps())
    data = figure_data(readings, "quick", NOTHING)
    table = data[data["metric"] == "attention_half_life"].set_index("index")["mean"]
    assert table.to_dict() == {0.0: 6.0, 1.0: 4.0, 2.0: 8.0, 3.0: 12.0}
    assert set(data["metric"]) == {"hidden_attention", "attention_half_life", "attention_fit"}


def test_equal_maps_have_equal_bytes(tmp_path):
    for turn in ("first", "second"):
        (tmp_path / turn).mkdir()
        figure = draw(CATALOGUE.artifacts["dema_fig06"], made_up("dema_fig06", made_up_maps()), "heading")
        save(figure, tmp_path / turn, "one")
    for kind in ("png", "pdf"):
        assert (tmp_path / "first" / f"one.{kind}").read_bytes() == (
            tmp_path / "second" / f"one.{kind}"
        ).read_bytes()


def test_maps_are_read_from_the_first_seed_that_has_them(write_record):
    entry = next(e for e in entries(SUITE, "dema_fig04", "cpu") if e.metric == "hidden_attention")
    jobs = jobs_of(entry, "cpu")
    rows = [("hidden_attention", 10, float(d), 0.5**d) for d in range(4)]
    write_record(jobs[0], [], status="skipped: its training is not made")
    for job in jobs[1:]:
        write_record(job, rows)
    assert isinstance(jobs[0], Job)
    with pytest.raises(UserError, match=r"attend.npz: key files of .* does not list it. Make it again"):
        read_entry(entry, "cpu")
    np.savez(jobs[1].arrays, weights=np.ones((4, 2, 3)))
    write_record(jobs[1], rows)
    found = read_entry(entry, "cpu")
    assert found.arrays["seed"] == 1
    assert found.arrays["weights"].shape == (4, 2, 3)
    assert found.curve["mean"].tolist() == [1.0, 0.5, 0.25, 0.125]
