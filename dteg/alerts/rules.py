"""Who hears of what: `alerts.yaml` of the project, and `monitoring.alerts` of its pipelines."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from dteg.alerts.conditions import Condition
from dteg.alerts.models import Kind, Occurrence, Severity, State
from dteg.core.config import ConfigModel, Secret
from dteg.core.durations import DurationText
from dteg.core.errors import ConfigError, Problem
from dteg.core.project import Project
from dteg.core.schedules import TimezoneText
from dteg.core.suggest import did_you_mean
from dteg.core.yaml import Document, Path_, read, validate

FILE = "alerts.yaml"
NAME = r"^[a-z][a-z0-9_-]{0,62}$"


def _checked_condition(text: str) -> str:
    Condition.parse(text)
    return text


def _checked_time(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("write a time without a zone, such as 22:00, and the zone as timezone: Asia/Seoul")
    return value


def _checked_topic(text: str) -> str:
    from dteg.topics.models import topic_name  # few channels are topics

    try:
        return topic_name(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None


LocalTime = Annotated[time, AfterValidator(_checked_time)]


class ChannelSpec(ConfigModel):
    """A way to reach people or programs: exactly one of `url` and `topic`."""

    url: Secret | None = Field(
        None,
        description="Reference to a URL of Apprise, such as slack://..., mailto://..., or json://host/path for a webhook.",
    )
    topic: Annotated[str, AfterValidator(_checked_topic)] | None = Field(
        None, description="A topic that gets the occurrence as a message."
    )

    @model_validator(mode="after")
    def _one(self) -> "ChannelSpec":
        if (self.url is None) == (self.topic is None):
            raise ValueError("give either url or topic")
        return self


class QuietHours(ConfigModel):
    """Hours in which nobody is woken: what is not urgent waits until they end."""

    start: LocalTime = Field(alias="from", description="Beginning, such as 22:00.")
    end: LocalTime = Field(
        alias="to", description="End, such as 07:00; before the beginning it is that of the next day."
    )
    timezone: TimezoneText = Field("UTC", description="Whose clock.")
    unless: Severity = Field(Severity.CRITICAL, description="From this severity on it is told at once.")

    @model_validator(mode="after")
    def _some_time(self) -> "QuietHours":
        if self.start == self.end:
            raise ValueError("from and to are the same time; leave quiet_hours out, or make them differ")
        return self

    def end_after(self, now: datetime) -> datetime | None:
        """Return when the quiet hours that hold `now` end, or None outside of them."""
        here = now.astimezone(ZoneInfo(self.timezone))
        clock = here.time()
        over_midnight = self.start > self.end
        inside = clock >= self.start or clock < self.end if over_midnight else self.start <= clock < self.end
        if not inside:
            return None
        day = here.date() + timedelta(days=1 if over_midnight and clock >= self.start else 0)
        end = datetime.combine(day, self.end, here.tzinfo)
        # Where the clock was set back, an hour comes twice: the end is the one that is still to come.
        end = end if end.astimezone(UTC) > now else end.replace(fold=1)
        return end.astimezone(UTC)


class Escalation(ConfigModel):
    """Who hears of it when nobody has taken care."""

    after: DurationText = Field(description="Time since it was first told, such as 30m.")
    to: list[str] = Field(min_length=1, description="Channels.")


class Match(ConfigModel):
    """What a rule is about; what is not given matches everything."""

    kind: list[Kind] = Field([], description="What it happened to.")
    subject: str = Field("*", min_length=1, description="Which one; * and ? stand for any characters.")
    severity: Severity = Field(Severity.WARNING, description="This severity and those above it.")
    on: Literal["failure", "success", "always"] = Field(
        "failure", description="What is wrong or happened; what went well; or both."
    )
    when: Annotated[str, AfterValidator(_checked_condition)] | None = Field(
        None, description="Condition on the details, such as `rows_loaded > 1000`."
    )

    def concerns(self, occurrence: Occurrence) -> bool:
        """Return whether it is about the right kind of thing, whatever happened to it."""
        return (not self.kind or occurrence.kind in self.kind) and fnmatchcase(
            occurrence.subject, self.subject
        )

    def fits(self, occurrence: Occurrence) -> bool:
        """Return whether an occurrence is to be told."""
        if not self.concerns(occurrence):
            return False
        went_well = occurrence.state is State.RESOLVED
        if self.on != "always" and went_well is not (self.on == "success"):
            return False
        loud = went_well or occurrence.severity.rank >= self.severity.rank
        return loud and (self.when is None or Condition.parse(self.when).holds(occurrence.details))


class Rule(ConfigModel):
    """Who hears of what, and how often."""

    name: str = Field(pattern=NAME, description="Name of the rule.")
    match: Match = Field(default_factory=lambda: Match.model_validate({}), description="What it is about.")
    to: list[str] = Field(min_length=1, description="Channels.")
    repeat_every: DurationText | None = Field("4h", description="Tell again while it goes on; null: never.")
    tell_resolved: bool = Field(True, description="Tell also when it is over.")
    quiet_hours: QuietHours | None = Field(None, description="When to wait.")
    escalate: list[Escalation] = Field([], description="Who hears of it later, in order.")
    chart: str | None = Field(
        None,
        pattern=r"^[a-z][a-z0-9_]{0,40}$",
        description="Chart whose picture goes along, where there is a place for it.",
    )
    enabled: bool = Field(True, description="Whether it is in force.")


class AlertsFile(ConfigModel):
    """`alerts.yaml`."""

    channels: dict[Annotated[str, Field(pattern=NAME)], ChannelSpec] = Field({}, description="By name.")
    rules: list[Rule] = Field([], description="Each that matches is followed.")


def load_file(project: Project) -> tuple[AlertsFile, Document]:
    """Return what `alerts.yaml` says, and its lines; without the file, nothing.

    Raises:
        ConfigError: Everything that is wrong in it, with lines.
    """
    path = project.root / FILE
    if not path.exists():
        return AlertsFile.model_validate({}), Document({}, FILE, {})
    document = read(path, FILE)
    if document.value is None:  # a file of comments only
        return AlertsFile.model_validate({}), document
    file = validate(document, AlertsFile)
    if problems := list(_problems(file, document)):
        raise ConfigError(problems)
    return file, document


def _problems(file: AlertsFile, document: Document) -> Iterator[Problem]:
    """Yield what each rule by itself cannot see."""
    lines: dict[str, int | None] = {}
    for number, rule in enumerate(file.rules):
        at: Path_ = ("rules", number)
        if rule.name in lines:
            message = f"the name {rule.name!r} is taken by the rule in line {lines[rule.name]}; rename one"
            yield document.problem((*at, "name"), message)
        lines.setdefault(rule.name, document.problem((*at, "name"), "").line)
        named = [((*at, "to", place), channel) for place, channel in enumerate(rule.to)]
        for step, escalation in enumerate(rule.escalate):
            named += [
                ((*at, "escalate", step, "to", place), name) for place, name in enumerate(escalation.to)
            ]
        for where, channel in named:
            if channel not in file.channels:
                yield document.problem(where, no_channel(channel, file))


def no_channel(name: str, file: AlertsFile) -> str:
    """Say that there is no such channel, and which there are."""
    near = did_you_mean(name, file.channels) or f"there are: {', '.join(file.channels) or 'none'}"
    return f"there is no channel {name!r}; {near}"


def message_of(occurrence: Occurrence, *, again: int = 0, level: int = 0, note: str = "") -> tuple[str, str]:
    """Return title and body of what is told.

    Args:
        occurrence: What happened.
        again: How often it happened before, since it began.
        level: Step of the escalation; 0 is the first telling.
        note: A sentence more.
    """
    over = occurrence.state is State.RESOLVED
    sign = "resolved" if over else occurrence.severity.value
    step = f", escalation {level}" if level else ""
    # One line: titles become headers of mails.
    title = " ".join(f"[{sign}{step}] {occurrence.kind.value.replace('_', ' ')} {occurrence.subject}".split())
    lines = [occurrence.message, f"at {occurrence.at:%Y-%m-%d %H:%M:%S} UTC"]
    if again:
        lines.append(f"{again + 1} times since it began")
    if note:
        lines.append(note)
    lines.extend(f"{name}: {_short(value)}" for name, value in sorted(occurrence.details.items()))
    return _short(title), "\n".join(lines)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 300 else text[:297] + "..."
