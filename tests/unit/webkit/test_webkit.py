"""The page kit by itself: escaping, charts, Markdown, forms from schemas, static files."""

import asyncio
import gzip
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from jinja2 import UndefinedError

from dteg.webapp.forms import sentence
from dteg.webkit import (
    Assets,
    PageKit,
    Pager,
    Point,
    bar_chart,
    fields_of,
    histogram,
    line_chart,
    read_config,
    render_markdown,
    step_yaml,
)
from dteg.webkit.formats import compact, day, duration, minute, money, size, with_code

pytestmark = pytest.mark.unit
SCHEMA = {
    "properties": {
        "topic": {"type": "string", "description": "Which."},
        "mode": {"enum": ["fast", "safe"], "default": "safe"},
        "count": {
            "anyOf": [{"type": "integer", "minimum": 1, "maximum": 65536}, {"type": "null"}],
            "default": None,
        },
        "ratio": {"type": "number", "default": 0.5},
        "on": {"type": "boolean", "default": False},
        "names": {"type": "array", "items": {"type": "string"}, "default": []},
        "password": {"anyOf": [{"$ref": "#/$defs/Secret"}, {"type": "null"}], "default": None},
        "deep": {"$ref": "#/$defs/Deep"},
        "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    },
    "required": ["topic"],
    "$defs": {
        "Secret": {"type": "string", "format": "secret-reference"},
        "Deep": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}


def config_of(**form):
    return read_config(fields_of(SCHEMA), form)


def test_a_form_becomes_configuration_without_what_is_default_or_empty():
    config, problems = config_of(
        topic="orders", mode="safe", count="5", ratio="0.5", on="true", names="a\n\n b ", password="PW", deep="{a: 1}",
        either="x",
    )  # fmt: skip
    assert problems == {}
    assert config == {
        "topic": "orders", "count": 5, "on": True, "names": ["a", "b"], "password": "secret://env/PW", "deep": {"a": 1},
        "either": "x",
    }  # fmt: skip
    text = step_yaml("loader", "dteg://a/b", config)
    assert yaml.safe_load(text) == [{"load": {"type": "dteg://a/b", "config": config}}]


@pytest.mark.parametrize(
    ("form", "field", "said"),
    [
        ({}, "topic", "required"),
        ({"topic": "x", "count": "0"}, "count", "1 or more"),
        ({"topic": "x", "count": "70000"}, "count", "65536 or less"),
        ({"topic": "x", "count": "1.5"}, "count", "whole number"),
        ({"topic": "x", "ratio": "much"}, "ratio", "Write a number"),
        ({"topic": "x", "mode": "other"}, "mode", "Choose one"),
        ({"topic": "x", "on": "maybe"}, "on", "yes or no"),
        ({"topic": "x", "password": "my secret!"}, "password", "never the secret"),
        ({"topic": "x", "deep": "{a: &x [*x]}"}, "deep", ""),
        ({"topic": "x" * 20_000}, "topic", "at most"),
    ],
)
def test_a_wrong_setting_is_named(form, field, said):
    _, problems = config_of(**form)
    assert list(problems) == [field]
    assert said in problems[field]


def test_fields_tell_type_limits_and_choices():
    fields = {each.name: each for each in fields_of(SCHEMA)}
    assert fields_of(SCHEMA)[0].name == "topic"
    assert fields["count"].type_text == "integer, optional"
    assert fields["count"].limits == "at least 1, at most 65,536"
    assert fields["mode"].options == [("fast", "fast"), ("safe", "safe")]
    assert fields["password"].kind == "secret"
    assert fields["either"].type_text == "text or integer"
    assert fields["names"].default == ""
    for broken in (
        {},
        {"properties": 3},
        {"properties": {"a": 1}},
        {"properties": {"a": {"$ref": "#/x"}}, "$defs": []},
    ):
        assert all(each.kind == "yaml" for each in fields_of(broken))


@pytest.mark.parametrize(
    "text",
    [
        "<script>x</script>", "[a](javascript:x)", "![a](http://h/p.gif)", "<img src=x onerror=y>", "[a](data:text/html,x)",
        "[a](//h)", "[a](/logout)", "<a href='https://x' onclick='y'>b</a>",
    ],
)  # fmt: skip
def test_markdown_of_strangers_is_harmless(text):
    tags = "".join(re.findall("<[^>]*>", render_markdown(text)))
    assert not re.search(r"script|href|src|on\w+=", tags), tags


def test_markdown_keeps_what_is_good():
    html = render_markdown(
        "# Title\n\n## A & b\n\n[x](https://h/p) [y](#a--b) ~~s~~\n\n|a|b|\n|-|-|\n|1|2|\n\n```py\nx<1\n```",
        drop_title=True,
    )
    assert "Title" not in html
    assert '<h2 id="doc-a-b">A &amp; b</h2>' in html
    assert '<a href="https://h/p" rel="nofollow noopener noreferrer">x</a>' in html
    assert 'href="#doc-a--b"' in html
    assert 'role="region"' in html
    assert "x&lt;1" in html
    assert "<h2" in render_markdown("# Title")
    twice = render_markdown("# a\n\n# a")
    assert 'id="doc-a"' in twice
    assert 'id="doc-a-2"' in twice
    assert len(render_markdown("x" * 1_000_000)) < 201_000


def test_charts_are_xml_with_title_and_the_same_each_time():
    points = [Point("1 <Nov>", 0), Point("2", 7), Point("3", 1234)]
    for chart in (bar_chart, line_chart):
        made = chart(points, title="Downloads & more", description="All.")
        assert made == chart(points, title="Downloads & more", description="All.")
        root = ET.fromstring(made)
        assert root.attrib["role"] == "img"
        assert [each.text for each in root[:2]] == ["Downloads & more", "All."]
        assert "style" not in made
    assert len(ET.fromstring(histogram(points, title="t"))) == 2 + 4 * 3
    for empty in (bar_chart([], title="t", description="d"), line_chart([], title="t", description="d")):
        ET.fromstring(empty)
    bars = ET.fromstring(bar_chart(points, title="t", description="d")).findall("rect[@class='chart-bar']")
    assert [float(each.attrib["height"]) for each in bars] == pytest.approx(
        [0, 134 * 7 / 2000, 134 * 1234 / 2000], abs=0.01
    )


def test_templates_escape_and_refuse_what_is_not_there(tmp_path):
    (tmp_path / "a.html").write_text("{{ text }} {{ asset('webkit.css') }}")
    (tmp_path / "b.html").write_text("{{ missing }}")
    kit = PageKit([tmp_path])
    assert kit.render("a.html", text="<b>&'\"").startswith("&lt;b&gt;&amp;&#39;&#34; /static/webkit.")
    with pytest.raises(UndefinedError):
        kit.render("b.html")


def ask(assets, path, **headers):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": path,
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    asyncio.run(assets(scope, None, send))
    return (
        sent[0]["status"],
        {name.decode(): value.decode() for name, value in sent[0]["headers"]},
        sent[1]["body"],
    )


def test_assets_are_named_by_content_compressed_and_kept_for_ever(tmp_path):
    (tmp_path / "own.css").write_text('a { background: url("favicon.svg"); }' * 40)
    assets = Assets([tmp_path])
    name = assets.url("own.css")
    assert re.fullmatch(r"/static/own\.[0-9a-f]{12}\.css", name)
    status, headers, body = ask(assets, name)
    assert (status, headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    assert assets.url("favicon.svg").rpartition("/")[2].encode() in body
    packed = ask(assets, name, accept_encoding="gzip, br")
    assert packed[1]["content-encoding"] == "gzip"
    assert gzip.decompress(packed[2]) == body
    assert ask(assets, name, if_none_match=headers["etag"])[0] == 304
    for path in ("/static/own.css", "/static/../secret", "/static/"):
        assert ask(assets, path)[0] == 404
    (tmp_path / "own.css").write_text("a {}")
    assert Assets([tmp_path]).url("own.css") != name


def test_modules_import_each_other_by_their_hashed_names(tmp_path):
    (tmp_path / "a.js").write_text('import { one } from "./z.js";\n')
    (tmp_path / "z.js").write_text("export const one = 1;\n")
    assets = Assets([tmp_path])
    before = assets.url("a.js")
    assert assets.url("z.js").rpartition("/")[2].encode() in ask(assets, before)[2]
    # What an imported module holds is part of the importing one's name: nobody keeps a mixture of two versions.
    (tmp_path / "z.js").write_text("export const one = 2;\n")
    assert Assets([tmp_path]).url("a.js") != before
    (tmp_path / "z.js").write_text('import "./y.js";\nexport { x } from "./a.js";\n')
    with pytest.raises(ValueError, match=r"in a ring: a\.js -> z\.js -> a\.js"):
        Assets([tmp_path])


def test_the_style_sheets_need_nothing_that_the_policy_forbids():
    static = Path(__file__).parents[3] / "dteg" / "webkit" / "static"
    for path in static.glob("*.css"):
        assert "@import" not in path.read_text(), path
        assert not re.search(r'url\("?(https?:)?//', path.read_text()), path
    licences = {path.stem.rpartition("-")[0] for path in (static.parent / "licences").iterdir()}
    assert licences == {
        "pico",
        "htmx",
        "inter",
        "jetbrains-mono",
        "vega",
        "vega-lite",
        "vega-interpreter",
        "vega-parts",
    }


def test_a_pager_keeps_the_query_and_shows_gaps():
    pager = Pager("/search", (("q", "a b"),), total=1000, limit=20, offset=400)
    assert pager.near() == [1, 0, 20, 21, 22, 0, 50]
    assert pager.url(1) == "/search?q=a+b"
    assert pager.url(2) == "/search?q=a+b&offset=20"


def test_formats():
    assert [compact(each) for each in (0, 950, 1234, 34_000, 5_600_000)] == [
        "0",
        "950",
        "1.2k",
        "34k",
        "5.6M",
    ]
    assert [size(each) for each in (20, 12_300)] == ["20 B", "12.3 kB"]
    assert [duration(each) for each in (0.44, 12.2, 200)] == ["0.4 s", "12 s", "3 min 20 s"]
    assert ">3 Nov 2026</time>" in day("2026-11-03T04:05:06+00:00")
    assert with_code("a `<b>` c") == "a <code>&lt;b&gt;</code> c"


def test_money_has_the_digits_of_its_currency():
    assert [money(*given) for given in ((123_456, "EUR"), (5, "USD"), (1_250, "JPY"), (1_250, "KWD"), (-99, "EUR"))] == [
        "1,234.56 EUR", "0.05 USD", "1,250 JPY", "1.250 KWD", "\u22120.99 EUR",
    ]  # fmt: skip
    assert money(10**15 + 1, "EUR") == "10,000,000,000,000.01 EUR"


def test_a_minute_is_told_in_utc():
    moment = datetime(2026, 11, 3, 18, 5, tzinfo=timezone(timedelta(hours=2)))
    assert ">3 Nov 2026, 16:05</time>" in minute(moment)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("there is no such thing", "There is no such thing"),
        ("orders.csv:3: not utf-8", "orders.csv:3: not utf-8"),
        ("raw.orders has no column 'x'", "raw.orders has no column 'x'"),
    ],
)
def test_a_message_keeps_the_name_that_it_begins_with(told, shown):
    assert sentence(told) == shown
