import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dteg.quality.patterns import check_pattern

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "pattern",
    [
        "^[^@]+@[^@]+$",
        r"^\d{3}-\d{4}$",
        "(?i)^(ab|cd)?$",
        "(?:x|y)+?",
        "[[:alpha:]_]+",
        r"[]a\]]\.",
        "[(?=]",
        r"\(\?=",
        "a{2,}b{0,255}",
        "김.*",
        r"^\s*$",
    ],
)
def test_common_patterns_are_accepted(pattern):
    assert check_pattern(pattern) == pattern


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("", "empty"),
        ("a\x00", "NUL"),
        ("[a", "not a regular expression"),
        ("(a", "not a regular expression"),
        ("*a", "not a regular expression"),
        ("***:a", "not a regular expression"),
        ("a(?=b)", "not common"),
        ("a(?!b)", "not common"),
        ("(?<=a)b", "not common"),
        ("(?P<x>a)", "not common"),
        ("(?s)a", "not common"),
        ("(?>a)", "not common"),
        (r"(a)\1", "characters themselves"),
        (r"\bword", "word boundary"),
        (r"[\b]", "word boundary"),
        (r"a\Z", r"\$ for the end"),
        (r"\x41b", "characters themselves"),
        ("a++", "possessive"),
        ("a{2}+", "possessive"),
        ("a{1", "begins a repeat"),
        ("a{,3}", "write {0,3}"),
        ("a{256}", "255"),
        ("a" + "{99999999999}" * 2, "not a regular expression"),
    ],
)
def test_patterns_that_engines_read_differently_are_refused_with_a_hint(pattern, hint):
    with pytest.raises(ValueError, match=hint):
        check_pattern(pattern)


@given(st.text(alphabet=r"ab(?:)[]{}^$.*+|\d1,-=!<P>", max_size=12))
def test_any_text_is_accepted_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        check_pattern(text)
