"""The same suite for the metadata cache here and through a studio: what it holds, questions, and other sources."""

import json
from types import SimpleNamespace

import psycopg
import pymysql
import pytest

from dteg.ai import client as ai
from dteg.cli.main import run_app
from dteg.core.errors import ConfigError, InputError, NotFoundError
from dteg.metadata.ask import Asker
from dteg.metadata.remote import RemoteAsker, RemoteMetadata
from dteg.metadata.service import Metadata
from dteg.sources.models import NewSource
from dteg.sources.service import Sources
from dteg.sources.urls import parse_url
from dteg.testing.openai_server import Said, model_server
from dteg.testing.servers import database

pytestmark = pytest.mark.integration
QUESTION = "How many orders of each status?"
BY_STATUS = "SELECT status, count(*) AS orders FROM orders GROUP BY status"


@pytest.fixture(params=["library", "studio"])
def both(request, shop, monkeypatch):
    """The caches and the asker of a project, worked with here and through its studio."""
    for name in ("DTEG_AI_MODEL", "DTEG_AI_URL", "DTEG_AI_PROTOCOL", "DTEG_AI_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ai, "_RETRIES", 0)
    if request.param == "library":
        asker = lambda source: Asker.of(shop.project, source)  # noqa: E731
        return SimpleNamespace(metadata=Metadata.of(shop.project), asker=asker, project=shop.project)
    client = request.getfixturevalue("studio").client
    asker = lambda source: RemoteAsker(client, source)  # noqa: E731
    return SimpleNamespace(metadata=RemoteMetadata(client), asker=asker, project=shop.project)


@pytest.fixture
def model(monkeypatch, both):
    for served in model_server():
        monkeypatch.setenv("DTEG_AI_MODEL", "small")
        monkeypatch.setenv("DTEG_AI_URL", served.url)
        yield served


def test_a_cache_from_beginning_to_end(both, tmp_path):
    metadata = both.metadata
    with pytest.raises(NotFoundError, match="dteg metadata collect"):
        metadata.manifest()
    report = metadata.collect()
    assert (report.cache_version, report.published, report.tables) == (1, True, 4)
    assert "pg_stat_statements" in report.query_log
    example = metadata.add_example(QUESTION, BY_STATUS)
    assert (example.status, example.row_count) == ("valid", 2)
    with pytest.raises(InputError, match="pg_sleep is not allowed"):
        metadata.add_example("How long?", "SELECT pg_sleep(9)")
    assert metadata.collect().examples == {"valid": 1, "stale": 0, "broken": 0}
    assert metadata.show("orders").table.foreign_keys[0].ref_table == "public.customers"
    assert [each.question for each in metadata.show("orders").examples] == [QUESTION]
    with pytest.raises(NotFoundError, match="orders"):
        metadata.show("orderz")
    assert [each.origin for each in metadata.examples()] == ["human"]
    assert [each.table.table_id for each in metadata.documents()] == [
        each.table_id for each in metadata.manifest().tables
    ]
    assert metadata.quality().quality.examples_valid_pct == 100.0
    assert metadata.check(BY_STATUS).row_count == 2
    assert (metadata.check(BY_STATUS, run=False).verified_by, metadata.check("DROP TABLE orders").status) == (
        "explain",
        "broken",
    )
    assert [each.cache_version for each in metadata.versions()] == [1]
    assert metadata.rollback(1).cache_version == 3
    with pytest.raises(NotFoundError, match="no version 9"):
        metadata.rollback(9)
    assert metadata.export(tmp_path / "out") == 4
    assert json.loads((tmp_path / "out/tables/public.orders.json").read_text())["schema"]["row_count"] == 300
    with pytest.raises(NotFoundError):
        metadata.manifest("elsewhere")
    assert metadata.collect(full=True).tables_read == 4


def test_a_question_and_suggestions(both, model):
    both.metadata.collect()
    model.answers = [Said({"sql": BY_STATUS, "explanation": "Counts orders."})]
    shown = both.asker("warehouse").ask(QUESTION)
    assert (shown.origin, shown.rows, shown.tables) == ("model", None, ["public.orders"])
    assert sorted(both.asker("warehouse").ask(QUESTION, run=True).rows) == [["open", "150"], ["paid", "150"]]
    assert both.asker("warehouse").check(shown.sql, run=True).row_count == 2
    model.answers = [
        Said(
            {
                "examples": [
                    {"question": QUESTION, "sql": BY_STATUS},
                    {"question": "Gone?", "sql": "DELETE FROM orders"},
                ]
            }
        ),
        Said({"sql": [BY_STATUS]}),
    ]
    report = both.metadata.suggest(tables=["orders"])
    assert (report.proposed, [each.question for each in report.added], len(report.refused)) == (
        2,
        [QUESTION],
        1,
    )
    assert both.metadata.collect().examples["valid"] == 1
    with pytest.raises(NotFoundError):
        both.metadata.suggest(tables=["orderz"])


def test_without_a_model_nothing_is_suggested(both):
    both.metadata.collect()
    with pytest.raises(ConfigError, match="DTEG_AI_MODEL"):
        both.metadata.suggest()


def test_a_linked_source_is_asked_by_its_name(both, model, postgres_server):
    with database(postgres_server) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE visits (id int PRIMARY KEY, page text)")
            connection.execute("INSERT INTO visits SELECT n, 'page' || n % 4 FROM generate_series(1, 90) n")
        Sources.of(both.project).add(NewSource(slug="web", kind="postgres", url=url))
        asks_and_stays_in_its_source(both, model, "web", "visits", "90")


def test_a_source_of_mariadb_is_asked_by_its_name(both, model, mariadb_url, monkeypatch):
    monkeypatch.setenv("DTEG_RELAY", "off")
    server = parse_url(mariadb_url, ("mysql", "mariadb"), "", 3306)
    access = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    with (
        pymysql.connect(database=server.database, autocommit=True, **access) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("CREATE TABLE visits (id int PRIMARY KEY, Page varchar(20))")
        cursor.execute("INSERT INTO visits SELECT seq, CONCAT('page', seq % 4) FROM seq_1_to_90")
    Sources.of(both.project).add(NewSource(slug="web", kind="mysql", url=mariadb_url))
    asks_and_stays_in_its_source(both, model, "web", "visits", "90")


def asks_and_stays_in_its_source(both, model, source, table, rows):
    """Collect a source, ask it with and without a model, and reach nothing of the warehouse."""
    report = both.metadata.collect(source)
    assert (report.source, report.tables) == (source, 1)
    both.metadata.add_example("How many visits?", f"SELECT count(*) AS n FROM {table}", source)
    both.metadata.collect(source)
    asker = both.asker(source)
    known = asker.ask("how many visits?", run=True)
    assert (known.origin, known.rows, known.attempts) == ("example", [[rows]], 0)
    model.answers = [
        Said({"sql": "SELECT count(*) FROM public.orders", "explanation": ""}),
        Said(
            {
                "sql": f"SELECT page, COUNT(*) AS n FROM {table} GROUP BY page ORDER BY page",
                "explanation": "Counts.",
            }
        ),
    ]
    answer = asker.ask("visits of each page", run=True)
    assert (answer.origin, answer.attempts, len(answer.rows)) == ("model", 2, 4)
    assert f"({answer.dialect})" in model.asked[0]
    assert answer.dialect == ("mysql" if Sources.of(both.project).get(source).kind == "mysql" else "postgres")
    assert "public.orders" not in model.asked[0]
    assert "orders" in model.asked[1].partition("Your last answer was refused")[2]
    assert asker.check(f"DELETE FROM {table}", run=True).status == "broken"


def test_the_commands_through_a_studio(shop, studio, capsys, monkeypatch):
    monkeypatch.delenv("DTEG_AI_MODEL", raising=False)
    monkeypatch.setenv("DTEG_STUDIO_TOKEN", studio.token)
    url = ["--url", studio.url]
    assert run_app(["metadata", "collect", *url]) == 0
    assert "published version 1, 4 tables" in capsys.readouterr().out
    assert run_app(["metadata", "add-example", QUESTION, BY_STATUS, *url]) == 0
    assert run_app(["metadata", "collect", *url]) == 0
    assert run_app(["metadata", "show", "orders", *url]) == 0
    assert f"-- {QUESTION}" in capsys.readouterr().out
    for option in ("--examples", "--quality", "--versions"):
        assert run_app(["metadata", "show", option, *url]) == 0
    capsys.readouterr()
    assert run_app(["metadata", "ask", QUESTION, "--run", *url]) == 0
    assert "paid 150" in " ".join(capsys.readouterr().out.split())
    assert run_app(["metadata", "rollback", "1", *url]) == 0
    assert run_app(["metadata", "suggest", *url]) == 2
    assert "DTEG_AI_MODEL" in capsys.readouterr().err
    assert run_app(["metadata", "show", "--to", "elsewhere", *url]) == 2
    assert "--to does not go with --url" in capsys.readouterr().err


def test_the_page_asks_another_source(shop, studio, postgres_server, monkeypatch):
    monkeypatch.delenv("DTEG_AI_MODEL", raising=False)
    with database(postgres_server) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE visits (id int PRIMARY KEY)")
            connection.execute("INSERT INTO visits SELECT generate_series(1, 77)")
        Sources.of(shop.project).add(NewSource(slug="web", kind="postgres", url=url))
        Sources.of(shop.project).add(NewSource(slug="never_collected", kind="postgres", url=url))
        shop.metadata.collect()
        with studio.browser() as browser:
            assert "<select" not in browser.get("/metadata").text
            shop.metadata.collect("web")
            shop.metadata.add_example("How many visits?", "SELECT count(*) AS n FROM visits", "web")
            shop.metadata.collect("web")
            page = browser.get("/metadata").text
            assert '<option value="web"' in page
            assert "never_collected" not in page
            form = {"csrf": studio.csrf_of(browser), "question": "how many visits?", "source": "web"}
            shown = browser.post("/metadata", data=form).text
            assert '<option value="web" selected' in shown
            assert "count(*)" in shown.lower()
            sql = "SELECT count(*) AS n FROM visits"
            ran = browser.post("/metadata/run", data={**form, "sql": sql, "origin": "model"}).text
            assert "<td>77</td>" in ran
            outside = browser.post("/metadata/run", data={**form, "sql": "SELECT * FROM public.orders"})
            assert (outside.status_code, "It was not run" in outside.text) == (422, True)
            kept = browser.post("/metadata/examples", data={**form, "question": "All visits?", "sql": sql})
            assert kept.status_code in (200, 303)
            assert "source: 'web'" in (shop.project.root / "metadata/examples.yaml").read_text()
            assert browser.get("/metadata?source=../../etc").status_code == 200
