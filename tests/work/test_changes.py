"""What differs between two fingerprints' parts is named: everything that counts, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st
from suites import CATALOGUE, SUITE

from bench.work.cells import parse_slug
from bench.work.fingerprint import changes, fingerprint, package_changes
from bench.work.jobs import Job

NAMES = st.text("abcxyz_.", min_size=1, max_size=4)
HASHES = st.dictionaries(NAMES, st.text("0123456789abcdef", min_size=1, max_size=3), max_size=4)
OPTIONS = st.dictionaries(
    NAMES, st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.text("ab", max_size=2), max_size=4
)
CODE = st.dictionaries(
    st.sampled_from(["a.f", "b.f", "a.g", "c.h"]), st.sampled_from(["1", "2", "3"]), max_size=4
)
PARTS = st.fixed_dictionaries({
    "code": CODE, "files": HASHES, "options": OPTIONS, "packages": HASHES,
    "python": st.sampled_from(["3.11", "3.12"]), "seed": st.integers(0, 3), "upstream": st.lists(NAMES),
})  # fmt: skip


def digested(parts):
    """The parts with the digest of their code, which no module's name is part of."""
    code = sorted((name.split(".")[-1], text) for name, text in parts["code"].items())
    return parts | {"digest": str(code)}


def parts(**changed):
    whole = {"code": {"bench.nn.scan": "aa"}, "files": {"x.npz": "11"}, "options": {"updates": 165},
             "packages": {"torch": "2.13.0"}, "python": "3.11", "seed": 0, "upstream": ["f0"]}  # fmt: skip
    return digested(whole | changed)


def test_each_kind_of_change_is_named():
    after = parts(
        code={"bench.nn.scan": "bb"},
        options={"updates": 300},
        files={"x.npz": "22"},
        packages={"torch": "2.14.0"},
    )
    assert changes(parts(), after) == [
        "bench.nn.scan",
        "option updates: 165 -> 300",
        "file x.npz",
        "package torch: 2.13.0 -> 2.14.0",
    ]


def test_what_came_or_went_is_marked():
    assert changes(parts(), parts(code={"bench.nn.mixer": "bb"}, options={})) == [
        "bench.nn.mixer (new)",
        "bench.nn.scan (gone)",
        "option updates (gone)",
    ]


def test_seed_and_upstream_are_no_change_of_their_own():
    assert changes(parts(), parts(seed=3, upstream=["f1"])) == []


def test_a_package_that_is_absent_on_either_side_is_no_change():
    absent = {"torch": "2.13.0", "mamba_ssm": "absent"}
    present = {"torch": "2.13.0", "mamba_ssm": "2.2"}
    for before, after in ((absent, present), (present, absent), (absent, parts()["packages"])):
        assert changes(parts(packages=before), parts(packages=after)) == []


def test_parts_that_were_never_kept_name_what_is_there_now():
    assert changes({}, parts(files={})) == [
        "bench.nn.scan (new)",
        "option updates (new)",
        "package torch (new)",
    ]


@given(PARTS, PARTS)
def test_nothing_is_named_exactly_where_the_fingerprints_agree(before, after):
    before, after = digested(before), digested(after)
    after |= {"seed": before["seed"], "upstream": before["upstream"]}
    named = changes(before, after)
    assert (not named) == (fingerprint(before) == fingerprint(after))
    assert len(named) == len(set(named))


@given(PARTS, PARTS)
def test_a_change_and_its_way_back_name_the_same_things(before, after):
    def names(lines):
        return [line.split(":")[0].replace(" (gone)", " (new)") for line in lines]

    before, after = digested(before), digested(after)
    assert names(changes(before, after)) == names(changes(after, before))


def test_a_definition_that_moved_is_no_change():
    moved = {"bench.nn.other.scan": "aa", "bench.nn.mixer": "cc"}
    assert changes(parts(), parts(code={"bench.nn.other.scan": "aa"})) == []
    assert changes(parts(), parts(code=moved)) == ["bench.nn.mixer (new)"]


def test_code_that_differs_in_nothing_that_has_a_name_is_called_code():
    assert changes(parts(), parts() | {"digest": "another"}) == ["code"]


def test_pythons_version_is_kept_and_is_no_part_of_the_fingerprint():
    assert fingerprint(parts()) == fingerprint(parts(python="3.14"))
    assert package_changes(parts(), parts(python="3.14")) == ["python 3.11 -> 3.14"]
    assert changes(parts(), parts(python="3.14")) == []


def test_the_parts_of_real_jobs_differ_in_their_seed_alone():
    jobs = [
        Job(SUITE, "train", "quick", parse_slug(CATALOGUE, "darkroom", "ad-mamba", "default"), seed)
        for seed in (0, 1)
    ]
    assert jobs[0].fingerprint != jobs[1].fingerprint
    assert changes(jobs[0].parts, jobs[1].parts) == []
