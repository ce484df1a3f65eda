"""Reviews, their sums, and what clients send and get."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from registry.documents import Answer, Body, Document, Text

STARS = (1, 2, 3, 4, 5)
# The prior of the adjusted mean: what a component is thought to be worth before anybody has said so, and how many
# reviews that opinion weighs. 3.5 of 5 is a little above the middle, as people review what they chose to install.
PRIOR_MEAN = 3.5
PRIOR_WEIGHT = 5
MAX_TEXT = 5_000
MAX_REPLY = 2_000

ReviewText = Annotated[Text, Field(max_length=MAX_TEXT)]


class ReviewSort(StrEnum):
    """Which reviews come first."""

    NEWEST = "newest"
    HELPFUL = "helpful"


class Reply(BaseModel):
    """What the publisher answers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: str
    by: str
    at: datetime


class Review(Document):
    """What one account thinks of one component; its id is `component|account`.

    Attributes:
        key: Its name in addresses; sorts by the time of the first version.
        component: `namespace/slug`.
        user_id: Who wrote it.
        stars: 1 to 5; 0 when it was withdrawn.
        text: As written; pages sanitise it.
        version: The version that was installed when it was written.
        installed_at: When the author's first receipt for the component came; `review_after_days` before the review or more.
        ok_runs: Successful runs that the author's installation had told by then.
        hidden: Whether a moderator hid it; a new text does not change that.
        helpful: How many found this edition helpful.
        edition: Counts the texts: votes are for one text, not for what takes its place.
        reply: The publisher's answer.
        told: Whether its event is kept for the webhooks; until then the review itself stands for it.
        rev: Counts all changes, so that a change is never made to what nobody has seen.
        touched_at: When it last changed in any way.
    """

    key: str
    component: str
    user_id: str
    stars: int
    text: str
    version: str
    installed_at: datetime
    ok_runs: int = 0
    hidden: bool = False
    helpful: int = 0
    edition: int = 1
    reply: Reply | None = None
    told: bool = True
    rev: int = 1
    created_at: datetime
    edited_at: datetime | None = None
    touched_at: datetime

    @property
    def counted_stars(self) -> int:
        """What it adds to the sums: 0 when it is hidden or withdrawn."""
        return 0 if self.hidden else self.stars


class Rating(Document):
    """Sums over the reviews of one component; its id is the component's.

    Attributes:
        n: Number of reviews that count.
        sum: Sum of their stars.
        h1: How many gave one star; `h2` to `h5` likewise.
        rev: Counts the changes, so that a recount never overwrites one that it has not seen.
        counted_at: When the last recount began.
    """

    n: int = 0
    sum: int = 0
    h1: int = 0
    h2: int = 0
    h3: int = 0
    h4: int = 0
    h5: int = 0
    rev: int = 0
    counted_at: datetime | None = None


class RatingSummary(Answer):
    """What people think of a component.

    Attributes:
        count: Number of reviews.
        mean: Mean of the stars; None without reviews.
        adjusted: Mean with the prior, `(5 x 3.5 + sum) / (5 + n)`: few reviews cannot lift a component to the top.
        histogram: Number of reviews with one star, two, and so on to five.
    """

    count: int = 0
    mean: float | None = None
    adjusted: float = PRIOR_MEAN
    histogram: list[int] = Field(default=[0 for _ in STARS])

    @classmethod
    def of(cls, rating: Rating | None) -> Self:
        """Compute it from sums."""
        if rating is None or rating.n <= 0:
            return cls()
        return cls(
            count=rating.n,
            mean=round(rating.sum / rating.n, 2),
            adjusted=round((PRIOR_WEIGHT * PRIOR_MEAN + rating.sum) / (PRIOR_WEIGHT + rating.n), 2),
            histogram=[getattr(rating, f"h{stars}") for stars in STARS],
        )


class NewReview(Body):
    """Stars and words."""

    stars: int = Field(ge=1, le=5, strict=True, description="1 (bad) to 5 (good).")
    text: ReviewText = Field("", description="Markdown; shown without raw HTML.")


class NewReply(Body):
    """The publisher's answer."""

    text: Annotated[Text, Field(min_length=1, max_length=MAX_REPLY)] = Field(
        description="Markdown; shown without raw HTML."
    )


class ReplyAnswer(Answer):
    """The publisher's answer, as others see it."""

    text: str
    by: str
    at: datetime


class ReviewAnswer(Answer):
    """A review as others see it.

    Attributes:
        id: Its name in addresses.
        author: Login; "" when the account is gone.
        hidden: Whether a moderator hid it: only the author and administrators still get it.
        installed_days: For how many days the author had it installed when writing.
        ok_runs: Successful runs of that installation by then.
    """

    id: str
    component: str
    author: str
    stars: int
    text: str
    version: str
    helpful: int
    reply: ReplyAnswer | None
    hidden: bool
    installed_days: int
    ok_runs: int
    created_at: datetime
    edited_at: datetime | None


class HelpfulAnswer(Answer):
    """How many find a review helpful."""

    helpful: int
