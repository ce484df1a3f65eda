"""Topics in the browser: what there is, what came last, who is behind, and what was given up."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from dteg.core.errors import ConfigError, DtegError
from dteg.topics.models import Message, NewMessage, TopicSettings, parse_start
from dteg.webapp.forms import read, refusal, state
from dteg.webapp.pages import go
from dteg.webkit import FormState
from studio.access import Principal, Scope, allow
from studio.rendering import Line, Posted, Summary, show
from studio.services import Services, services_of

NAVIGATION = ("Topics", "/topics")
DONE = {
    "topic-made": "The topic is there.",
    "topic-changed": "The settings are changed.",
    "topic-deleted": "The topic is deleted.",
    "message-published": "The message is published.",
    "group-set": "The group goes on from there.",
    "group-deleted": "The group is forgotten.",
    "dead-letters-replayed": "The dead letters are delivered again.",
}
router = APIRouter(prefix="/topics")

Name = Annotated[str, Path(max_length=100)]
Reader = Annotated[Principal, allow(Scope.READ)]
_WRITE = allow(Scope.WRITE)
_ADMIN = allow(Scope.ADMIN)
_SHOWN = 50
_SHOWN_CHARACTERS = 2_000
_LINES = 5


class TopicForm(TopicSettings):
    """The settings in the units of the form."""

    retention_s: int = Field(7, ge=1, le=3660, description="Days.")
    retention_bytes: int = Field(1024, ge=1, le=2**40, description="MB.")
    max_payload_bytes: int = Field(512, ge=1, le=8192, description="KB.")

    def settings(self) -> TopicSettings:
        """Return the settings."""
        return TopicSettings(
            **{
                **self.model_dump(),
                "retention_s": self.retention_s * 86_400,
                "retention_bytes": self.retention_bytes * 2**20,
                "max_payload_bytes": self.max_payload_bytes * 1024,
            }
        )

    @classmethod
    def given(cls, settings: TopicSettings) -> dict[str, str]:
        """Return what the form of a topic says now."""
        values: dict[str, Any] = {
            **settings.model_dump(),
            "retention_s": max(1, settings.retention_s // 86_400),
            "retention_bytes": max(1, settings.retention_bytes // 2**20),
            "max_payload_bytes": max(1, settings.max_payload_bytes // 1024),
        }
        return {name: str(value) for name, value in values.items()}


def summary(services: Services) -> Summary:
    """Say on the home page which topics there are, and whether something was given up."""
    topics = services.topics.topics(limit=1000)
    dead = sum(topic.dead_letters for topic in topics)
    worst = sorted(topics, key=lambda topic: (-topic.dead_letters, -topic.messages))[:_LINES]
    return Summary(
        title="Topics",
        href="/topics",
        figures=(("topics", f"{len(topics):,}"), ("dead letters", f"{dead:,}")) if topics else (),
        lines=tuple(
            Line(
                topic.name, f"/topics/{topic.name}",
                f"{topic.dead_letters:,} dead" if topic.dead_letters else f"{topic.messages:,} messages",
                "bad" if topic.dead_letters else "",
            )
            for topic in worst
        ),
        empty="Make a topic, publish to it, and let programs subscribe.",
        tone="bad" if dead else "",
    )  # fmt: skip


@router.get("", dependencies=[allow(Scope.READ)])
def topics(request: Request) -> Response:
    """The list, and the form of a new one."""
    return _list(request)


@router.post("", dependencies=[_WRITE])
def create(request: Request, form: Posted) -> Response:
    """Make a topic."""
    name = form.get("name", "")
    settings, errors = read(TopicForm, _settings_of(form))
    try:
        if settings is None:
            return _list(request, state(form, errors))
        services_of(request).topics.create(name, settings.settings())
    except DtegError as error:
        return _list(request, state(form, problem=refusal(error)))
    return go(f"/topics/{name}", "topic-made")


@router.get("/{topic}")
def topic_page(
    request: Request, topic: Name, who: Reader, before: Annotated[int | None, Query(ge=0)] = None
) -> Response:
    """One topic: its last messages, its groups, and what they gave up."""
    return _page(request, topic, who, before=before)


@router.post("/{topic}/publish")
def publish(
    request: Request,
    topic: Name,
    who: Annotated[Principal, allow(Scope.PUBLISH)],
    *,
    payload: Annotated[str, Form()] = "",
    key: Annotated[str, Form()] = "",
    headers: Annotated[str, Form()] = "",
) -> Response:
    """Publish one message. The payload is taken as it is, spaces around it included."""
    who.require_topic(topic)
    form = {"payload": payload, "key": key, "headers": headers}
    try:
        message = NewMessage.make(payload.replace("\r\n", "\n"), key=key.strip(), headers=_headers(headers))
        services_of(request).topics.publish_many(topic, [message])
    except DtegError as error:
        return _page(request, topic, who, state(form, problem=refusal(error)))
    return go(f"/topics/{topic}", "message-published")


@router.post("/{topic}/settings", dependencies=[_WRITE])
def change(request: Request, topic: Name, form: Posted, who: Reader) -> Response:
    """Give a topic other settings."""
    settings, errors = read(TopicForm, _settings_of(form))
    if settings is None:
        return _page(request, topic, who, settings=state(form, errors))
    services_of(request).topics.change(topic, settings.settings())
    return go(f"/topics/{topic}", "topic-changed")


@router.post("/{topic}/groups/{group}/replay", dependencies=[_WRITE])
def replay(request: Request, topic: Name, group: Name, form: Posted, who: Reader) -> Response:
    """Set a group to another place."""
    try:
        services_of(request).topics.replay(topic, group, parse_start(form.get("start", "")))
    except ConfigError as error:
        return _page(request, topic, who, problem=str(error))
    return go(f"/topics/{topic}", "group-set", "groups")


@router.post("/{topic}/groups/{group}/replay-dead-letters", dependencies=[_WRITE])
def replay_dead_letters(request: Request, topic: Name, group: Name, form: Posted) -> Response:
    """Deliver dead letters again: one, or all of a group."""
    one = form.get("id", "")
    ids = [int(one)] if one.isascii() and one.isdecimal() and len(one) < 19 else None
    services_of(request).topics.replay_dead_letters(topic, group, ids)
    return go(f"/topics/{topic}", "dead-letters-replayed", "dead-letters")


@router.get("/{topic}/groups/{group}/delete", dependencies=[_WRITE])
def ask_delete_group(request: Request, topic: Name, group: Name) -> Response:
    """Ask before a group is forgotten."""
    return show(request, "topics_delete.html", topic=services_of(request).topics.topic(topic), group=group)


@router.post("/{topic}/groups/{group}/delete", dependencies=[_WRITE])
def delete_group(request: Request, topic: Name, group: Name, _form: Posted) -> Response:
    """Forget a group."""
    services_of(request).topics.delete_group(topic, group)
    return go(f"/topics/{topic}", "group-deleted")


@router.get("/{topic}/delete", dependencies=[_ADMIN])
def ask_delete(request: Request, topic: Name) -> Response:
    """Ask before a topic is deleted."""
    return show(request, "topics_delete.html", topic=services_of(request).topics.topic(topic), group="")


@router.post("/{topic}/delete", dependencies=[_ADMIN])
def delete(request: Request, topic: Name, _form: Posted) -> Response:
    """Delete a topic."""
    services_of(request).topics.delete(topic)
    return go("/topics", "topic-deleted")


def _list(request: Request, form: FormState | None = None) -> Response:
    found = services_of(request).topics.topics()
    return show(
        request, "topics_list.html", status=422 if form else 200, topics=found, form=form or FormState()
    )


def _page(
    request: Request,
    name: str,
    who: Principal,
    form: FormState | None = None,
    *,
    settings: FormState | None = None,
    before: int | None = None,
    problem: str = "",
) -> Response:
    topics = services_of(request).topics
    topic = topics.topic(name)
    may_see = who.may(Scope.SUBSCRIBE) and who.may_use_topic(name)
    end = min(before, topic.next_offset) if before is not None else topic.next_offset
    first = max(topic.first_offset, end - _SHOWN)
    messages = topics.read(name, first, limit=max(1, end - first)) if may_see and end > first else []
    dead = topics.dead_letters(name, limit=_SHOWN) if may_see else []
    return show(
        request, "topics_topic.html", status=422 if form or settings or problem else 200, topic=topic,
        groups=topics.groups(name), messages=[_shown(each) for each in reversed(messages)],
        dead=[(each, _shown(each)) for each in dead], may_see=may_see, live=before is None, older=first if first > topic.first_offset else None,
        may_publish=who.may(Scope.PUBLISH) and who.may_use_topic(name), form=form or FormState(), problem=problem,
        settings=settings or FormState(TopicForm.given(topic.settings)), settings_open=settings is not None,
    )  # fmt: skip


def _shown(message: Message) -> dict[str, Any]:
    """Return what a page shows of a message: of a long one the beginning."""
    cut = len(message.payload) > _SHOWN_CHARACTERS
    return {
        "offset": message.offset,
        "at": message.published_at,
        "key": message.key,
        "headers": " ".join(f"{name}={value}" for name, value in message.headers.items()),
        "payload": message.payload[:_SHOWN_CHARACTERS] + ("…" if cut else ""),
        "encoding": message.encoding,
    }


def _settings_of(form: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in form.items() if name in TopicForm.model_fields and value}


def _headers(text: str) -> dict[str, str]:
    """Read one header from each line, as NAME=VALUE.

    Raises:
        ConfigError: A line is none.
    """
    headers = {}
    for line in filter(None, (each.strip() for each in text.splitlines())):
        name, equals, value = line.partition("=")
        if not equals:
            raise ConfigError(f"header {line[:80]!r}: write NAME=VALUE")
        headers[name.strip()] = value.strip()
    return headers
