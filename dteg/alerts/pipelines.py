"""`monitoring.alerts` of the pipelines as rules."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dteg.alerts.channels import AppriseChannel, Channel
from dteg.alerts.models import Kind, Severity
from dteg.alerts.rules import FILE, AlertsFile, Match, Rule
from dteg.core.errors import ConfigError
from dteg.core.project import Project
from dteg.core.yaml import read, validate, yaml_files
from dteg.pipelines.spec import Alert, PipelineFile

_PREFIX = "pipeline:"
# While its runs fail: somebody who missed the first message hears of it the next day.
_REMIND_EVERY = "1d"


@dataclass(frozen=True, slots=True)
class PipelineAlert:
    """One alert of a pipeline file.

    Attributes:
        name: Name of its rule and of its channel; holds signs that names in alerts.yaml may not have, so the two
            never meet.
        alert: As written.
        pipeline: Name of the pipeline.
        file: Name of its file.
        line: 1-based line.
    """

    name: str
    alert: Alert
    pipeline: str
    file: str
    line: int | None


def pipeline_alerts(project: Project) -> Iterator[PipelineAlert]:
    """Yield each alert in a pipeline file. Broken files have none; others tell of them."""
    for path in yaml_files(project.pipelines_dir):
        try:
            stat = path.stat()
            yield from _alerts_in(path, stat.st_mtime_ns, stat.st_size)
        except (OSError, ConfigError):
            continue


@lru_cache(maxsize=1000)
def _alerts_in(path: Path, _mtime_ns: int, _size: int) -> tuple[PipelineAlert, ...]:
    """Return the alerts of a file, read again only when it has changed: who delivers asks every few seconds."""
    file = f"pipelines/{path.name}"
    document = read(path, file)
    spec = validate(document, PipelineFile).pipeline
    return tuple(
        PipelineAlert(
            f"{_PREFIX}{spec.name}:{number + 1}", alert, spec.name, file,
            document.problem(("pipeline", "monitoring", "alerts", number), "").line,
        )
        for number, alert in enumerate(spec.monitoring.alerts)
    )  # fmt: skip


def rule_of(found: PipelineAlert) -> Rule:
    """Return an alert of a pipeline as a rule whose one channel has the rule's name."""
    alert = found.alert
    match = Match(
        kind=[Kind.RUN],
        subject=found.pipeline,
        severity=Severity.WARNING,
        on=alert.on or "failure",
        when=alert.when,
    )
    # Not checked: the name is none that a file may give.
    return Rule.model_construct(
        name=found.name, match=match, to=[found.name], repeat_every=_REMIND_EVERY, tell_resolved=alert.on != "success",
        quiet_hours=None, escalate=[], enabled=True,
    )  # fmt: skip


def missing_channel(alert: Alert, file: AlertsFile) -> str:
    """Say which channel an alert lacks in alerts.yaml; "" if it lacks none."""
    if alert.type == "webhook":
        return ""
    spec = file.channels.get(alert.type)
    if spec is None:
        return f"needs the channel {alert.type} in {FILE}: channels: {{{alert.type}: {{url: secret://env/NAME}}}}"
    return "" if spec.url is not None else f"the channel {alert.type} of {FILE} needs a url, not a topic"


def channel_of_alert(alert: Alert, file: AlertsFile) -> Channel:
    """Return where an alert of a pipeline goes.

    `slack` and `email` name the channel of that name in alerts.yaml, which holds the account; the pipeline says
    the room or the recipients.

    Raises:
        ConfigError: There is no such channel, or no address.
    """
    if alert.type == "webhook" and alert.url is not None:
        return AppriseChannel(alert.url.reveal())
    if problem := missing_channel(alert, file):
        raise ConfigError(f"monitoring.alerts: {problem}")
    url = file.channels[alert.type].url
    assert url is not None  # see missing_channel
    to = (alert.channel,) if alert.channel else tuple(alert.recipients)
    return AppriseChannel(url.reveal(), to)
