"""Examples: only what ran against the schema of now is served."""

import pytest

from dteg.metadata.examples import masked

pytestmark = pytest.mark.integration


def statuses(shop):
    return {example.question: example.status for example in shop.metadata.examples()}


def test_examples_are_run_once_and_kept_until_a_table_changes(collected):
    first = {each.id: each for each in collected.metadata.examples()}
    assert {each.status for each in first.values()} == {"valid"}
    assert {each.verified_by for each in first.values()} == {"run"}
    spent = next(each for each in first.values() if "spend" in each.question)
    assert (spent.tables, spent.row_count, spent.result_columns, spent.difficulty) == (
        ["public.customers", "public.orders"], 3, ["country", "spent"], "medium",
    )  # fmt: skip
    collected.later(hours=2)
    collected.metadata.collect()
    assert {each.id: each.verified_at for each in collected.metadata.examples()} == {
        name: each.verified_at for name, each in first.items()
    }
    collected.run("ALTER TABLE customers ADD COLUMN city text")
    report = collected.metadata.collect()
    assert report.examples["valid"] == 2
    again = {each.id: each for each in collected.metadata.examples()}
    assert again[spent.id].verified_at > spent.verified_at
    paid = next(each for each in first.values() if "paid" in each.question)
    assert again[paid.id].verified_at == paid.verified_at


def test_what_a_schema_change_breaks_is_no_longer_served(collected):
    collected.run("ALTER TABLE orders RENAME COLUMN status TO state")
    report = collected.metadata.collect()
    assert report.examples == {"valid": 1, "stale": 1, "broken": 0}
    assert [alert.name for alert in report.alerts] == ["examples_invalid", "score_dropped"]
    assert statuses(collected)["How many orders are paid?"] == "stale"
    served = [each for document in collected.metadata.documents() for each in document.examples]
    assert {each.question for each in served} == {"What do customers of each country spend?"}
    (told,) = collected.metadata.quality().broken
    assert "status" in told.why
    collected.run("ALTER TABLE orders RENAME COLUMN state TO status")
    assert collected.metadata.collect().examples["valid"] == 2


def test_a_dropped_table_takes_its_examples_with_it(collected):
    collected.run("DROP TABLE orders CASCADE")
    report = collected.metadata.collect()
    assert report.removed == ["public.orders"]
    assert report.examples == {"valid": 0, "stale": 2, "broken": 0}
    assert [document.examples for document in collected.metadata.documents()] == [[], [], []]


def test_an_example_that_was_never_right_is_broken(shop):
    shop.write("examples.yaml", "examples:\n  - {question: What is lost?, sql: SELECT lost FROM orders}\n")
    assert shop.metadata.collect().examples == {"valid": 0, "stale": 0, "broken": 1}


def test_served_examples_all_belong_to_the_schema_of_now(collected):
    from dteg.metadata.models import fingerprint_of

    entries = {document.table.table_id: document.table for document in collected.metadata.documents()}
    served = [each for document in collected.metadata.documents() for each in document.examples]
    assert served
    for example in served:
        assert example.schema_fingerprint == fingerprint_of([entries[name] for name in example.tables])
        assert (example.status, example.verified_by) == ("valid", "run")


def test_questions_are_masked():
    assert (
        masked("How many of 'A-1' since 2024-05-01, over 1,000.5?")
        == "How many of <value> since <date>, over <number>?"
    )
