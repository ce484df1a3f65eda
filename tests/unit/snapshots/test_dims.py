import pytest

from dteg.core.errors import ConfigError
from dteg.snapshots.dims import by_texts, by_words, parse_by


@pytest.mark.parametrize("by", [{}, {"country": "KZ"}, {"a": "x=y", "b": ""}, {"country": None}])
def test_what_is_written_is_read(by):
    assert parse_by(by_texts(by)) == by


@pytest.mark.parametrize("texts", [["=KZ"], ["a=1", "a=2"], [""]])
def test_what_names_no_value_is_refused(texts):
    with pytest.raises(ConfigError):
        parse_by(texts)


def test_words():
    assert by_words({}) == "all rows"
    assert (
        by_words({"country": "KZ", "city": None, "street": ""}) == "country KZ, city (none), street (empty)"
    )
