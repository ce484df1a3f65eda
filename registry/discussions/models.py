"""Threads and replies, and what clients send and get."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from registry.documents import Answer, Body, Document, Line, Text

MAX_TITLE = 200
MAX_TEXT = 20_000
PostState = Literal["visible", "hidden", "deleted"]

Title = Annotated[Line, Field(min_length=3, max_length=MAX_TITLE)]
PostText = Annotated[Text, Field(min_length=1, max_length=MAX_TEXT)]


class Post(Document):
    """What threads and replies have in common.

    Attributes:
        component: `namespace/slug`.
        user_id: Who wrote it.
        text: Markdown, as written; pages sanitise it. Empty when deleted.
        state: Hidden by a moderator, or deleted by its author.
        edited_at: When the author changed it last.
    """

    component: str
    user_id: str
    text: str
    state: PostState = "visible"
    created_at: datetime
    edited_at: datetime | None = None


class Thread(Post):
    """A thread: its title and first text.

    Attributes:
        title: One line.
        locked: Whether it takes no more replies.
        replies: How many were begun; deleted ones too.
        last_at: When the newest was.
        told: Whether its event is kept for the webhooks; until then the thread itself stands for it.
    """

    title: str
    locked: bool = False
    replies: int = 0
    last_at: datetime
    told: bool = True


class Reply(Post):
    """A reply.

    Attributes:
        thread: To which thread.
    """

    thread: str


class NewThread(Body):
    """A thread to begin."""

    title: Title = Field(description="One line.")
    text: PostText = Field(description="Markdown; shown without raw HTML.")


class ThreadChange(Body):
    """What the author changes."""

    title: Title | None = Field(None, description="One line.")
    text: PostText | None = Field(None, description="Markdown; shown without raw HTML.")


class NewReply(Body):
    """A reply to write, or its new text."""

    text: PostText = Field(description="Markdown; shown without raw HTML.")


class PostAnswer(Answer):
    """What threads and replies have in common for others; hidden and deleted ones have no text."""

    id: str
    author: str
    text: str
    state: PostState
    created_at: datetime
    edited_at: datetime | None


class ReplyAnswer(PostAnswer):
    """A reply as others see it."""

    thread: str


class ThreadAnswer(PostAnswer):
    """A thread as others see it."""

    component: str
    title: str
    locked: bool
    replies: int
    last_at: datetime
