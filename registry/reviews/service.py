"""Stars and words of people who installed it, and not just now: who only wants to praise or to harm moves on sooner.

How many successful runs an installation tells is shown, but opens no door: its owner may tell any number.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dteg.core.errors import ConflictError, DeniedError, InputError, NotFoundError, UnavailableError
from registry.access import Principal, Role, Scope
from registry.background import Repeating
from registry.documents import milliseconds
from registry.identifiers import new_id
from registry.reviews.models import (
    NewReview,
    RatingSummary,
    Reply,
    ReplyAnswer,
    Review,
    ReviewAnswer,
    ReviewSort,
)
from registry.reviews.store import INDEXES, ReviewStore, review_id
from registry.service import Service
from registry.webhooks.models import Event, Happened

if TYPE_CHECKING:
    from registry.services import Services

_TRIES = 50
_RECOUNT_EVERY_S = 3_600.0
_RECOUNT_AFTER = timedelta(hours=20)
# A writer that replaced a review adds the difference to the sums at once; its database calls end after 10 s.
_SETTLED = timedelta(seconds=30)


class Reviews(Service):
    """Keeps reviews, their sums, votes and replies."""

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = ReviewStore(self.database)
        self._recounting = Repeating(services, "recount of reviews", _RECOUNT_EVERY_S, self.recount_all)

    async def start(self) -> None:
        """Begin to recount each component once a day."""
        self._recounting.start()

    async def stop(self) -> None:
        """Stop recounting."""
        await self._recounting.stop()

    # --- writing ---------------------------------------------------------------------------------------

    async def write(self, who: Principal, component_id: str, new: NewReview) -> tuple[Review, bool]:
        """Write one's review of a component, or replace it; return it, and whether it is the first.

        Raises:
            NotFoundError: There is no such component.
            DeniedError: Who asks has not installed it long enough, or belongs to its publisher.
        """
        component = await self.services.components.get(component_id)
        await self._refuse_own(who, component.namespace)
        install = await self.services.downloads.install_of(who.user_id, component_id)
        since = await self.services.downloads.installed_since(who.user_id, component_id)
        if install is None or since is None:
            raise DeniedError(
                f"only who installed {component_id} may review it: log in, then dteg install {component_id}"
            )
        self._refuse_early(component_id, since)
        for _ in range(_TRIES):
            seen = await self._store.find(component_id, who.user_id)
            now = milliseconds(self.clock())
            fresh: dict[str, Any] = {
                "stars": new.stars, "text": new.text, "version": install.version, "installed_at": since,
                "ok_runs": install.ok_runs, "touched_at": now,
            }  # fmt: skip
            if seen is None:
                review = Review(
                    id=review_id(component_id, who.user_id), key=new_id(), component=component_id, user_id=who.user_id,
                    created_at=now, told=False, **fresh,
                )  # fmt: skip
                done = await self._store.insert(review)
            else:
                changed = (seen.stars, seen.text) != (new.stars, new.text)
                review = _edited(seen, now, fresh, new_edition=changed)
                done = await self._replace(seen, review)
            if done:
                if seen is None:
                    await self._store.add(component_id, 0, review.counted_stars)
                    self.services.webhooks.wake()
                await self._show(component_id)
                return review, seen is None
        raise UnavailableError("this review is being changed by many at once: try again")

    async def withdraw(self, who: Principal, component_id: str) -> None:
        """Take one's review back: stars and text are erased.

        Raises:
            NotFoundError: There is none.
        """

        def emptied(seen: Review) -> Review:
            if not seen.stars:
                raise NotFoundError(f"you have no review of {component_id}")
            gone = {"stars": 0, "text": "", "reply": None, "told": True}
            return _edited(seen, milliseconds(self.clock()), gone, new_edition=True)

        review = await self._change(review_id(component_id, who.user_id), emptied)
        await self.services.audit.record(who, "review.withdraw", review.key, component=component_id)
        await self._show(component_id)

    async def reply(self, who: Principal, key: str, text: str) -> Review:
        """Answer a review for the publisher; empty text takes the answer back.

        Raises:
            NotFoundError: There is no such review.
            DeniedError: Who asks is no maintainer of the component's namespace.
        """
        review = await self.get(key)
        namespace = review.component.partition("/")[0]
        await self.services.namespaces.require(who, namespace, Role.MAINTAINER, review.component)
        now = milliseconds(self.clock())
        answer = Reply(text=text, by=who.user_id, at=now) if text else None

        def answered(seen: Review) -> Review:
            return seen.model_copy(update={"reply": answer, "rev": seen.rev + 1, "touched_at": now})

        review = await self._change(review.id, answered)
        await self.services.audit.record(who, "review.reply", key, removed=not text)
        return review

    async def set_hidden(self, who: Principal, key: str, hidden: bool, reason: str) -> Review:
        """Hide a review from everybody but its author, or show it again; called by moderation, which checks rights."""
        now = milliseconds(self.clock())

        def moderated(seen: Review) -> Review:
            return seen.model_copy(update={"hidden": hidden, "rev": seen.rev + 1, "touched_at": now})

        review = await self._change((await self.get(key)).id, moderated)
        action = "review.hide" if hidden else "review.show"
        await self.services.audit.record(who, action, key, component=review.component, reason=reason)
        await self._show(review.component)
        return review

    async def vote(self, who: Principal, key: str, helpful: bool) -> int:
        """Say that a review is helpful, or take that back; return how many say so. Saying it twice counts once.

        Raises:
            NotFoundError: There is no such review.
            DeniedError: It is one's own.
        """
        review = await self.get(key)
        if review.user_id == who.user_id:
            raise DeniedError("your own review cannot be marked helpful by yourself")
        if helpful:
            changed = await self._store.vote(review, who.user_id, milliseconds(self.clock()))
        else:
            changed = await self._store.unvote(review, who.user_id)
        if not changed:
            return review.helpful
        counted = await self._store.add_helpful(review, 1 if helpful else -1)
        if counted is None:
            raise ConflictError("the review was rewritten meanwhile: read it again")
        return counted.helpful

    async def opens(self, who: Principal, component_id: str) -> datetime | None:
        """Return from when on somebody may review a component; None who has not installed it."""
        since = await self.services.downloads.installed_since(who.user_id, component_id)
        return None if since is None else self._opens(since)

    # --- reading ---------------------------------------------------------------------------------------

    async def get(self, key: str) -> Review:
        """Return a review that is not withdrawn.

        Raises:
            NotFoundError: There is none.
        """
        review = await self._store.by_key(key)
        if review is None or not review.stars:
            raise NotFoundError("there is no such review")
        return review

    async def of(self, who: Principal, component_id: str) -> Review | None:
        """Return one's own review of a component."""
        review = await self._store.find(component_id, who.user_id) if who.known else None
        return review if review is not None and review.stars else None

    async def page(
        self, who: Principal, component_id: str, *, sort: ReviewSort, after: str, limit: int
    ) -> tuple[list[Review], str | None]:
        """Return reviews of a component, and the cursor of the next page.

        Raises:
            NotFoundError: There is no such component.
            InputError: The cursor is not one of ours.
        """
        await self.services.components.get(component_id)
        reviews = await self._store.page(
            component_id, sort=sort, after=_cursor(after), limit=limit, hidden=who.may(Scope.ADMIN)
        )
        full = len(reviews) == limit
        return reviews, f"{reviews[-1].helpful}-{reviews[-1].key}" if full else None

    async def summary(self, component_id: str) -> RatingSummary:
        """Return what people think of a component."""
        return RatingSummary.of(await self._store.rating(component_id))

    async def answers(self, reviews: list[Review]) -> list[ReviewAnswer]:
        """Return reviews as others see them."""
        ids = {review.user_id for review in reviews} | {review.reply.by for review in reviews if review.reply}
        logins = await self.services.accounts.logins(sorted(ids))
        return [_answer(review, logins) for review in reviews]

    # --- events ----------------------------------------------------------------------------------------

    async def untold(self, limit: int) -> list[Happened]:
        """Return events of first reviews that the webhooks have not kept yet."""
        reviews = await self._store.untold(limit)
        logins = await self.services.accounts.logins(sorted({each.user_id for each in reviews}))
        return [_event(each, logins.get(each.user_id, "")) for each in reviews]

    async def told(self, happened: Happened) -> None:
        """Note that the webhooks have kept an event."""
        await self._store.set_told(happened.id)

    # --- sums ------------------------------------------------------------------------------------------

    async def recount_all(self) -> int:
        """Recount the components whose last recount is 20 hours ago or more; return how many were wrong."""
        wrong = 0
        for component_id in await self._store.components():
            now = milliseconds(self.clock())
            if await self._store.take_for_recount(component_id, now, now - _RECOUNT_AFTER):
                wrong += await self.recount(component_id)
        return wrong

    async def recount(self, component_id: str) -> bool:
        """Set the sums of a component to what its reviews give; return whether they were wrong.

        Where a review changed within the last half minute nothing is done: its writer may not yet have added the
        difference, and would add it to sums that have it already.
        """
        settled = milliseconds(self.clock()) - _SETTLED
        await self._store.recount_votes(component_id, settled)
        seen = await self._store.rating(component_id)
        right = await self._store.counted(component_id)
        if seen is None or await self._store.touched_since(component_id, settled):
            return False
        if all(getattr(seen, name) == value for name, value in right.items()):
            return False
        if not await self._store.set_rating(seen, right):
            return False
        await self._show(component_id)
        return True

    # --- inside ----------------------------------------------------------------------------------------

    def _refuse_early(self, component_id: str, since: datetime) -> None:
        opens = self._opens(since)
        if opens > self.clock():
            raise DeniedError(
                f"reviews come from people who have used {component_id} for {self.settings.review_after_days} days: "
                f"you may write yours from {opens:%Y-%m-%d %H:%M} UTC on"
            )

    def _opens(self, since: datetime) -> datetime:
        return since.astimezone(UTC) + timedelta(days=self.settings.review_after_days)

    async def _refuse_own(self, who: Principal, namespace: str) -> None:
        role = (await self.services.namespaces.get(namespace)).role_of(who.user_id)
        if role is not None:
            raise DeniedError(
                f"you are a member of {namespace!r}: members do not review their own components"
            )

    async def _show(self, component_id: str) -> None:
        try:
            await self.services.components.refresh(component_id)
        except ConflictError:  # many change it at once; what was written stays written
            self.services.downloads.show_later(component_id)

    async def _change(self, review: str, change: Callable[[Review], Review]) -> Review:
        """Change a review by its key in the store, again and again until nobody came between."""
        component, _, user_id = review.rpartition("|")
        for _ in range(_TRIES):
            seen = await self._store.find(component, user_id)
            if seen is None:
                raise NotFoundError(f"you have no review of {component}")
            new = change(seen)
            if await self._replace(seen, new):
                return new
        raise UnavailableError("this review is being changed by many at once: try again")

    async def _replace(self, seen: Review, new: Review) -> bool:
        """Replace a review and add the difference to the sums; False if it has changed since it was seen."""
        before = await self._store.replace(seen, new)
        if before is None:
            return False
        if before.counted_stars != new.counted_stars:
            await self._store.add(new.component, before.counted_stars, new.counted_stars)
        return True


def _edited(seen: Review, now: datetime, values: dict[str, object], *, new_edition: bool) -> Review:
    more: dict[str, object] = {"rev": seen.rev + 1, "touched_at": now}
    if new_edition:
        more |= {"edition": seen.edition + 1, "helpful": 0, "edited_at": now}
    return seen.model_copy(update={**values, **more})


def _event(review: Review, author: str) -> Happened:
    payload = {
        "component": review.component, "review": review.key, "stars": review.stars, "author": author,
        "version": review.version,
    }  # fmt: skip
    namespace = review.component.partition("/")[0]
    return Happened(
        id=review.key, event=Event.REVIEW_CREATED, namespace=namespace, payload=payload, at=review.created_at
    )


def _answer(review: Review, logins: dict[str, str]) -> ReviewAnswer:
    reply = review.reply
    shown = ReplyAnswer(text=reply.text, by=logins.get(reply.by, ""), at=reply.at) if reply else None
    written_at = review.edited_at or review.created_at
    return ReviewAnswer(
        id=review.key, component=review.component, author=logins.get(review.user_id, ""), stars=review.stars,
        text=review.text, version=review.version, helpful=review.helpful, reply=shown, hidden=review.hidden,
        installed_days=max(0, (written_at - review.installed_at).days), ok_runs=review.ok_runs,
        created_at=review.created_at, edited_at=review.edited_at,
    )  # fmt: skip


def _cursor(after: str) -> tuple[int, str] | None:
    if not after:
        return None
    helpful, _, key = after.partition("-")
    if not helpful.isdecimal() or not key or len(helpful) > 15:
        raise InputError("after: give the `next` of the page before")
    return int(helpful), key
