"""Questions in words: what a model writes is proved, repaired, shown, and replaced when it is of no use."""

import json

import pytest

from dteg.ai import client as ai
from dteg.cli.main import run_app
from dteg.core.errors import InputError, NotFoundError
from dteg.core.project import Project
from dteg.metadata.ask import Asker
from dteg.testing.openai_server import Said
from tests.integration.metadata_ask.conftest import EXAMPLES

QUESTION = "What is the net of orders from Seoul?"
GOOD = {
    "sql": "SELECT sum(o.net) AS net FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id WHERE c.city = 'Seoul'",
    "explanation": "Adds the net value\nof the orders of customers in Seoul.",
}
WRONG = {"sql": "SELECT sum(price) FROM shop.orders", "explanation": "Adds prices."}
EMPTY = {"sql": "", "explanation": "There is no weather in the tables."}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(ai, "_RETRIES", 0)


@pytest.mark.parametrize("protocol", ["chat", "responses"])
def test_a_question_is_answered_and_run_only_when_asked_for(server, asker, monkeypatch, protocol):
    monkeypatch.setenv("DTEG_AI_PROTOCOL", protocol)
    server.answers = [Said(GOOD)]
    shown = asker.ask(QUESTION)
    assert (shown.origin, shown.rows, shown.why, shown.attempts) == ("model", None, "", 1)
    assert shown.tables == ["shop.customers", "shop.orders"]
    assert shown.explanation == "Adds the net value of the orders of customers in Seoul."
    assert (shown.verdict.status, shown.verdict.verified_by) == ("valid", "explain")
    ran = asker.ask(QUESTION, run=True)
    assert (ran.columns, ran.rows) == (["net"], [["10000.00"]])
    assert asker.check(shown.sql, run=True).rows == ran.rows


def test_the_model_is_told_the_tables_and_what_was_proved(server, asker):
    server.answers = [Said(GOOD)]
    asker.ask(QUESTION)
    (told,) = server.asked
    assert "shop.orders" in told
    assert "Value without tax, in euros" in told
    assert EXAMPLES[1][0] in told
    assert QUESTION in told
    assert "vault" not in told.replace("SELECT secret FROM vault.secrets", "").replace("tables of vault", "")


def test_a_refused_statement_goes_back_with_the_reason(server, asker):
    server.answers = [Said(WRONG), Said(GOOD)]
    answer = asker.ask(QUESTION, run=True)
    assert (answer.origin, answer.attempts, answer.rows) == ("model", 2, [["10000.00"]])
    assert "price" in server.asked[1].partition("Your last answer was refused")[2]


def test_what_fails_when_it_runs_goes_back_too(server, asker):
    server.answers = [
        Said({"sql": "SELECT 1 / (net - net) AS x FROM shop.orders", "explanation": ""}),
        Said(GOOD),
    ]
    answer = asker.ask(QUESTION, run=True)
    assert (answer.attempts, answer.rows) == (2, [["10000.00"]])
    assert "division by zero" in server.asked[1]


def test_after_two_repairs_the_nearest_example_is_the_answer(server, asker):
    server.answers = [Said(WRONG)]
    answer = asker.ask(QUESTION, run=True)
    assert len(server.requests) == 3
    assert (answer.origin, answer.rows, answer.attempts) == ("example", None, 3)
    assert "no SQL that passes the gate" in answer.why
    assert "price" in answer.why
    assert answer.verdict.status == "valid"
    assert EXAMPLES[0][0] in answer.explanation or EXAMPLES[1][0] in answer.explanation


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (Said(failure="refusal"), "refusal"),
        (Said(failure="invalid"), "invalid"),
        (Said({"sql": "SELECT 1"}), "invalid"),
        (Said("no JSON"), "invalid"),
        (Said(failure="cut_off"), "cut_off"),
        (Said(failure="rate_limited"), "rate_limited"),
        (Said(failure="broken"), "unavailable"),
    ],
    ids=["refusal", "unfinished", "a_key_is_missing", "no_json", "cut_off", "rate_limited", "broken"],
)
def test_a_model_that_fails_leaves_the_nearest_example_and_the_reason(server, asker, said, kind):
    server.answers = [said]
    answer = asker.ask("net for a city", run=True)
    assert (answer.origin, answer.rows) == ("example", None)
    assert f"({kind})" in answer.why
    assert "city" in answer.sql


def test_a_model_that_is_not_there(server, asker, monkeypatch):
    monkeypatch.setenv("DTEG_AI_URL", "http://127.0.0.1:9/v1")
    assert "(unavailable)" in asker.ask(QUESTION).why


@pytest.mark.parametrize(
    ("name", "value"), [("DTEG_AI_KEY", "secret://env/NOT_THERE"), ("DTEG_AI_PROTOCOL", "telepathy")]
)
def test_a_model_that_is_set_up_wrongly_is_told_too(server, asker, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    answer = asker.ask("net for a city")
    assert answer.origin == "example"
    assert value.rpartition("/")[2] in answer.why


def test_a_model_may_say_that_the_tables_have_no_answer(server, asker):
    server.answers = [Said(EMPTY)]
    answer = asker.ask("what is the weather")
    assert (answer.origin, answer.sql, answer.verdict) == ("none", "", None)
    assert "There is no weather in the tables" in answer.why


def test_without_a_model_the_nearest_example_is_listed(no_model, asker):
    answer = asker.ask("net by city please")
    assert (answer.origin, answer.rows) == ("example", None)
    assert "DTEG_AI_MODEL" in answer.why
    assert answer.examples[0].question == "Net per city"
    assert asker.ask("weather").origin == "none"


def test_a_question_that_was_proved_needs_no_model(server, asker):
    answer = asker.ask("  how many ORDERS are there?", run=True)
    assert (answer.origin, answer.why, answer.rows) == ("example", "", [["200"]])
    assert server.requests == []


def test_rows_are_limited(server, asker):
    server.answers = [Said({"sql": "SELECT id FROM shop.orders ORDER BY id", "explanation": ""})]
    answer = asker.ask("ids", run=True)
    assert len(answer.rows) == 100
    assert answer.verdict.truncated


@pytest.mark.parametrize("question", ["", "  \n", "x" * 2_001])
def test_no_question_is_refused(asker, question):
    with pytest.raises(InputError):
        asker.ask(question)


def test_before_anything_was_collected(tmp_path, warehouse):
    with pytest.raises(NotFoundError, match="dteg metadata collect"):
        Asker.of(Project(tmp_path)).ask("anything")


def test_the_command_shows_the_sql_before_it_runs(server, warehouse, capsys):
    server.answers = [Said(GOOD)]
    assert run_app(["metadata", "ask", QUESTION]) == 0
    shown = capsys.readouterr().out
    assert "Reads shop.customers, shop.orders" in shown
    assert "10000" not in shown
    assert run_app(["metadata", "ask", QUESTION, "--run"]) == 0
    ran = capsys.readouterr()
    assert ran.out.startswith(shown)
    assert "10000.00" in ran.out
    assert "1 rows in" in ran.err
    assert run_app(["metadata", "ask", QUESTION, "--run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == [["10000.00"]]


def test_the_command_without_an_answer(no_model, warehouse, capsys):
    assert run_app(["metadata", "ask", "net by city", "--run"]) == 0
    told = capsys.readouterr()
    assert "DTEG_AI_MODEL" in told.err
    assert "answers another question" in told.out
    assert "Busan" not in told.out  # it is not run
    assert run_app(["metadata", "ask", "weather"]) == 1
    assert "no example" in capsys.readouterr().err


def test_what_a_terminal_would_act_on_is_not_printed(server, warehouse, capsys):
    server.answers = [Said({"sql": "SELECT chr(27) || '[2J' AS x", "explanation": "see \x1b[31m"})]
    assert run_app(["metadata", "ask", "screen", "--run"]) == 0
    assert "\x1b" not in capsys.readouterr().out
