"""What goes into topics and comes out of them: plain JSON, times in UTC."""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, TypeAdapter, ValidationError, model_validator

from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError, Problem
from dteg.core.wording import plain_message

NAME_PATTERN = r"^[a-z][a-z0-9_]*([.-][a-z0-9_]+)*$"
GROUP_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
MAX_NAME = 100
MAX_GROUP = 60
MAX_HEADERS = 32
MAX_PAYLOAD_BYTES = 8 * 2**20
MAX_BATCH = 10_000

# Headers become environment variables and lines of other protocols: no control characters in either part.
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_ACK_ID = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})")

Payload = bytes | str | Mapping[str, Any] | Sequence[Any]
Encoding = Literal["text", "base64"]
Start = int | datetime | Literal["earliest", "latest"]
Outcome = Literal["retry", "dead", "stale"]


def _headers(headers: dict[str, str]) -> dict[str, str]:
    if len(headers) > MAX_HEADERS:
        raise ValueError(f"{len(headers)} headers are too many; at most {MAX_HEADERS}")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(
                f"{name[:80]!r} is no name of a header: letters, digits, _ and -, a letter first"
            )
        if len(value) > 1000 or _CONTROL.search(value):
            raise ValueError(f"header {name}: at most 1,000 characters, and no control characters")
    return headers


def _printable(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("control characters are not allowed")
    return text


TopicName = Annotated[str, Field(pattern=NAME_PATTERN, max_length=MAX_NAME)]
GroupName = Annotated[str, Field(pattern=GROUP_PATTERN, max_length=MAX_GROUP)]
_TOPIC = TypeAdapter[str](TopicName)
_GROUP = TypeAdapter[str](GroupName)
Headers = Annotated[dict[str, str], AfterValidator(_headers)]
Key = Annotated[str, Field(max_length=500), AfterValidator(_printable)]


class TopicSettings(ConfigModel):
    """How a topic keeps and delivers its messages."""

    description: Annotated[str, AfterValidator(_printable)] = Field(
        "", max_length=500, description="What the messages are."
    )
    retention_s: int = Field(
        7 * 86_400, ge=1, le=10 * 366 * 86_400, description="Seconds after which a message may be deleted."
    )
    retention_bytes: int = Field(
        2**30, ge=1, description="Bytes of payload that are kept; beyond them the oldest messages go."
    )
    max_payload_bytes: int = Field(
        512 * 1024, ge=1, le=MAX_PAYLOAD_BYTES, description="Largest payload of one message."
    )
    max_attempts: int = Field(
        5, ge=1, le=1000, description="Deliveries to a group before a message becomes a dead letter."
    )
    retry_base_s: float = Field(
        1.0, ge=0, le=3600, description="Wait before the second delivery; doubled for each after it."
    )
    retry_max_s: float = Field(300.0, ge=0, le=86_400, description="Longest wait between two deliveries.")

    def retry_in_s(self, attempt: int) -> float:
        """Return the wait after failed delivery number `attempt` (from 1)."""
        return float(min(self.retry_max_s, self.retry_base_s * 2.0 ** min(attempt - 1, 60)))


class Topic(ConfigModel):
    """A topic as it stands."""

    name: TopicName
    settings: TopicSettings
    created_at: AwareDatetime
    first_offset: int = Field(description="Offset of the oldest message that is kept.")
    next_offset: int = Field(description="Offset that the next message gets.")
    messages: int = Field(description="Messages that are kept.")
    bytes: int = Field(description="Bytes of their payloads.")
    groups: int = Field(0, description="Groups that read it.")
    dead_letters: int = Field(0, description="Messages that groups gave up.")


class NewMessage(ConfigModel):
    """A message to publish."""

    payload: str = Field("", description="Text, or base64 of bytes that are no UTF-8 text.")
    encoding: Encoding = Field("text", description="How `payload` holds the bytes.")
    key: Key = Field("", description="What the message is about.")
    headers: Headers = Field(default_factory=dict, description="Names and values beside the payload.")

    @model_validator(mode="after")
    def _decodes(self) -> Self:
        self.data  # noqa: B018 - raises
        return self

    @property
    def data(self) -> bytes:
        """The payload's bytes."""
        return decoded(self.payload, self.encoding)

    @classmethod
    def make(cls, payload: Payload, *, key: str = "", headers: Mapping[str, str] | None = None) -> Self:
        """Return a message of bytes, of text, or of a value that is written as JSON.

        Raises:
            ConfigError: The key, a header or the payload cannot be sent; says which and why.
        """
        data = to_bytes(payload)
        text, encoding = encoded(data)
        try:
            return cls(payload=text, encoding=encoding, key=key, headers=dict(headers or {}))
        except ValidationError as error:
            raise problems_of(error) from None


class Receipt(ConfigModel):
    """What was published. The offsets are given in the order of commits, a moment later."""

    topic: TopicName
    messages: int
    bytes: int = Field(description="Bytes of payload.")


class Message(ConfigModel):
    """A message of a topic."""

    topic: TopicName
    offset: int = Field(description="Its place in the topic, from 0.")
    key: str
    headers: dict[str, str]
    payload: str = Field(description="Text, or base64 of bytes that are no UTF-8 text.")
    encoding: Encoding
    published_at: AwareDatetime

    @property
    def data(self) -> bytes:
        """The payload's bytes."""
        return decoded(self.payload, self.encoding)

    def json_value(self) -> Any:
        """Return the payload read as JSON.

        Raises:
            ValueError: It is not JSON.
        """
        return json.loads(self.data)


class Delivery(Message):
    """A message handed to a member of a group, which says what became of it."""

    group: GroupName
    attempt: int = Field(description="Which delivery of it to the group this is, from 1.")
    ack_id: str = Field(description="What to name in ack, nack, extend and release.")
    lease_until: AwareDatetime = Field(description="When it goes to somebody else without an answer.")


class Group(ConfigModel):
    """A group of subscribers that share the messages of a topic."""

    topic: TopicName
    name: GroupName
    next_offset: int = Field(description="Everything before it was handed out at least once.")
    lag: int = Field(description="Messages that were not handed out yet.")
    in_flight: int = Field(description="Messages that a member works on now.")
    retrying: int = Field(description="Messages that wait for another delivery.")
    dead_letters: int = Field(description="Messages that were given up.")
    missed: int = Field(0, description="Messages that retention deleted before the group got them.")
    created_at: AwareDatetime
    last_seen_at: AwareDatetime


class DeadLetter(Message):
    """A message that a group gave up."""

    id: int
    group: GroupName
    attempts: int
    error: str = Field(description="What the last attempt said.")
    died_at: AwareDatetime
    replaying: bool = Field(description="Whether it waits for delivery once more.")


class Pruned(ConfigModel):
    """What retention deleted from one topic."""

    topic: TopicName
    messages: int
    bytes: int


def topic_name(name: str) -> str:
    """Return a name that a topic can have.

    Raises:
        ConfigError: It cannot.
    """
    return _checked(
        _TOPIC, name, "small letters, digits and _, with single dots or - between, such as shop.orders"
    )


def group_name(name: str) -> str:
    """Return a name that a group can have.

    Raises:
        ConfigError: It cannot.
    """
    return _checked(_GROUP, name, f"letters, digits, _ and -, at most {MAX_GROUP}")


def _checked(adapter: TypeAdapter[str], name: str, form: str) -> str:
    try:
        return adapter.validate_python(name)
    except ValidationError:
        raise ConfigError(f"{name[:MAX_NAME]!r} cannot be a name here: {form}") from None


def to_bytes(payload: Payload) -> bytes:
    """Return the bytes of a payload: as they are, text as UTF-8, anything else as JSON.

    Raises:
        ConfigError: It cannot be written as JSON.
    """
    if isinstance(payload, bytes):
        return payload
    try:
        if isinstance(payload, str):
            return payload.encode()
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the payload cannot be written as JSON: {error}") from None


def encoded(data: bytes) -> tuple[str, Encoding]:
    """Return bytes as text if they are UTF-8, else as base64."""
    try:
        return data.decode(), "text"
    except UnicodeDecodeError:
        return base64.b64encode(data).decode("ascii"), "base64"


def decoded(payload: str, encoding: Encoding) -> bytes:
    """Return the bytes that `encoded` hid.

    Raises:
        ValueError: It is not base64, or not text that UTF-8 can hold.
    """
    if encoding == "text":
        return payload.encode()
    try:
        return base64.b64decode(payload, validate=True)
    except binascii.Error as error:
        raise ValueError(f"payload is not base64: {error}") from None


def parse_start(text: str) -> Start:
    """Read where to begin: earliest, latest, an offset, or a time such as 2026-11-21T09:00:00Z.

    Raises:
        ConfigError: It is none of them.
    """
    if text == "earliest":
        return "earliest"
    if text == "latest":
        return "latest"
    if text.isascii() and text.isdecimal() and len(text) < 19:
        return int(text)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is no place in a topic; write earliest, latest, an offset such as 42,"
            " or a time such as 2026-11-21T09:00:00Z"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def problems_of(error: ValidationError) -> ConfigError:
    """Return our error for values that a model refused, without the values."""
    return ConfigError(
        [
            Problem(
                plain_message(each),
                path=".".join(str(part) for part in each["loc"]),
            )
            for each in error.errors(include_url=False, include_input=False)
        ]
    )


def parse_ack_id(ack_id: str) -> tuple[int, int]:
    """Return the offset and the lease that name a delivery.

    Raises:
        ConfigError: Nobody was given such a name.
    """
    match = _ACK_ID.fullmatch(ack_id)
    if match is None:
        raise ConfigError(f"{ack_id[:50]!r} is no ack_id; take the one of the delivery")
    return int(match[1]), int(match[2])
