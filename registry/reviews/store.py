"""The collections `reviews`, `ratings` and `review_votes`.

A review is replaced as a whole, guarded by its `rev`; the document it replaced tells what to take off the sums. A
crash between the two leaves sums that the recount repairs.
"""

from datetime import datetime
from typing import Any

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from registry.database import Database
from registry.reviews.models import STARS, Rating, Review, ReviewSort

REVIEWS, RATINGS, VOTES = "reviews", "ratings", "review_votes"
INDEXES = {
    REVIEWS: [
        IndexModel("key", unique=True),
        IndexModel([("component", 1), ("key", -1)]),
        IndexModel([("component", 1), ("helpful", -1), ("key", -1)]),
        IndexModel([("component", 1), ("touched_at", -1)]),
        IndexModel([("told", 1), ("_id", 1)]),
    ],
    VOTES: [IndexModel("review")],
}


class ReviewStore:
    """Reviews by component and account, and their sums."""

    def __init__(self, database: Database) -> None:
        self._reviews = database[REVIEWS]
        self._ratings = database[RATINGS]
        self._votes = database[VOTES]

    async def find(self, component: str, user_id: str) -> Review | None:
        """Return an account's review of a component."""
        return _review(await self._reviews.find_one({"_id": review_id(component, user_id)}))

    async def by_key(self, key: str) -> Review | None:
        """Return a review by its name in addresses."""
        return _review(await self._reviews.find_one({"key": key}))

    async def insert(self, review: Review) -> bool:
        """Keep a first review; return False if the account has one."""
        try:
            await self._reviews.insert_one(review.to_mongo())
        except DuplicateKeyError:
            return False
        return True

    async def untold(self, limit: int) -> list[Review]:
        """Return reviews whose event is not kept yet."""
        cursor = self._reviews.find({"told": False}, sort=[("_id", 1)], limit=limit)
        return [Review.from_mongo(document) async for document in cursor]

    async def set_told(self, key: str) -> None:
        """Note that the event of a review is kept."""
        await self._reviews.update_one({"key": key}, {"$set": {"told": True}})

    async def replace(self, seen: Review, new: Review) -> Review | None:
        """Replace a review and return what it replaced; None if it has changed since it was seen."""
        found = await self._reviews.find_one_and_replace(
            {"_id": seen.id, "rev": seen.rev}, new.to_mongo(), return_document=ReturnDocument.BEFORE
        )
        return _review(found)

    async def page(
        self, component: str, *, sort: ReviewSort, after: tuple[int, str] | None, limit: int, hidden: bool
    ) -> list[Review]:
        """Return reviews that are not withdrawn.

        Args:
            component: Of which component.
            sort: In which order.
            after: `helpful` and `key` of the last one of the page before.
            limit: How many at most.
            hidden: Whether hidden ones too.
        """
        query: dict[str, Any] = {"component": component, "stars": {"$gt": 0}}
        if not hidden:
            query["hidden"] = False
        order = [("key", -1)]
        if sort is ReviewSort.HELPFUL:
            order = [("helpful", -1), ("key", -1)]
        if after is not None:
            helpful, key = after
            older: dict[str, Any] = {"key": {"$lt": key}}
            if sort is ReviewSort.HELPFUL:
                older = {"$or": [{"helpful": {"$lt": helpful}}, {"helpful": helpful, **older}]}
            query |= older
        cursor = self._reviews.find(query, sort=order, limit=limit)
        return [Review.from_mongo(document) async for document in cursor]

    # --- sums ------------------------------------------------------------------------------------------

    async def rating(self, component: str) -> Rating | None:
        """Return the sums of a component."""
        found = await self._ratings.find_one({"_id": component})
        return Rating.from_mongo(found) if found else None

    async def add(self, component: str, before: int, after: int) -> None:
        """Take the stars of one review off the sums and put others in; 0 is no review."""
        change = {"rev": 1, "n": (after > 0) - (before > 0), "sum": after - before}
        if before != after:
            change |= {f"h{stars}": sign for stars, sign in ((before, -1), (after, 1)) if stars}
        await self._ratings.update_one({"_id": component}, {"$inc": change}, upsert=True)

    async def take_for_recount(self, component: str, now: datetime, not_since: datetime) -> Rating | None:
        """Return the sums if it is this process's turn to recount them."""
        old = {"$or": [{"counted_at": None}, {"counted_at": {"$lt": not_since}}]}
        try:
            found = await self._ratings.find_one_and_update(
                {"_id": component, **old},
                {"$set": {"counted_at": now}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:  # it is there and was counted lately
            return None
        return Rating.from_mongo(found) if found else None

    async def set_rating(self, seen: Rating, values: dict[str, int]) -> bool:
        """Correct sums; False if they have changed since they were seen."""
        same: dict[str, Any] = {"_id": seen.id, "rev": seen.rev or {"$in": [0, None]}}  # None: not there yet
        done = await self._ratings.update_one(same, {"$set": {**values, "rev": seen.rev + 1}})
        return bool(done.matched_count)

    async def touched_since(self, component: str, moment: datetime) -> bool:
        """Return whether a review of a component changed after a moment."""
        query = {"component": component, "touched_at": {"$gt": moment}}
        return await self._reviews.find_one(query, {"_id": 1}) is not None

    async def counted(self, component: str) -> dict[str, int]:
        """Return the sums as the reviews themselves give them."""
        stages: list[dict[str, Any]] = [
            {"$match": {"component": component, "hidden": False, "stars": {"$gt": 0}}},
            {"$group": {"_id": "$stars", "count": {"$sum": 1}}},
        ]
        found = {
            document["_id"]: document["count"] async for document in await self._reviews.aggregate(stages)
        }
        sums = {f"h{stars}": found.get(stars, 0) for stars in STARS}
        return {**sums, "n": sum(found.values()), "sum": sum(stars * n for stars, n in found.items())}

    async def components(self) -> list[str]:
        """Return the components that have reviews."""
        return sorted(await self._reviews.distinct("component"))

    # --- votes -----------------------------------------------------------------------------------------

    async def vote(self, review: Review, user_id: str, now: datetime) -> bool:
        """Note that somebody finds this edition helpful; False if that was noted before."""
        vote = {"_id": _vote_id(review, user_id), "review": review.key, "edition": review.edition, "at": now}
        try:
            await self._votes.insert_one(vote)
        except DuplicateKeyError:
            return False
        return True

    async def unvote(self, review: Review, user_id: str) -> bool:
        """Take a vote back; False if there is none."""
        return bool((await self._votes.delete_one({"_id": _vote_id(review, user_id)})).deleted_count)

    async def add_helpful(self, review: Review, change: int) -> Review | None:
        """Change the count of an edition; None if another has taken its place."""
        found = await self._reviews.find_one_and_update(
            {"_id": review.id, "edition": review.edition},
            {"$inc": {"helpful": change, "rev": 1}},
            return_document=ReturnDocument.AFTER,
        )
        return _review(found)

    async def recount_votes(self, component: str, settled: datetime) -> None:
        """Set the count of each review to what the votes give, unless there are votes after `settled`."""
        async for document in self._reviews.find({"component": component}):
            review = Review.from_mongo(document)
            if await self._votes.find_one({"review": review.key, "at": {"$gt": settled}}):
                continue
            count = await self._votes.count_documents({"review": review.key, "edition": review.edition})
            if count != review.helpful:
                await self._reviews.update_one(
                    {"_id": review.id, "rev": review.rev}, {"$set": {"helpful": count}, "$inc": {"rev": 1}}
                )


def review_id(component: str, user_id: str) -> str:
    """Return the key of a review: one per account and component."""
    return f"{component}|{user_id}"


def _vote_id(review: Review, user_id: str) -> str:
    return f"{review.key}|{review.edition}|{user_id}"


def _review(document: dict[str, Any] | None) -> Review | None:
    return Review.from_mongo(document) if document else None
