import pytest

from dteg.marketplace.update import changelog_between
from dteg.versions import parse_version

TEXT = """# Changelog

## [Unreleased]
- soon

## [1.2.0] - 2026-03-01
- third

### Details
- of third

## v1.1.0
- second

## 1.0.0
- first
"""


@pytest.mark.parametrize(
    ("start", "end", "there", "missing"),
    [
        ("1.0.0", "1.2.0", ["third", "of third", "second"], ["first", "soon"]),
        ("1.1.0", "1.2.0", ["third"], ["second", "first"]),
        ("1.0.0", "1.1.0", ["second"], ["third", "first"]),
        ("1.2.0", "1.2.0", [], ["third"]),
    ],
)
def test_only_what_lies_between_is_shown(start, end, there, missing):
    found = changelog_between(TEXT, parse_version(start), parse_version(end))
    assert [each for each in there if f"- {each}" not in found] == []
    assert [each for each in missing if f"- {each}" in found] == []


@pytest.mark.parametrize("text", ["", "no headings", "## news\n- x\n"])
def test_a_changelog_without_versions_shows_nothing(text):
    assert changelog_between(text, parse_version("1.0.0"), parse_version("2.0.0")) == ""
