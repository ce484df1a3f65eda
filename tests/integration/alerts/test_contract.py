"""The same suite for alerts here and through a studio; and the commands."""

import json

import pytest
from click.testing import CliRunner

from dteg.alerts import Kind, Occurrence, Severity, State, report
from dteg.alerts.remote import RemoteAlerts
from dteg.alerts.service import Alerts
from dteg.cli import app
from dteg.core.errors import DeniedError, NotFoundError
from dteg.topics import Topics

pytestmark = pytest.mark.integration
FILE = """
channels:
  events: {topic: ops.alerts}
  lost: {url: secret://env/NOT_THERE}
rules:
  - name: all
    match: {severity: error}
    to: [events]
    quiet_hours: {from: "22:00", to: "07:00", unless: warning}
    escalate: [{after: 30m, to: [lost]}]
"""


@pytest.fixture
def alerts_project(studio_project):
    (studio_project.root / "alerts.yaml").write_text(FILE)
    return studio_project


@pytest.fixture(params=["library", "studio"])
def alerts(request, alerts_project):
    if request.param == "library":
        return Alerts.of(alerts_project)
    return RemoteAlerts(request.getfixturevalue("studio").client)


def happens(project, state=State.FIRING, **values):
    report(project, Occurrence(kind=Kind.RUN, subject="flights", message="it failed", state=state, **values))


def test_alert_from_beginning_to_end(alerts, alerts_project):
    assert alerts.open() == alerts.log() == []
    happens(alerts_project, details={"step": "load"})
    assert alerts.deliver().model_dump() == {"taken_in": 1, "delivered": 1, "failed": 0, "given_up": 0}
    (matter,) = alerts.open()
    assert (matter.rule, matter.matter, matter.details) == ("all", "run:flights", {"step": "load"})
    alerts.acknowledge("all", "run:flights", "owner")
    assert alerts.open()[0].acknowledged_by == "owner"
    with pytest.raises(NotFoundError, match="is not going on"):
        alerts.acknowledge("all", "run:other", "owner")
    happens(alerts_project, State.RESOLVED, severity=Severity.INFO)
    alerts.deliver()
    assert alerts.open() == []
    newest, oldest = alerts.log()
    assert [newest.title, oldest.title] == ["[resolved] run flights", "[error] run flights"]
    assert alerts.log(limit=1, before=newest.id) == [oldest]
    assert len(Topics.of(alerts_project).read("ops.alerts", "earliest")) == 2


def test_overview_tells_where_rules_stand_and_what_is_wrong(alerts, alerts_project):
    (alerts_project.pipelines_dir / "p.yaml").write_text(
        "pipeline:\n  name: p\n  extract: {type: files}\n  load: {type: postgres}\n"
        "  monitoring:\n    alerts:\n      - {type: webhook, url: secret://env/NOT_THERE, on: always}\n"
    )
    found = alerts.overview()
    assert [(rule.name, rule.file, rule.line) for rule in found.rules] == [
        ("all", "alerts.yaml", 6),
        ("pipeline:p:1", "pipelines/p.yaml", 7),
    ]
    assert found.rules[0].quiet_hours == "22:00 to 07:00 UTC, unless warning"
    assert found.rules[1].about == "run; p; always"
    assert [(each.name, each.kind, each.goes_to) for each in found.channels] == [
        ("events", "topic", "ops.alerts"),
        ("lost", "unknown", "secret://env/NOT_THERE"),
    ]
    assert [problem.split(":")[:2] for problem in found.problems] == [
        ["alerts.yaml", "4"],
        ["pipelines/p.yaml", "7"],
    ]


def test_test_message(alerts, alerts_project):
    alerts.test("events")
    assert len(Topics.of(alerts_project).read("ops.alerts", "earliest")) == 1
    with pytest.raises(NotFoundError, match='did you mean "events"'):
        alerts.test("evnts")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("rulez: []\n", 1, 'did you mean "rules"'),
        ("channels: {a: {topic: x, url: secret://env/X}}\n", 1, "give either url or topic"),
        ("channels:\n  a: {url: 'https://example.org/SECRET'}\n", 2, "write a reference"),
        ("channels: {a: {topic: x}}\nrules:\n  - {name: r, to: [b]}\n", 3, "there is no channel 'b'; there are: a"),
        ("channels: {a: {topic: x}}\nrules:\n  - {name: r, to: [a]}\n  - {name: r, to: [a]}\n", 4, "taken by the rule in line 3"),
        ("channels:\n  a: {topic: Bad Topic}\n", 2, "'Bad Topic' cannot be a name here: small letters"),
        ("rules:\n  - {name: r, to: [a], repeat_every: 4}\n", 2, "4 has no unit; write one, such as 4s, 4m or 4h"),
        ("rules:\n- name: r\n  to: [a]\n  quiet_hours: {from: '22:00', to: '7'}\n", 4, "must be a time such as 07:00"),
        ("rules:\n  - {name: r, to: [a], repeat_every: often}\n", 2, "is not a duration"),
        ("rules:\n  - {name: r, to: [a], match: {when: a is b}}\n", 2, "is not a comparison"),
        ("rules:\n  - {name: r, to: [a], match: {kind: [runs]}}\n", 2, 'did you mean "run"'),
        ("rules:\n- name: r\n  to: [a]\n  quiet_hours: {from: '22:00', to: '22:00'}\n", 4, "the same time"),
        ("rules:\n- name: r\n  to: [a]\n  quiet_hours: {from: '22:00Z', to: '07:00'}\n", 4, "without a zone"),
        ("rules:\n- name: r\n  to: [a]\n  quiet_hours: {from: '22:00', to: '07:00', timezone: Moon}\n", 4, "unknown time zone"),
        ("rules: [\n", 1, "not valid YAML"),
    ],
)  # fmt: skip
def test_wrong_file_is_told_with_its_line(alerts_project, text, line, says):
    (alerts_project.root / "alerts.yaml").write_text(text)
    (problem, *_) = Alerts.of(alerts_project).overview().problems
    assert problem.startswith(f"alerts.yaml:{line}: ")
    assert says in problem
    assert "SECRET" not in problem


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["alert", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert (result.return_value if result.exit_code == 0 else result.exit_code) in (code, None), result.output
    return result.output


@pytest.mark.parametrize("where", ["here", "studio"])
def test_commands(alerts_project, request, monkeypatch, where):
    if where == "studio":
        studio = request.getfixturevalue("studio")
        monkeypatch.setenv("DTEG_STUDIO_URL", studio.url)
        monkeypatch.setenv("DTEG_STUDIO_TOKEN", studio.token)
    assert "nothing is going on" in run("list")
    happens(alerts_project, at="2026-03-10T12:00:00Z")
    assert run("deliver") == "1 delivered, 0 failed and tried again later, 0 given up\n"
    assert "2026-03-10 12:00:00  error     all   run:flights  -" in run("list")
    assert json.loads(run("list", "--json"))[0]["matter"] == "run:flights"
    assert "is in hand" in run("ack", "all", "run:flights")
    assert "arrived" in run("log")
    assert len(json.loads(run("log", "--json"))) == 1
    rules = run("rules")
    assert "alerts.yaml:6" in rules
    assert "secret://env/NOT_THERE" in rules
    assert "NOT_THERE is not set" in run("check")
    assert "it arrived" in run("test", "events")


def test_pages(studio, alerts_project):
    browser = studio.browser()
    assert "Nothing is going on" in browser.get("/alerts").text
    assert "Nothing was told yet" in browser.get("/alerts/log").text
    happens(alerts_project, details={"html": "<script>alert(1)</script>"})
    studio.services.alerts.deliver()
    listed = browser.get("/alerts").text
    assert "it failed" in listed
    assert "run:flights" in listed
    assert "nobody takes care of" in browser.get("/").text

    def send(path, **fields):
        return browser.post(path, data={"csrf": studio.csrf_of(browser), **fields})

    assert send("/alerts/acknowledge", rule="all", matter="run:flights").status_code == 303
    assert "owner" in browser.get("/alerts?done=alert-acknowledged").text
    gone = send("/alerts/acknowledge", rule="all", matter="run:other")
    assert (gone.status_code, "is not going on" in gone.text) == (404, True)
    log = browser.get("/alerts/log").text
    assert "&lt;script&gt;" in log
    assert "<script>alert" not in log
    rules = browser.get("/alerts/rules").text
    assert "alerts.yaml:6" in rules
    assert "NOT_THERE is not set" in rules
    assert send("/alerts/test", channel="events").status_code == 303
    lost = send("/alerts/test", channel="lost")
    assert (lost.status_code, "NOT_THERE is not set" in lost.text) == (422, True)


def test_who_may_only_look_neither_acknowledges_nor_sends(studio, alerts_project):
    reader = RemoteAlerts(studio.client_of("read"))
    assert reader.open() == []
    for ask in (
        reader.deliver,
        lambda: reader.test("events"),
        lambda: reader.acknowledge("all", "run:flights", "x"),
    ):
        with pytest.raises(DeniedError):
            ask()


def test_worker_delivers(alerts_project):
    from studio.testing import running_studio

    with running_studio(alerts_project, background=True):
        happens(alerts_project)
        topics = Topics.of(alerts_project)
        topics.ensure("ops.alerts")
        for _ in range(240):
            if topics.read("ops.alerts", "earliest", wait_s=0.5):
                break
        else:
            pytest.fail("nothing was delivered within 120 s")
