from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from dteg.core import yaml
from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError


class Red(ConfigModel):
    type: Literal["red"]
    depth: int


class Blue(ConfigModel):
    type: Literal["blue"]
    width: int | list[int]


class Inner(ConfigModel):
    retries: int = 0
    colours: list[Annotated[Red | Blue, Field(discriminator="type")]] = Field([])


class Model(ConfigModel):
    name: str
    inner: Inner = Inner()
    by_name: dict[str, Inner] = Field({})


def problems(text, model=Model):
    with pytest.raises(ConfigError) as caught:
        yaml.validate(yaml.parse(text, "p.yaml"), model)
    return [str(problem) for problem in caught.value.problems]


def refused(text):
    with pytest.raises(ConfigError) as caught:
        yaml.parse(text, "p.yaml")
    return str(caught.value)


def test_words_are_those_of_yaml_1_2():
    text = "on: no\nyes: [off, y, n, true, False, null, ~, '', 'true', 012, 0x1, 1_000, 12:30, 1e3, .5, 2026-01-01, '5']"
    assert yaml.parse(text).value == {
        "on": "no",
        "yes": ["off", "y", "n", True, False, None, None, "", "true", 12, "0x1", "1_000", "12:30", 1000.0, 0.5, "2026-01-01", "5"],
    }  # fmt: skip


def test_every_value_has_its_line():
    document = yaml.parse("a:\n  - 1\n  - b: 2\n\nc: |\n  x\n  y\n")
    assert document.lines == {(): 1, ("a",): 1, ("a", 0): 2, ("a", 1): 3, ("a", 1, "b"): 3, ("c",): 5}


def test_a_problem_has_file_line_and_path():
    assert problems("name: x\ninner:\n  retries: many\n") == [
        "p.yaml:3: inner.retries: must be a whole number"
    ]


def test_all_problems_are_told_at_once():
    assert len(problems("nam: x\ninner: {retries: a, colors: []}\n")) == 4


def test_an_unknown_key_gets_the_near_miss_of_its_own_level():
    assert "p.yaml:3: inner.retris: unknown key 'retris'; did you mean \"retries\"?" in problems(
        "name: x\ninner:\n  retris: 1\n"
    )
    assert problems("name: x\nby_name:\n  a: {colors: []}\n") == [
        "p.yaml:3: by_name.a.colors: unknown key 'colors'; did you mean \"colours\"?"
    ]
    assert problems("name: x\nzzzz: 1") == [
        "p.yaml:2: zzzz: unknown key 'zzzz'; there are: by_name, inner, name"
    ]


def test_a_path_through_a_union_has_only_the_keys_of_the_file_and_the_exact_line():
    text = "name: x\ninner:\n  colours:\n    - type: red\n      depth: x\n    - type: blue\n      width: {a: 1}\n      wid: 1\n"
    found = problems(text)
    assert "p.yaml:5: inner.colours[0].depth: must be a whole number" in found
    assert "p.yaml:7: inner.colours[1].width: must be a whole number or a list" in found
    assert "p.yaml:8: inner.colours[1].wid: unknown key 'wid'; did you mean \"width\"?" in found


def test_a_missing_key_is_named_at_the_line_of_its_mapping():
    assert problems("inner: {}") == ["p.yaml:1: name: this key is required"]
    assert "p.yaml:4: inner.colours[0].depth: this key is required" in problems(
        "name: x\ninner:\n  colours:\n    - type: red\n"
    )


def test_an_unknown_type_names_the_known_ones():
    assert problems("name: x\ninner:\n  colours:\n    - type: blu\n    - depth: 1\n") == [
        "p.yaml:4: inner.colours[0]: there is no 'blu'; there are: 'red', 'blue'; did you mean \"blue\"?",
        "p.yaml:5: inner.colours[1]: the key type is required",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [("", "nothing"), ("- 1", "a list"), ("x", "a text"), ("5", "a number"), ("true", "true or false")],
)
def test_a_file_that_is_no_mapping_says_what_it_is(text, found):
    assert problems(text) == [
        f"p.yaml:1: expected a mapping, found {found}"
        if text
        else "p.yaml: expected a mapping, found nothing"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "p.yaml:3: the key 'a' stands twice (first in line 1)"),
        ("a: &x 1\nb: 2", "p.yaml:1: anchors and aliases"),
        ("a: *x", "p.yaml:1: anchors and aliases"),
        ("a: {<<: {b: 1}}", "p.yaml:1: merge keys"),
        ("x: 1\na: !!python/object/apply:os.system ['id']", "p.yaml:2: the tag tag:yaml.org,2002:python/object/apply:os.system is not allowed"),
        ("a: !custom b", "p.yaml:1: the tag !custom is not allowed"),
        ("a: 1\n---\nb: 2", "p.yaml:2: more than one YAML document"),
        ("a:\n\t- 1", "p.yaml:2: not valid YAML: a tab where YAML wants spaces"),
        ("a: [1, 2", "p.yaml:1: not valid YAML: "),
        ("a: 1\nb: \x07", "p.yaml:2: not valid YAML: "),
        ("a: 1\nb: \x00", "p.yaml:2: the file contains a NUL character"),
        ("? {a: 1}\n: 2", "p.yaml:1: a key must be a plain text"),
        ("a: {{ params.x }}", "p.yaml:1: a key must be a plain text; a value with {{ }} stands in quotes"),
        ("a\n  b: 1", "p.yaml:2: not valid YAML: mapping values are not allowed in this context; is a colon missing in the line above"),
        (f"a: {'9' * 41}", "p.yaml:1: the number has more than 40 digits"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_with_its_line(text, message):
    assert message in refused(text)


def test_core_tags_are_allowed():
    assert yaml.parse("a: !!str x\nb: !!seq [1]").value == {"a": "x", "b": [1]}


@pytest.mark.parametrize(
    "text",
    ["[" * 50_000, "{a: " * 50_000, "a:\n" + "".join(" " * n + "- \n" for n in range(1, 100)), "- " * 50_000],
)
def test_depth_is_limited_without_a_recursion_error(text):
    message = refused(text)
    assert "nested deeper than 20 levels" in message or "not valid YAML" in message
    assert len(message) < 1000


def test_twenty_levels_are_fine_and_one_more_is_not():
    assert yaml.parse("[" * 20 + "]" * 20).value is not None
    assert "nested deeper" in refused("[" * 22 + "]" * 22)


def test_size_is_limited():
    assert "larger than 1000000 bytes" in refused("a" * 1_000_001)


def test_a_file_is_read_with_byte_order_mark_and_refused_in_other_encodings(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: \xea\xb9\x80\n")
    assert yaml.load_model(path, Model).name == "김"
    path.write_bytes(b"name: x\nb: \xff\n")
    with pytest.raises(ConfigError, match=r"short\.yaml:2: the file is not UTF-8"):
        yaml.read(path, "short.yaml")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        yaml.read(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        yaml.read(tmp_path)


def test_the_input_is_not_repeated_in_a_message():
    assert "hunter2" not in str(problems("name: x\ninner: {retries: hunter2}"))


@settings(derandomize=True, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_a_document_or_a_config_error(text):
    try:
        document = yaml.parse(text, "p.yaml")
    except ConfigError as error:
        places = {problem.file for problem in error.problems}
        if places != {"p.yaml"}:
            raise
        return
    assert document.file == "p.yaml"
