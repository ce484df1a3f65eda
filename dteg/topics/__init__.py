"""Topics: publish messages, and subscribe to them at least once."""

from dteg.topics.models import (
    DeadLetter,
    Delivery,
    Group,
    Message,
    NewMessage,
    Receipt,
    Topic,
    TopicSettings,
    parse_start,
)
from dteg.topics.service import Topics

__all__ = [
    "DeadLetter",
    "Delivery",
    "Group",
    "Message",
    "NewMessage",
    "Receipt",
    "Topic",
    "TopicSettings",
    "Topics",
    "parse_start",
]
