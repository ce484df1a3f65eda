"""Examples by a model: what it proposes is proved twice, marked as its own, and never served unproved."""

import json

import pytest

from dteg.cli.main import run_app
from dteg.core.errors import ConfigError, NotFoundError
from dteg.testing.openai_server import Said

pytestmark = pytest.mark.integration
PAID = {
    "question": "What was paid in all?",
    "sql": "SELECT sum(amount) AS paid FROM orders WHERE status = 'paid'",
}
BY_STATUS = {
    "question": "Orders of each status",
    "sql": "SELECT status, count(*) FROM orders GROUP BY status",
}
BAD = {
    "write": {"question": "Clean up?", "sql": "DELETE FROM orders"},
    "sleep": {"question": "How long?", "sql": "SELECT pg_sleep(60)"},
    "no column": {"question": "What is the price?", "sql": "SELECT sum(price) FROM orders"},
    "empty": {"question": "What was lost?", "sql": "SELECT id FROM orders WHERE status = 'lost'"},
    "many rows": {"question": "All orders?", "sql": "SELECT id FROM orders"},
    "a person": {"question": "Who is someone7@example.com?", "sql": "SELECT count(*) FROM orders"},
    "a person in SQL": {
        "question": "Orders of one?",
        "sql": "SELECT count(*) FROM customers WHERE country = 'a@b.de'",
    },
    "a column about people": {
        "question": "Any Alan?",
        "sql": "SELECT count(*) FROM customers WHERE email LIKE 'some%'",
    },
    "no question": {"question": " ", "sql": "SELECT min(amount) FROM orders"},
}


def proposals(*examples):
    return Said({"examples": list(examples)})


def again(*sql):
    return Said({"sql": list(sql)})


def test_what_is_right_twice_is_added_and_served_as_the_models(collected, model):
    model.answers = [
        proposals(PAID, BY_STATUS),
        again(
            "SELECT sum(o.amount) FROM orders o WHERE o.status = 'paid'",
            "SELECT count(*) AS n, status FROM orders GROUP BY 2",
        ),
    ]
    report = collected.metadata.suggest(tables=["orders"])
    assert (report.model, report.tables, report.proposed, report.refused, report.failures) == (
        "small",
        1,
        2,
        [],
        [],
    )
    assert [each.origin for each in report.added] == ["llm", "llm"]
    assert (collected.project.root / "metadata/examples.yaml").read_text().count("origin: llm") == 2
    assert collected.metadata.collect().examples == {"valid": 4, "stale": 0, "broken": 0}
    served = {
        each.question: each for document in collected.metadata.documents() for each in document.examples
    }
    assert (served[PAID["question"]].origin, served[PAID["question"]].verified_by) == ("llm", "run")


def test_what_is_not_proved_is_refused_counted_and_not_kept(collected, model):
    before = (collected.project.root / "metadata/examples.yaml").read_text()
    model.answers = [proposals(*BAD.values())]
    report = collected.metadata.suggest(tables=["orders"], per_table=10)
    assert (report.proposed, len(report.refused), report.added) == (len(BAD), len(BAD), [])
    said = {each.question: each.why for each in report.refused}
    assert "DELETE" in said["Clean up?"]
    assert "pg_sleep is not allowed" in said["How long?"]
    assert "price" in said["What is the price?"]
    assert said["What was lost?"] == "the result is empty"
    assert "more than 100 rows" in said["All orders?"]
    assert "names somebody (email)" in said["Orders of one?"]
    assert "column about people" in said["Any Alan?"]
    assert (collected.project.root / "metadata/examples.yaml").read_text() == before
    assert len(model.requests) == 1
    assert collected.run("SELECT count(*) FROM orders") == [(300,)]


def test_a_second_sql_that_gives_another_result_refuses_the_first(collected, model):
    model.answers = [
        proposals(PAID, BY_STATUS),
        again("SELECT sum(amount) FROM orders WHERE status = 'open'"),
    ]
    report = collected.metadata.suggest(tables=["orders"])
    assert report.added == []
    assert {each.why for each in report.refused} == {
        "a second SQL for the same question does not give the same"
    }


def test_an_example_of_a_known_form_is_not_added_again(collected, model):
    known = {
        "question": "How many are open?",
        "sql": "SELECT count(*) AS paid FROM orders WHERE status = 'open'",
    }
    model.answers = [proposals(known)]
    (refused,) = collected.metadata.suggest(tables=["orders"]).refused
    assert refused.why == "there is an example of the same form"


def test_the_model_sees_no_value_about_people_and_no_hidden_table(collected, model):
    collected.write("tables.yaml", "tables:\n  - {table: public.canary, hidden: true}\n")
    collected.metadata.collect()
    model.answers = [proposals()]
    collected.metadata.suggest()
    asked = "".join(model.asked)
    assert len(model.requests) == 3
    assert "example.com" not in asked
    assert "canary" not in asked
    assert "email text" in asked


@pytest.mark.parametrize(
    ("failure", "tables"),
    [("refusal", 4), ("invalid", 4), ("cut_off", 4), ("rate_limited", 1), ("broken", 1)],
)
def test_a_model_that_gives_no_answer_is_counted(collected, model, failure, tables):
    model.answers = [Said(failure=failure)]
    report = collected.metadata.suggest()
    assert (report.tables, len(report.failures), report.added) == (tables, tables, [])


def test_the_command_shows_what_became_of_it(collected, model, capsys):
    model.answers = [proposals(PAID, BAD["write"]), again(PAID["sql"])]
    assert run_app(["metadata", "suggest", "--table", "orders"]) == 0
    out, err = capsys.readouterr()
    assert "small was asked about 1 tables and proposed 2 examples: 1 proved and added, 1 refused" in out
    assert "added: What was paid in all? (1 rows, public.orders)" in out
    assert "refused: Clean up?: " in err
    model.answers = [Said(failure="refusal")]
    assert run_app(["metadata", "suggest", "--table", "orders", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["failures"]


def test_without_a_model_or_a_table_it_says_so(collected, model, monkeypatch):
    with pytest.raises(NotFoundError, match="orders"):
        collected.metadata.suggest(tables=["orderz"])
    monkeypatch.setenv("DTEG_AI_MODEL", "")
    with pytest.raises(ConfigError, match="DTEG_AI_MODEL"):
        collected.metadata.suggest()
