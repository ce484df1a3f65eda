"""`dteg run` tells what became of it, to channels of alerts.yaml and of the pipeline's own file."""

import json

import psycopg
import pytest

from dteg.cli.main import run_app
from dteg.testing.http_server import FakeServer, Reply

pytestmark = pytest.mark.integration
pytest.importorskip("apprise", reason="THE EXTRA `alerts` IS NOT INSTALLED: NOTHING OF DELIVERY IS TESTED")
PIPELINE = """
pipeline:
  name: people
  extract: {type: files, config: {path: people.csv}}
  load: {type: postgres, config: {table: raw.people}}
  quality:
    validation_rules:
      - {type: null_check, columns: [name], severity: warn}
  monitoring:
    alerts:
      - {type: webhook, url: secret://env/HOOK, on: ON}
"""


@pytest.fixture
def web(monkeypatch):
    with FakeServer() as server:
        server.route("/hook", [Reply()])
        monkeypatch.setenv("HOOK", f"{server.url}/hook")
        yield server


@pytest.fixture
def people(studio_project, monkeypatch):
    """Writes the pipeline and its data."""
    monkeypatch.chdir(studio_project.root)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def write(rows, on="failure", pipeline=PIPELINE):
        (studio_project.root / "people.csv").write_text("id,name\n" + rows)
        (studio_project.pipelines_dir / "people.yaml").write_text(pipeline.replace("ON}", f"{on}}}"))

    return write


def told(web):
    sent = [seen.json() for seen in web.requests]
    web.requests.clear()
    return [(each["title"], each["message"]) for each in sent]


def occurrences(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        return connection.execute(
            "SELECT kind, subject, state, severity, details FROM _dteg.alert_occurrences ORDER BY id"
        ).fetchall()


def test_failure_and_recovery_are_told(people, web, postgres_url, capfd):
    people("1,ada\n2,s3cret-of-bob,too-much\n")
    assert run_app(["run", "people"]) == 1
    ((title, message),) = told(web)
    assert title == "[error] run people"
    assert message.startswith("people failed in load raw.people: ")
    assert "people.csv (row 2)" in message
    assert "s3cret-of-bob" not in message
    people("1,ada\n2,\n")
    assert run_app(["run", "people"]) == 0
    ((title, message),) = told(web)
    assert title == "[resolved] run people"
    assert "rows_loaded: 2" in message
    assert "duration_s: " in message
    assert [row[:4] for row in occurrences(postgres_url)] == [
        ("run", "people", "firing", "error"),
        ("run", "people", "resolved", "info"),
        ("check", "raw.people: null_check_name", "firing", "warning"),
    ]
    assert occurrences(postgres_url)[1][4]["rows_loaded"] == 2
    assert occurrences(postgres_url)[2][4]["failing"] == 1
    assert run_app(["run", "people"]) == 0
    assert told(web) == []


def test_condition_on_a_success(people, web):
    large = PIPELINE.replace("on: ON", "on: success, when: rows_loaded > 2")
    people("1,ada\n2,bob\n", pipeline=large)
    assert run_app(["run", "people"]) == 0
    assert told(web) == []
    people("1,ada\n2,bob\n3,eve\n", pipeline=large)
    assert run_app(["run", "people"]) == 0
    assert [title for title, _ in told(web)] == ["[resolved] run people"]


def test_failed_warning_is_told_by_a_rule_of_the_project(people, web, studio_project):
    (studio_project.root / "alerts.yaml").write_text(
        "channels: {hook: {url: secret://env/HOOK}}\nrules:\n  - {name: checks, match: {kind: [check]}, to: [hook]}\n"
    )
    people("1,\n")
    assert run_app(["run", "people"]) == 0
    ((title, message),) = told(web)
    assert title == "[warning] check raw.people: null_check_name"
    assert "failed: 1 of 1" in message


def test_dead_channel_changes_neither_exit_code_nor_output(people, monkeypatch, capsys):
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/hook")
    people("1,ada\n", on="always")
    assert run_app(["run", "people", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["succeeded"] is True


def test_broken_alerts_file_changes_neither_exit_code_nor_load(people, web, studio_project):
    (studio_project.root / "alerts.yaml").write_text("rulez: []\n")
    people("1,ada\n", pipeline=PIPELINE.partition("  monitoring:")[0])
    assert run_app(["run", "people"]) == 0
    (studio_project.root / "alerts.yaml").write_text("rules: []\n")


def test_run_without_alerts_asks_nothing_of_them(people, postgres_url):
    people("1,ada\n", pipeline=PIPELINE.partition("  monitoring:")[0])
    assert run_app(["run", "people"]) == 0
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT to_regclass('_dteg.alert_occurrences')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("alert", "says"),
    [
        ("{type: slack, channel: '#x'}", "needs the channel slack in alerts.yaml"),
        ("{type: email, recipients: [ada@example.org]}", "needs the channel email in alerts.yaml"),
        ("{type: email}", "type: email needs recipients"),
        ("{type: email, recipients: [ada]}", "'ada' is not an e-mail address"),
        ("{type: webhook}", "type: webhook needs url"),
        ("{type: webhook, url: 'https://example.org/s3cret'}", "write a reference such as secret://env/NAME"),
        ("{type: slack, recipients: [a@b.c]}", "type: slack takes channel, not recipients"),
        ("{type: webhook, url: secret://env/X, chanel: x}", 'did you mean "channel"'),
        ("{type: webhook, url: secret://env/X, when: rows > many}", "is not a comparison"),
        ("{type: slak}", "'slack'"),
    ],
)
def test_wrong_alert_is_told_with_its_line(people, capsys, alert, says):
    people("1,ada\n", pipeline=PIPELINE.replace("{type: webhook, url: secret://env/HOOK, on: ON}", alert))
    assert run_app(["pipeline", "validate"]) == 2
    error = capsys.readouterr().err
    assert "pipelines/people.yaml:11: " in error
    assert says in error
    assert "s3cret" not in error


def test_slack_with_its_channel_is_right(people, studio_project):
    people(
        "1,ada\n",
        pipeline=PIPELINE.replace("{type: webhook, url: secret://env/HOOK, on: ON}", "{type: slack}"),
    )
    (studio_project.root / "alerts.yaml").write_text("channels: {slack: {url: secret://env/SLACK}}\n")
    assert run_app(["pipeline", "validate"]) == 0
    (studio_project.root / "alerts.yaml").write_text("channels: {slack: {topic: x}}\n")
    assert run_app(["pipeline", "validate"]) == 2
