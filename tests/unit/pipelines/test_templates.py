from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dteg.pipelines.templates import MAX_RENDERED_CHARACTERS, TemplateError, Variables, render

VARIABLES = Variables(
    params={
        "limit": 5,
        "name": "x",
        "values": "v",
        "ratio": 0.5,
        "on": True,
        "none": None,
        "items": "i",
        "rows": [1],
    },
    run_id="run-1",
    started_at=datetime(2026, 3, 1, 23, 30, tzinfo=UTC),
    env={"HOME_DIR": "/data", "SECRET": "s"},
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ ds }}", "2026-03-01"),
        ("{{ ts }}", "2026-03-01T23:30:00+00:00"),
        ("a/{{ run_id }}/{{ds}}.csv", "a/run-1/2026-03-01.csv"),
        ("{{ env.HOME_DIR }}/x", "/data/x"),
        ("{{ params.limit }}", 5),
        (" {{ params.ratio }} ", 0.5),
        ("{{ params.on }}", True),
        ("{{ params.none }}", None),
        ("n = {{ params.limit }}", "n = 5"),
        ("{{ params.limit + 1 }}", 6),
        ("{{ params['name'] ~ '-' ~ run_id }}", "x-run-1"),
        ("{{ 'big' if params.limit > 3 else 'small' }}", "big"),
        ("{{ params.name | upper }}", "X"),
        ("{{ env.NONE | default('none') }}", "none"),
        ("data/**/{{ ds }}/*.csv", "data/**/2026-03-01/*.csv"),
        ("{{ params.values }}", "v"),
        ("x{{ params.items }}", "xi"),
        ("no template { } %}", "no template { } %}"),
        (7, 7),
        ({"a": ["{{ ds }}", {"b": "{{ params.limit }}"}]}, {"a": ["2026-03-01", {"b": 5}]}),
    ],
)
def test_templates_are_rendered_and_keep_the_type_of_a_whole_value(template, expected):
    result = render(template, VARIABLES)
    assert result == expected
    assert type(result) is type(expected)


def test_keys_are_left_alone():
    assert render({"{{ ds }}": 1}, VARIABLES) == {"{{ ds }}": 1}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ params.nmae }}", 'nmae is not set; did you mean "name"? (params come from'),
        ("{{ parms.name }}", "there is no 'parms'; did you mean \"params\"? there are: "),
        ("{{ env.NONE }}/x", "NONE is not set"),
        ("{{ nothing }}", "there is no 'nothing'; there are: params, run_id, ds, ts, env"),
        ("{{ 1 + }}", "1 +"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ params.name + 1 }}", "str"),
        ("{% for x in 'abc' %}{{ x }}{% endfor %}", "only {{ name }} expressions"),
        ("{{ params.rows }}", "is not a text, a number or true/false"),
        ("{{ params }}", "is not a text, a number or true/false"),
    ],
)
def test_a_template_that_cannot_be_rendered_says_why(template, message):
    with pytest.raises(TemplateError) as caught:
        render(template, VARIABLES)
    assert message in str(caught.value)


ESCAPES = [
    "{{ ''.__class__ }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ params.__init__ }}", "{{ ''['__class__'] }}",
    "{{ params['__class__'] }}", "x{{ ds.__class__ }}", "{{ ''|attr('__class__') }}", "{{ self }}", "{{ self._TemplateReference__context }}",
    "{{ range(10) }}", "{{ lipsum() }}", "{{ cycler }}", "{{ namespace() }}", "{{ dict(a=1) }}", "{{ joiner }}", "{{ params.get('x') }}",
    "{{ params.update({'a': 1}) }}", "{{ ds.format(1) }}", "{{ '{0.__class__}'.format(ds) }}", "{{ env.get }}", "x{{ env.keys }}",
    "{{ url_for }}", "{{ request }}", "{{ ds.strftime('%s') }}", "{{ [].append(1) }}", "{{ ''|map('upper') }}", "{{ caller() }}",
]  # fmt: skip


@pytest.mark.parametrize("template", ESCAPES)
def test_nothing_leaves_the_sandbox(template):
    with pytest.raises(TemplateError):
        render(template, VARIABLES)


BOMBS = [
    "{{ 'a' * 1000000000 }}", "{{ 1000000000 * 'a' }}", "x{{ 'a' * 1000000000 }}", "{{ 9 ** 9 ** 9 ** 9 }}", "{{ 'a'|center(1000000000) }}",
    "{{ '%1000000000d' % 1 }}", "{{ '%1000000000d'|format(1) }}", "{{ 'a'.ljust(1000000000) }}", "{{ '{:>1000000000}'.format(1) }}",
    "{{ 'aaaa'|replace('a', 'aaaaaaaa') }}", "{{ [1] * 1000000000 }}", "{{ 'a'|indent(1000000000) }}", "{{ ('a','b')|join('x') }}",
    "{{ 'a'|wordwrap(1) }}", "{{ 'x'|batch(1000000000) }}",
]  # fmt: skip


@pytest.mark.parametrize("template", BOMBS)
def test_no_template_makes_more_than_it_is_given(template):
    with pytest.raises(TemplateError):
        render(template, VARIABLES)


def test_the_result_is_limited():
    long = Variables(params={"x": "a" * (MAX_RENDERED_CHARACTERS // 2 + 1)})
    with pytest.raises(TemplateError, match="renders to more than"):
        render("{{ params.x }}{{ params.x }}", long)


def test_a_value_is_never_rendered_again():
    assert render("{{ params.x }}", Variables(params={"x": "{{ env.SECRET }}"})) == "{{ env.SECRET }}"


@settings(derandomize=True, deadline=None)
@given(st.text(alphabet="{}%# abcds.|'()[]_*~+", max_size=40))
def test_any_text_renders_or_is_a_template_error(text):
    try:
        render("{{" + text + "}}", VARIABLES)
    except TemplateError:
        return
