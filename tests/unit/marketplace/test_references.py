import pytest

from dteg.core.errors import ConfigError, NotFoundError
from dteg.marketplace.references import choose, parse_reference


@pytest.mark.parametrize(
    ("text", "namespace", "name", "wanted", "exact"),
    [
        ("marketplace://kafka", "", "kafka", "", ""),
        ("marketplace://streaming/kafka@^1.2", "streaming", "kafka", "^1.2", ""),
        ("dteg://streaming/kafka_extractor", "streaming", "kafka-extractor", "", ""),
        ("streaming/kafka@1.2.0", "streaming", "kafka", "1.2.0", "1.2.0"),
        ("kafka@==1.2.0rc1", "", "kafka", "==1.2.0rc1", "1.2.0rc1"),
        (" Kafka@>=1,<2 ", "", "kafka", ">=1,<2", ""),
    ],
)
def test_all_forms_are_read(text, namespace, name, wanted, exact):
    found = parse_reference(text)
    assert (found.namespace, found.name, found.range.text, found.exact) == (namespace, name, wanted, exact)


@pytest.mark.parametrize(
    "text", ["", "@1", "kafka@", "a/b/c", "/kafka", "../kafka", "kafka?", "KAFKA/x y", "s-s/kafka", "k@what"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(ConfigError):
        parse_reference(text)


def test_a_name_stands_for_the_one_component_that_has_it():
    known = ["streaming/kafka-extractor", "streaming/kafka-loader", "other/mail-loader"]
    assert choose(parse_reference("mail"), known) == "other/mail-loader"
    assert choose(parse_reference("kafka-loader"), known) == "streaming/kafka-loader"
    with pytest.raises(ConfigError, match="any of: streaming/kafka-extractor, streaming/kafka-loader"):
        choose(parse_reference("kafka"), known)
    with pytest.raises(NotFoundError, match='did you mean "mail-loader"'):
        choose(parse_reference("mial-loader"), known)


def test_two_publishers_of_one_name_are_told_apart():
    known = ["one/kafka-extractor", "two/kafka-extractor"]
    with pytest.raises(ConfigError, match="one/kafka-extractor, two/kafka-extractor"):
        choose(parse_reference("kafka-extractor"), known)
    assert choose(parse_reference("two/kafka"), known) == "two/kafka-extractor"


def test_who_finds_nothing_near_learns_where_to_look():
    with pytest.raises(
        NotFoundError, match=r"^there is no component zzz; look for it with: dteg search zzz$"
    ):
        choose(parse_reference("zzz"), [])
    with pytest.raises(NotFoundError, match=r"zzz in dteg\.lock; there are: other/mail-loader$"):
        choose(parse_reference("zzz"), ["other/mail-loader"], "dteg.lock")
    with pytest.raises(NotFoundError, match=r"in dteg\.lock; there are: none$"):
        choose(parse_reference("zzz"), [], "dteg.lock")
