"""What requests about topics say, and what they get."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from dteg.core.config import ConfigModel
from dteg.topics.models import NewMessage, Outcome, TopicName, TopicSettings

AckIds = Annotated[list[Annotated[str, Field(max_length=500)]], Field(max_length=10_000)]
MAX_WAIT_S = 25


class NewTopic(ConfigModel):
    """A topic to make."""

    name: TopicName
    settings: TopicSettings = Field(default_factory=TopicSettings, description="How it keeps and delivers.")


class NewMessages(ConfigModel):
    """Messages to publish, all or none."""

    messages: list[NewMessage] = Field(min_length=1, max_length=1000, description="In their order.")


class NewGroup(ConfigModel):
    """Where a group begins."""

    start: str = Field("earliest", max_length=64, description="earliest, latest, an offset or a time.")


class WantedMessages(ConfigModel):
    """What a member of a group takes."""

    limit: int = Field(10, ge=1, le=1000, description="At most so many.")
    wait_s: float = Field(0, ge=0, le=MAX_WAIT_S, description="Wait so long if there is none.")
    lease_s: float = Field(30, ge=0.05, le=3600, description="Time to ack, nack or extend.")


class Acks(ConfigModel):
    """Deliveries that are done, or given back."""

    ack_ids: AckIds = Field(description="As the deliveries name themselves.")


class Extension(Acks):
    """Deliveries that take longer."""

    lease_s: float = Field(30, ge=0.05, le=3600, description="Time from now.")


class Nack(ConfigModel):
    """A delivery that failed."""

    ack_id: str = Field(max_length=500, description="As the delivery names itself.")
    error: str = Field("", max_length=10_000, description="Why, for the dead letter.")
    retry_in_s: float | None = Field(
        None, ge=0, le=86_400, description="When again; default: as the topic's settings say."
    )


class Replay(ConfigModel):
    """Where a group goes on."""

    start: str = Field(max_length=64, description="earliest, latest, an offset or a time.")


class DeadLetterReplay(ConfigModel):
    """Dead letters to deliver once more."""

    ids: list[int] | None = Field(None, max_length=10_000, description="Which; default: all of the group.")


class PruneRequest(ConfigModel):
    """Where retention shall work now."""

    topic: str = Field("", max_length=100, description="Only this one; default: all.")


class Count(BaseModel):
    """How many it was."""

    count: int


class NackAnswer(BaseModel):
    """What becomes of the message."""

    outcome: Outcome


class MemberWord(ConfigModel):
    """What a client says over a WebSocket of a group: one JSON document for each delivery."""

    act: Literal["ack", "nack", "extend", "release"]
    ack_id: str = Field(max_length=500)
    error: str = Field("", max_length=10_000)
    retry_in_s: float | None = Field(None, ge=0, le=86_400)
