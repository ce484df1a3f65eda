"""A project with rules over one database, a clock that tests move, and channels that only remember."""

import textwrap
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from dteg.alerts import Kind, Occurrence, Severity, State, report
from dteg.alerts.channels import MemoryChannel
from dteg.alerts.service import Alerts
from dteg.core.durations import parse_duration
from dteg.testing.servers import database
from studio.testing import empty_project

START = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
CHANNELS = "channels:\n  people: {url: secret://env/NOBODY}\n  boss: {url: secret://env/NOBODY}\n"


class Desk:
    """Reports, delivers and moves the clock.

    Attributes:
        now: The time.
        channels: By name, made when first asked for.
    """

    def __init__(self, project, url):
        self.project, self.url = project, url
        self.reset()

    def reset(self):
        self.now = START
        self.channels = {}
        self.alerts = Alerts(self.project, clock=lambda: self.now, channels=self.channel)

    def channel(self, name):
        return self.channels.setdefault(name, MemoryChannel())

    def write(self, rules, channels=CHANNELS):
        """Write alerts.yaml: the rules as text, with two channels."""
        (self.project.root / "alerts.yaml").write_text(
            f"{channels}rules:\n{textwrap.indent(textwrap.dedent(rules), '  ')}"
        )

    def empty(self):
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "TRUNCATE _dteg.alert_occurrences, _dteg.alert_matters, _dteg.alert_deliveries"
            )

    def happens(
        self, state=State.FIRING, severity=Severity.ERROR, subject="orders", kind=Kind.CHECK, **values
    ):
        at = values.pop("at", self.now)
        message = values.pop("message", f"{subject} is {state.value}")
        report(
            self.project,
            Occurrence(
                kind=kind, subject=subject, state=state, severity=severity, at=at, message=message, **values
            ),
        )
        return self.deliver()

    def fires(self, **values):
        return self.happens(State.FIRING, **values)

    def ends(self, **values):
        return self.happens(State.RESOLVED, **{"severity": Severity.INFO, **values})

    def deliver(self):
        return self.alerts.deliver()

    def wait(self, duration, step="10m"):
        """Let time pass, and deliver in between as a worker does."""
        end = self.now + parse_duration(duration)
        while self.now < end:
            self.now = min(end, self.now + parse_duration(step))
            self.deliver()

    def at(self, text):
        """Move the clock to a later time."""
        self.now = datetime.fromisoformat(text).astimezone(UTC)
        return self.deliver()

    def told(self, channel="people"):
        """Return the titles that arrived since the last call."""
        made = self.channel(channel)
        titles = [message.title for message in made.sent]
        made.sent = []
        return titles

    @property
    def minutes(self):
        return (self.now - START) / timedelta(minutes=1)


@pytest.fixture(scope="module")
def alerts_database(postgres_server):
    with database(postgres_server) as url:
        yield url


@pytest.fixture
def project(alerts_database, tmp_path, monkeypatch):
    made = empty_project(tmp_path / "project")
    monkeypatch.setenv("DTEG_POSTGRES_URL", alerts_database)
    monkeypatch.setenv("DTEG_HOME", str(made.root))
    for name in ("DTEG_STUDIO_URL", "DTEG_STUDIO_TOKEN", "DTEG_TOPICS_URL", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    return made


@pytest.fixture
def desk(project, alerts_database):
    made = Desk(project, alerts_database)
    made.alerts.open()  # makes the tables
    made.empty()
    return made
