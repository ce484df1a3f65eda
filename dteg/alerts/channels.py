"""The ways to people and programs."""

import logging
import re
import threading
import warnings
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from dteg.alerts.models import Severity, State
from dteg.alerts.rules import ChannelSpec
from dteg.core.errors import ConfigError, DtegError, MissingExtraError, TransientError
from dteg.core.project import Project
from dteg.core.secrets import redact

ID_HEADER = "X-Dteg-Alert-Id"
# Of these the host is a host; of the others it may be a token.
_WITH_HOST = frozenset(
    {"json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos", "http", "https"}
)
_SHORTEST_SECRET = 6
_LOADING = threading.Lock()
_SENDING: ContextVar[bool] = ContextVar("dteg_alerts_sending", default=False)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that goes along.

    Attributes:
        name: Name of the file.
        png: Its bytes.
    """

    name: str
    png: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent.

    Attributes:
        title: One line.
        body: More lines.
        severity: How much somebody should care.
        occurrence: The same for programs.
        id: The same for each attempt, so that a receiver can tell a second arrival from a second message.
        picture: A chart, for services that take files.
    """

    title: str
    body: str
    severity: Severity = Severity.INFO
    occurrence: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    picture: Picture | None = None


class Channel(Protocol):
    """Sends messages."""

    def send(self, message: Message) -> None:
        """Send it; return when it has arrived.

        Raises:
            DtegError: It did not arrive, or nobody knows.
        """


class AppriseChannel:
    """Slack, e-mail, webhooks and a hundred services more, by Apprise.

    Args:
        url: Apprise's URL of the service, or the http(s) address of a webhook. It is a secret.
        to: Where in the service, if its URL leaves that open: rooms of Slack, recipients of mails.
    """

    def __init__(self, url: str, to: tuple[str, ...] = ()) -> None:
        self._url, self._to = url, to

    def check(self) -> None:
        """Look at the URL; nothing is sent.

        Raises:
            ConfigError: Apprise cannot use it.
            MissingExtraError: Apprise is not installed.
        """
        self._service()

    def send(self, message: Message) -> None:
        """See `Channel.send`."""
        service = self._service()
        body = _mark(service, message)
        lines: list[str] = []
        asked = _apprise().Apprise()
        asked.add(service)
        sending = _SENDING.set(True)
        try:
            arrived = asked.notify(
                body=body,
                title=message.title,
                notify_type=_notify_type(message),
                body_format="text",
                attach=_attachment(message),
                log_callback=lambda entry, _service: lines.append(entry.message),
                log_level=logging.WARNING,
            )
        finally:
            _SENDING.reset(sending)
        if not arrived:
            why = "; ".join(lines[-3:]) or "the service did not take it"
            raise TransientError(without_secrets(why, self._url)[:500], component="alerts")

    def _service(self) -> Any:
        apprise = _apprise()
        url = self._url.strip()
        if self._to and urlsplit(url).scheme in ("mailto", "mailtos"):
            url += f"{'&' if '?' in url else '?'}to={quote(','.join(self._to), safe='@,')}"
        # In the thread that asks: its own pool is small, and channels that hang would fill it.
        asset = apprise.AppriseAsset(async_mode=False)
        service: Any = apprise.Apprise.instantiate(url, asset=asset)
        if service is None and urlsplit(url).scheme in ("http", "https"):
            service = apprise.Apprise.instantiate(_webhook(url), asset=asset)
        if service is None:
            raise ConfigError(
                "the channel's url is not one that Apprise can use; write it as its list of services says, such as "
                "slack://TokenA/TokenB/TokenC/#room, mailtos://user:password@host?to=address or https://host/path"
            )
        if self._to and type(service).__name__ == "NotifySlack":
            service.channels = [room if room[:1] in "#+@" else f"#{room}" for room in self._to]
        return service


def _apprise() -> Any:
    """Return Apprise with its plug-ins loaded, which takes half a second the first time."""
    with _LOADING:
        return _loaded()


@cache
def _loaded() -> Any:
    with warnings.catch_warnings():
        # Its plug-ins import modules that Python is going to lose, and have their own for then.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import apprise
        except ImportError:
            raise MissingExtraError("alerts", "telling people by Slack, e-mail or webhook") from None
        # Its own log lines stay here: of a URL that it cannot read they show all.
        log = logging.getLogger("apprise")
        log.propagate = False
        log.addHandler(logging.NullHandler())
        # Whoever debugs sees the paths of all requests, and here they are secrets.
        logging.getLogger("urllib3.connectionpool").addFilter(lambda _record: not _SENDING.get())
        apprise.Apprise.instantiate("json://localhost")
    return apprise


def _webhook(url: str) -> str:
    """Return a plain address as Apprise's JSON webhook, with its query as it is."""
    parts = urlsplit(url)
    # What has no minus sign before it would be a setting of Apprise.
    query = "&".join(f"-{pair}" for pair in parts.query.split("&") if pair)
    scheme = "jsons" if parts.scheme == "https" else "json"
    return f"{scheme}://{parts.netloc}{parts.path}{f'?{query}' if query else ''}"


def _mark(service: Any, message: Message) -> str:
    """Put the id, and for programs the occurrence, where the service has a place for it; return the body."""
    kind = type(service).__name__
    if message.id and kind in ("NotifyJSON", "NotifyEmail"):
        service.headers = {**service.headers, ID_HEADER: message.id}
    if kind == "NotifyJSON":
        extras = {
            "id": message.id,
            "severity": message.severity.value,
            "occurrence": dict(message.occurrence),
        }
        service.payload_extras = {**extras, **service.payload_extras}
        return message.body
    return message.body if not message.id or kind == "NotifyEmail" else f"{message.body}\n{message.id}"


def _attachment(message: Message) -> Any:
    """Return the picture as Apprise takes it; services without files leave it out."""
    if message.picture is None:
        return None
    from apprise.attachment.memory import AttachMemory

    build: Any = AttachMemory
    return build(content=message.picture.png, name=message.picture.name, mimetype="image/png")


def _notify_type(message: Message) -> str:
    if message.occurrence.get("state") == State.RESOLVED:
        return "success"
    return {Severity.INFO: "info", Severity.WARNING: "warning"}.get(message.severity, "failure")


def without_secrets(text: str, url: str) -> str:
    """Return a text without anything that comes from a channel's URL but the name of a host."""
    parts = urlsplit(url)
    _, _, rest = url.partition("://")
    user, _, after = rest.rpartition("@") if "@" in parts.netloc else ("", "", rest)
    if parts.scheme in _WITH_HOST:
        after = after[len(after.split("/", 1)[0].split("?", 1)[0]) :]
    pieces = [url, *user.split(":"), *re.split(r"[/?&=@#,;:+]", after)]
    pieces = [piece for piece in pieces if len(piece) >= _SHORTEST_SECRET or piece in user.split(":")]
    both = {form for piece in pieces for form in (piece, unquote(piece)) if form}
    return redact(text, *sorted(both, key=len, reverse=True))


class TopicChannel:
    """A topic of the project's message system.

    Args:
        project: Whose topics.
        topic: Which one; made when it does not exist.
    """

    def __init__(self, project: Project, topic: str) -> None:
        self._project, self._topic = project, topic

    def send(self, message: Message) -> None:
        """See `Channel.send`."""
        from dteg.topics.service import Topics

        payload = {**message.occurrence, "id": message.id, "title": message.title, "body": message.body}
        key = f"{message.occurrence.get('kind', '')}:{message.occurrence.get('subject', '')}"
        topics = Topics.of(self._project)
        try:
            topics.ensure(self._topic)
            topics.publish(self._topic, payload, key=key[:200], headers={ID_HEADER: message.id})
        finally:
            topics.close()


class MemoryChannel:
    """Keeps what was sent, for tests; `failing` makes it refuse."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.failing: DtegError | None = None

    def send(self, message: Message) -> None:
        """See `Channel.send`."""
        if self.failing is not None:
            raise self.failing
        self.sent.append(message)


def channel_of(project: Project, spec: ChannelSpec) -> Channel:
    """Return the channel that a spec describes; its secret is read now.

    Raises:
        ConfigError: The secret is not there.
    """
    if spec.topic is not None:
        return TopicChannel(project, spec.topic)
    assert spec.url is not None  # the spec has one of both
    return AppriseChannel(spec.url.reveal())
