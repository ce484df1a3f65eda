"""Versions and ranges as people write them; the order is that of PEP 440 and of semver alike."""

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st

from dteg.core.errors import ConfigError
from dteg.versions import Version, best, parse_range, parse_version, sort_key

NUMBERS = st.integers(0, 999_999_999)
VERSIONS = st.builds(
    lambda numbers, rc: ".".join(map(str, numbers)) + (f"rc{rc}" if rc else ""),
    st.tuples(NUMBERS, NUMBERS, NUMBERS) | st.tuples(*[st.integers(0, 3)] * 3),
    st.integers(0, 3),
)


@pytest.mark.parametrize("text", ["0.0.0", "1.2.3", "10.20.30rc4", "999999999.0.0"])
def test_versions_are_read(text):
    assert str(parse_version(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-rc1", "1.2.3-rc.1", "1.2.3rc0", "1.2.3a1", "1.2.3.dev1", "1.2.3+x", "v1.2.3",
     "1!1.2.3", " 1.2.3", "1.2.3\n", "1.2.x", "\u0661.\u0662.\u0663", "1000000000.0.0", "latest"],
)  # fmt: skip
def test_other_versions_are_refused(text):
    with pytest.raises(ConfigError, match=r"write X\.Y\.Z"):
        parse_version(text)


# What is written, and the versions it accepts and refuses.
RANGES = {
    "": ("0.0.1 1.2.3 99.0.0", ""),
    "*": ("0.0.1 1.2.3", ""),
    "x": ("0.0.1", ""),
    "1.2.0": ("1.2.0", "1.2.1 1.1.9"),
    "=1.2.0": ("1.2.0", "1.2.1"),
    "==1.2.0": ("1.2.0", "1.2.1"),
    "1": ("1.0.0 1.9.9", "0.9.9 2.0.0"),
    "1.2": ("1.2.0 1.2.9", "1.1.9 1.3.0"),
    "1.x": ("1.0.0 1.9.0", "2.0.0"),
    "1.2.x": ("1.2.0 1.2.9", "1.3.0"),
    "1.2.*": ("1.2.0 1.2.9", "1.3.0"),
    "1.2.X": ("1.2.4", "1.3.0"),
    "1.x.x": ("1.7.0", "2.0.0"),
    "!=1.3.x": ("1.2.9 1.4.0", "1.3.0 1.3.7"),
    "^1.2.3": ("1.2.3 1.9.0", "1.2.2 2.0.0"),
    "^1.2": ("1.2.0 1.9.0", "1.1.9 2.0.0"),
    "^1": ("1.0.0 1.9.0", "0.9.0 2.0.0"),
    "^0.2.3": ("0.2.3 0.2.9", "0.2.2 0.3.0 1.0.0"),
    "^0.2": ("0.2.0 0.2.9", "0.1.9 0.3.0"),
    "^0.0.3": ("0.0.3", "0.0.2 0.0.4 0.1.0"),
    "^0.0": ("0.0.0 0.0.9", "0.1.0"),
    "^0": ("0.0.0 0.9.9", "1.0.0"),
    "^0.x": ("0.9.9", "1.0.0"),
    "~1.2.3": ("1.2.3 1.2.9", "1.2.2 1.3.0"),
    "~1.2": ("1.2.0 1.2.9", "1.1.9 1.3.0"),
    "~1": ("1.0.0 1.9.9", "2.0.0"),
    "~0.0.1": ("0.0.1 0.0.9", "0.1.0"),
    "~=1.4": ("1.4.0 1.9.0", "1.3.9 2.0.0"),
    "~=1.4.2": ("1.4.2 1.4.9", "1.4.1 1.5.0"),
    ">=1,<2": ("1.0.0 1.9.9", "0.9.9 2.0.0"),
    ">= 1 , < 2": ("1.0.0", "2.0.0"),
    ">=1 <2": ("1.0.0", "2.0.0"),
    ">1.2": ("1.2.1 1.3.0", "1.2.0"),
    "<=1.2": ("1.2.0 1.1.0", "1.2.1"),
    "^1.2,!=1.4.1": ("1.4.0 1.4.2", "1.4.1"),
}


@pytest.mark.parametrize(("text", "accepted", "refused"), [(key, *value) for key, value in RANGES.items()])
def test_ranges(text, accepted, refused):
    wanted = parse_range(text)
    assert [each for each in accepted.split() if not wanted.contains(parse_version(each))] == []
    assert [each for each in refused.split() if wanted.contains(each)] == []


@pytest.mark.parametrize(
    "text",
    ["a", "1.2.3.4", "1.2.3.x", "1.x.x.x", ">1.x", "<x", "!=x", "~=1", ">=", "^", ",", "1,", "1,,2", "||", "1 || 2", "1-2", "latest",
     "1.2.0-rc1", "^1.2rc1x", "1.2.xrc1", "=>1", ">=1;x", "1" * 300, "^" * 300],
)  # fmt: skip
def test_what_is_no_range(text):
    with pytest.raises(ConfigError, match="not a range of versions"):
        parse_range(text)


def test_release_candidates_are_for_those_who_ask():
    assert not parse_range("^1.2").contains("1.3.0rc1")
    assert parse_range("^1.2").contains("1.3.0rc1", prereleases=True)
    assert parse_range("^1.2.0rc1").contains("1.2.0rc2")
    assert not parse_range("<2").contains("2.0.0rc1", prereleases=True)
    assert not parse_range("^1.2").contains("2.0.0rc1", prereleases=True)


def test_best_is_the_highest_that_fits():
    known = [Version(each) for each in ("1.2.0", "1.10.0", "1.9.0", "2.0.0", "1.11.0rc1")]
    assert str(best(known, parse_range("^1.2"))) == "1.10.0"
    assert str(best(known, parse_range("^1.2"), prereleases=True)) == "1.11.0rc1"
    assert best(known, parse_range("3.x")) is None
    assert best([], parse_range("")) is None


def test_a_range_shows_as_it_was_written():
    assert [str(parse_range(each)) for each in ("^1.2", " 1.x ", "")] == ["^1.2", "1.x", "any version"]


@given(VERSIONS, VERSIONS)
def test_sort_keys_sort_as_versions_do_for_pip_and_for_semver(one, two):
    by_semver = [semver.Version.parse(each.replace("rc", "-rc.")) for each in (one, two)]
    by_pip = [parse_version(each) for each in (one, two)]
    assert (sort_key(one) < sort_key(two)) == (by_pip[0] < by_pip[1]) == (by_semver[0] < by_semver[1])
    assert (sort_key(one) == sort_key(two)) == (one == two)


@given(VERSIONS)
def test_every_version_is_in_its_own_ranges(text):
    for written in (text, f"^{text}", f"~{text}", f">={text}", f"<={text}"):
        assert parse_range(written).contains(text, prereleases=True), written
    for written in (f">{text}", f"<{text}", f"!={text}"):
        assert not parse_range(written).contains(text, prereleases=True), written
