import random

import pytest

from registry.reviews.models import Review
from tests.integration.registry.community import COMPONENT, PATH, Community, at_once
from tests.integration.registry.publishing import Publisher

pytestmark = pytest.mark.integration


@pytest.fixture
def community(registry, tmp_path):
    return Community(registry, Publisher(registry, tmp_path / "wheels"))


def rating(registry):
    return registry.run(registry.services.database["ratings"].find_one({"_id": COMPONENT}))


def sums(registry):
    found = rating(registry)
    return [found["n"], found["sum"], *(found.get(f"h{stars}", 0) for stars in range(1, 6))]


def test_two_reviews_of_one_account_at_once_are_one(community, registry):
    community.install("bob")
    for _ in range(5):
        answers = at_once(lambda stars: community.review("bob", stars), [1, 5], threads=2)
        assert {answer.status_code for answer in answers} <= {200, 201}
        (review,) = community.ask("", "GET", f"{PATH}/reviews").json()["items"]
        stars = review["stars"]
        assert sums(registry) == [1, stars, *(int(each == stars) for each in range(1, 6))]


def test_sums_stay_right_under_changes_at_once(community, registry):
    people = [f"user{number}" for number in range(6)]
    for login in people:
        community.install(login)
    dice = random.Random(7)
    todo = [(dice.choice(people), dice.choice(["write", "write", "write", "withdraw"])) for _ in range(72)]

    def do(step):
        login, what = step
        if what == "withdraw":
            return community.ask(login, "DELETE", f"{PATH}/review").status_code
        return community.review(login, dice.randint(1, 5)).status_code

    assert set(at_once(do, todo)) <= {200, 201, 204, 404}
    reviews = community.ask("", "GET", f"{PATH}/reviews", params={"limit": 100}).json()["items"]
    stars = [each["stars"] for each in reviews]
    assert sums(registry) == [len(stars), sum(stars), *(stars.count(each) for each in range(1, 6))]
    shown = registry.run(registry.services.components.refresh(COMPONENT)).rating
    assert (shown.count, shown.histogram) == (len(stars), [stars.count(each) for each in range(1, 6)])


def test_the_component_shows_mean_and_adjusted_mean(community):
    assert community.component()["rating"] == {
        "count": 0, "mean": None, "adjusted": 3.5, "histogram": [0, 0, 0, 0, 0],
    }  # fmt: skip
    for number, stars in enumerate((5, 5, 4)):
        community.install(f"user{number}")
        community.review(f"user{number}", stars)
    shown = community.component()["rating"]
    # (5 x 3.5 + 14) / (5 + 3)
    assert shown == {"count": 3, "mean": 4.67, "adjusted": 3.94, "histogram": [0, 0, 0, 1, 2]}


def test_tiers_want_five_good_reviews_and_a_thousand_downloads(community, registry):
    for number in range(5):
        community.install(f"user{number}")
        community.review(f"user{number}", 5)
        assert community.component()["tier"] == ("proven" if number == 4 else "listed"), number
    for _ in range(1000):
        registry.services.downloads.count(COMPONENT, "1.0.0", "pip")
    registry.run(registry.services.downloads.flush())
    registry.run(registry.services.downloads.refresh())
    assert community.component()["tier"] == "popular"


def test_a_crash_before_the_sums_is_repaired_by_the_recount(community, registry):
    reviews = registry.services.reviews
    for number in range(3):
        community.install(f"user{number}")
        community.review(f"user{number}", 5)

    async def cut_off(component, before, after):
        raise SystemError("killed here")

    added, reviews._store.add = reviews._store.add, cut_off
    assert community.review("user0", 1).status_code == 500
    reviews._store.add = added
    assert sums(registry) == [3, 15, 0, 0, 0, 0, 3]  # wrong: one of them has one star by now

    # A fresh change is left alone: its writer may still be about to add.
    assert registry.run(reviews.recount(COMPONENT)) is False
    assert sums(registry) == [3, 15, 0, 0, 0, 0, 3]
    registry.clock.advance(minutes=1)
    assert registry.run(reviews.recount_all()) == 1
    assert sums(registry) == [3, 11, 1, 0, 0, 0, 2]
    assert community.component()["rating"]["histogram"] == [1, 0, 0, 0, 2]
    assert registry.run(reviews.recount_all()) == 0  # counted today already
    registry.clock.advance(hours=21)
    assert registry.run(reviews.recount_all()) == 0  # and right


def test_a_recount_repairs_helpful_votes(community, registry):
    community.install("bob")
    review = community.review("bob", 5).json()["id"]
    community.ask("eve", "POST", f"/reviews/{review}/helpful")
    registry.run(registry.services.database["reviews"].update_one({"key": review}, {"$set": {"helpful": 40}}))
    registry.clock.advance(minutes=1)
    registry.run(registry.services.reviews.recount(COMPONENT))
    assert community.ask("", "GET", f"{PATH}/reviews").json()["items"][0]["helpful"] == 1


def test_a_recount_does_not_overwrite_what_it_has_not_seen(community, registry):
    reviews, store = registry.services.reviews, registry.services.reviews._store
    community.install("bob")
    community.review("bob", 2)
    registry.run(registry.services.database["ratings"].update_one({"_id": COMPONENT}, {"$inc": {"n": 7}}))
    registry.clock.advance(minutes=1)
    community.install("eve")
    counted = store.counted

    async def counted_and_then_reviewed(component):
        found = await counted(component)
        await store.add(component, 0, 4)
        return found

    store.counted = counted_and_then_reviewed
    assert registry.run(reviews.recount(COMPONENT)) is False
    store.counted = counted
    assert rating(registry)["n"] == 9  # 1 + 7 + 1: nothing was lost, the next recount repairs it


def test_account_and_component_are_the_key(community, registry):
    community.install("bob")
    community.review("bob", 3)
    stored = registry.run(registry.services.database["reviews"].find_one({}))
    account = registry.run(registry.services.accounts.by_login("bob"))
    assert stored["_id"] == f"{COMPONENT}|{account.id}"
    assert Review.from_mongo(stored).counted_stars == 3


def test_a_change_is_never_made_to_what_nobody_has_seen(community, registry):
    """A moderator hides the review between the author's reading and writing of it: it stays hidden."""
    community.token("boss", admin=True)
    community.install("bob")
    key = community.review("bob", 1, "insult").json()["id"]
    reviews, store = registry.services.reviews, registry.services.reviews._store
    boss, find = registry.who("boss"), store.find

    async def found_and_then_hidden(component, user_id):
        found = await find(component, user_id)
        store.find = find
        await reviews.set_hidden(boss, key, True, "insulting")
        return found

    store.find = found_and_then_hidden
    assert community.review("bob", 5, "another").json()["hidden"] is True
    assert sums(registry) == [0, 0, 0, 0, 0, 0, 0]
