"""Alerts of a project: its rules, what is going on, and what was told."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import dict_row

from dteg.alerts.channels import AppriseChannel, Channel, Message, channel_of
from dteg.alerts.delivery import MESSAGE_S, ROUND_S, deliver
from dteg.alerts.matters import SQL, Matters
from dteg.alerts.models import ChannelEntry, Delivery, Matter, Overview, RuleEntry, Sent, Severity
from dteg.alerts.pictures import pictures_of
from dteg.alerts.pipelines import channel_of_alert, pipeline_alerts, rule_of
from dteg.alerts.rules import FILE, AlertsFile, ChannelSpec, Rule, load_file, no_channel
from dteg.core.clock import Clock, utc_now
from dteg.core.control import leader, session
from dteg.core.errors import ConfigError, DtegError, NotFoundError
from dteg.core.project import Project
from dteg.core.queries import first_value
from dteg.core.yaml import Document

_KEPT = timedelta(days=90)
# Between two looks for what is so old that it is forgotten.
_FORGET_EVERY = timedelta(hours=1)


class Alerts:
    """What `dteg alert`, the studio and Dagster's sensor work with.

    Args:
        project: Whose alerts.
        clock: The time.
        channels: Returns the channel of a name, in place of those of the files; for tests.
    """

    def __init__(
        self, project: Project, clock: Clock = utc_now, channels: Callable[[str], Channel] | None = None
    ) -> None:
        self._project, self._clock, self._channels = project, clock, channels
        self._forgot_at = clock() - _FORGET_EVERY

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return the alerts of a project."""
        return cls(project)

    def rules(self) -> list[Rule]:
        """Return the rules of `alerts.yaml`, then those of the pipelines.

        Raises:
            ConfigError: `alerts.yaml` is wrong.
        """
        file, _ = load_file(self._project)
        return [*file.rules, *(rule_of(each) for each in pipeline_alerts(self._project))]

    def overview(self) -> Overview:
        """Return what the files say and what is wrong in them; secrets are looked for, but not shown."""
        problems: list[str] = []
        file, document = AlertsFile.model_validate({}), Document({}, FILE, {})
        try:
            file, document = load_file(self._project)
        except ConfigError as error:
            problems = [str(each) for each in error.problems]
        found = list(pipeline_alerts(self._project))
        rules = [
            _entry(rule, FILE, document.problem(("rules", number), "").line)
            for number, rule in enumerate(file.rules)
        ]
        rules += [_entry(rule_of(each), each.file, each.line) for each in found]
        channels = [self._channel_entry(name, spec) for name, spec in file.channels.items()]
        for each in channels:
            if each.problem:
                line = document.problem(("channels", each.name), "").line
                problems.append(f"{FILE}:{line}: channels.{each.name}: {each.problem}")
        for alert in found:
            try:
                _checked(channel_of_alert(alert.alert, file))
            except DtegError as error:
                problems.append(f"{alert.file}:{alert.line}: {error}")
        return Overview(rules=rules, channels=channels, problems=problems)

    def deliver(
        self, *, message_s: float = MESSAGE_S, round_s: float = ROUND_S, stop: threading.Event | None = None
    ) -> Sent | None:
        """Turn what happened into messages and send what is due; None if another process is at it.

        Args:
            message_s: Seconds that one message may take.
            round_s: Seconds within which sending begins; what is left waits for the next call.
            stop: Ends the round when it is set; what is on its way then is sent again.

        Raises:
            ConfigError: `alerts.yaml` is wrong; what happened waits until it is right.
        """
        with session(self._project, "alerts") as connection:
            if not first_value(connection, SQL["has_work"], {"now": self._clock()}):
                return Sent()
            rules, channels = self.rules(), self._channels or self._file_channels()
            if not leader(connection, "alerts"):
                return None
            matters = Matters(connection, rules)
            taken_in = matters.take_in(self._clock())
            matters.follow_up(self._clock())
            self._forget(connection)
            sent = deliver(
                connection,
                channels,
                self._clock,
                message_s=message_s,
                round_s=round_s,
                stop=stop or threading.Event(),
                pictures=pictures_of(self._project, rules),
            )
            return sent.model_copy(update={"taken_in": taken_in})

    def test(self, channel: str) -> None:
        """Send a test message to a channel of `alerts.yaml`, or of a pipeline's rule, now.

        Raises:
            NotFoundError: There is no such channel.
            DtegError: It did not arrive; the message says why.
        """
        text = f"This is a test of the channel {channel}. Nothing happened."
        id_ = f"dteg-test-{self._clock().timestamp():.0f}"
        message = Message("[test] dteg", text, Severity.INFO, {"test": True}, id_)
        (self._channels or self._file_channels())(channel).send(message)

    def open(self, limit: int = 100) -> list[Matter]:
        """Return what is going on, oldest first."""
        return [Matter.model_validate(row) for row in self._rows("open", limit=limit)]

    def acknowledge(self, rule: str, matter: str, by: str) -> None:
        """Say that somebody takes care: it is not told again and not escalated until it begins anew.

        Raises:
            NotFoundError: It is not going on.
        """
        names = {"rule": rule, "matter": matter, "now": self._clock()}
        with session(self._project, "alerts") as connection, connection.transaction():
            if connection.execute(SQL["acknowledge"], {**names, "by": by}).fetchone() is None:
                raise NotFoundError(f"{rule}: {matter} is not going on; list what is: dteg alert list")
            why = f"{by} takes care"
            connection.execute(SQL["cancel"], {**names, "why": why, "channel": None})

    def log(self, limit: int = 100, before: int | None = None) -> list[Delivery]:
        """Return messages, newest first.

        Args:
            limit: How many at the most.
            before: Only those with a smaller number.
        """
        return [Delivery.model_validate(row) for row in self._rows("log", limit=limit, before=before)]

    def _file_channels(self) -> Callable[[str], Channel]:
        file, _ = load_file(self._project)
        alerts = {each.name: each.alert for each in pipeline_alerts(self._project)}

        def channel(name: str) -> Channel:
            if name in alerts:
                return channel_of_alert(alerts[name], file)
            if name not in file.channels:
                raise NotFoundError(f"{FILE}: {no_channel(name, file)}")
            return channel_of(self._project, file.channels[name])

        return channel

    def _channel_entry(self, name: str, spec: ChannelSpec) -> ChannelEntry:
        if spec.topic is not None:
            return ChannelEntry(name=name, kind="topic", goes_to=spec.topic)
        assert spec.url is not None  # the spec has one of both
        kind, problem = "unknown", ""
        try:
            kind = urlsplit(spec.url.reveal()).scheme or kind
            _checked(channel_of(self._project, spec))
        except (DtegError, ValueError) as error:
            problem = str(error) if isinstance(error, DtegError) else "its url is none"
        return ChannelEntry(name=name, kind=kind[:40], goes_to=str(spec.url), problem=problem)

    def _forget(self, connection: psycopg.Connection[Any]) -> None:
        now = self._clock()
        if now >= self._forgot_at + _FORGET_EVERY:
            connection.execute(SQL["forget"], {"before": now - _KEPT})
            self._forgot_at = now

    def _rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with (
            session(self._project, "alerts") as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            return cursor.execute(SQL[query], values).fetchall()


def _checked(channel: Channel) -> None:
    if isinstance(channel, AppriseChannel):
        channel.check()


def _entry(rule: Rule, file: str, line: int | None) -> RuleEntry:
    quiet, match = rule.quiet_hours, rule.match
    about = [", ".join(kind.value.replace("_", " ") for kind in match.kind) or "anything"]
    about += [match.subject] if match.subject != "*" else []
    about.append(
        {"failure": f"{match.severity.value} and worse", "success": "what goes well"}.get(match.on, "always")
    )
    about += [f"when {match.when}"] if match.when else []
    return RuleEntry(
        name=rule.name, file=file, line=line, about="; ".join(about), to=rule.to, repeat_every=rule.repeat_every,
        quiet_hours=f"{quiet.start:%H:%M} to {quiet.end:%H:%M} {quiet.timezone}, unless {quiet.unless.value}" if quiet else "",
        escalate=[f"after {step.after}: {', '.join(step.to)}" for step in rule.escalate], enabled=rule.enabled,
    )  # fmt: skip
