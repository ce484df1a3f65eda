"""Searching a real registry: what is listed can be found, at once, and also while the database is down."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dteg.core.document_server import document_server
from dteg.core.secrets import Secret
from dteg.testing.servers import fresh_port
from registry.components.models import Component, Deprecation, Downloads, Latest, Rating
from registry.components.service import Components
from registry.components.store import COMPONENTS, COUNTERS
from registry.documents import milliseconds
from registry.identifiers import skeleton
from registry.search.models import SearchQuery
from registry.search.service import POLL_S
from registry.testing import MovableClock, running_registry, serving

pytestmark = pytest.mark.integration
_REVS = iter(range(1, 10_000))


def component(identifier, **given):
    namespace, slug = identifier.split("/")
    name, kind = slug.rsplit("-", 1)
    now = milliseconds(MovableClock()())
    values = {
        "id": identifier, "namespace": namespace, "slug": slug, "look": skeleton(slug), "name": name.replace("-", "_"),
        "distribution": f"dteg-{namespace}-{slug}", "kind": kind, "category": "messaging", "summary": f"About {name}.",
        "latest": Latest(stable="1.0.0"), "score": 90, "licence": "Apache-2.0", "capabilities": ["network"],
        "framework_versions": ">=0.1,<1", "python_versions": ">=3.11", "pricing": {"model": "free"},
        "proven": ["0.1.0|3.12"], "tested": 1, "created_at": now, "updated_at": now, "released_at": now,
        "rev": next(_REVS),
    }  # fmt: skip
    return Component(**{**values, **given})


def put(registry, *components, refresh=True):
    """Store components as they are after `refresh`."""

    async def write():
        for each in components:
            await registry.services.database[COMPONENTS].replace_one(
                {"_id": each.id}, each.to_mongo(), upsert=True
            )
        if refresh:
            await registry.services.search.refresh()

    registry.run(write())


def search(registry, path="/search", **parameters):
    answer = registry.request("GET", path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer):
    return [item["id"] for item in answer["items"]]


def test_what_is_listed_is_found_with_its_whole_json(registry):
    put(
        registry,
        component("aa/kafka-extractor", tags=["streaming"]),
        component("bb/mysql-loader", category="databases"),
    )
    answer = search(registry, q="kafka")
    assert ids(answer) == ["aa/kafka-extractor"]
    assert answer["total"] == 1
    assert answer["did_you_mean"] is None
    assert answer["stale"] is False
    item = answer["items"][0]
    assert item == registry.request("GET", "/components/aa/kafka-extractor").json()
    assert "explanation" not in item
    assert ids(search(registry, q="kafak")) == ["aa/kafka-extractor"]
    assert search(registry, q="kafkkaa")["did_you_mean"] == "kafka"
    assert sorted(ids(search(registry, "/components"))) == ["aa/kafka-extractor", "bb/mysql-loader"]


def test_facets_and_filters(registry):
    put(
        registry,
        component("aa/kafka-extractor", licence="MIT", pricing={"model": "premium"}),
        component("aa/kafka-loader", capabilities=["network", "filesystem"]),
        component(
            "bb/mysql-loader", category="databases", framework_versions=">=2,<3", python_versions=">=3.13"
        ),
    )
    answer = search(registry, "/components", kind="loader")
    assert sorted(ids(answer)) == ["aa/kafka-loader", "bb/mysql-loader"]
    facets = {
        name: {each["value"]: each["count"] for each in values} for name, values in answer["facets"].items()
    }
    assert facets["kind"] == {"loader": 2, "extractor": 1}
    assert facets["category"] == {"messaging": 1, "databases": 1}
    assert facets["capability"] == {"network": 2, "filesystem": 1}
    assert facets["price"] == {"free": 2}
    assert facets["tier"] == {"listed": 2}
    assert facets["python"] == {"3.11": 1, "3.12": 1, "3.13": 2, "3.14": 2}
    for filters, expected in (
        ({"licence": "MIT"}, ["aa/kafka-extractor"]),
        ({"price": ["premium", "enterprise"]}, ["aa/kafka-extractor"]),
        ({"capability": "filesystem"}, ["aa/kafka-loader"]),
        ({"dteg": "2.0.0"}, ["bb/mysql-loader"]),
        ({"dteg": "0.1.0", "kind": "loader"}, ["aa/kafka-loader"]),
        ({"python": "3.12", "q": "mysql"}, []),
        ({"category": "databases"}, ["bb/mysql-loader"]),
    ):
        assert ids(search(registry, "/search", **filters)) == expected, filters


def test_explain_says_why(registry):
    put(
        registry,
        component("good/kafka-extractor", verified=True, rating=Rating(count=50, mean=4.8, adjusted=4.6), score=100,
                  downloads=Downloads(total=9000, last_30_days=5000, installs=900, kept_rate=0.9)),
        component("poor/kafka-extractor", score=20, summary="Kafka, kafka, kafka."),
        component("old/kafka-extractor", deprecation=Deprecation(reason="use the other")),
    )  # fmt: skip
    answer = search(registry, q="kafka", explain=1)
    assert ids(answer)[0] == "good/kafka-extractor"
    why = {item["id"]: item["explanation"] for item in answer["items"]}
    first = why["good/kafka-extractor"]
    assert first["exact"] is True
    assert first["verified"] is True
    quality = first["quality"]
    total = 0.4 * quality["score"] + 0.2 * quality["proven"] + 0.15 * (quality["kept"] + quality["rating"])
    assert quality["total"] == pytest.approx(total + 0.1 * quality["freshness"], abs=1e-3)
    assert first["final"] == pytest.approx(first["text"] * (0.5 + 0.5 * quality["total"]), abs=1e-3)
    assert why["old/kafka-extractor"]["quality"]["total"] == 0
    assert answer["items"][0]["tier"] == "popular"


def test_what_is_withdrawn_is_not_found(registry):
    both = component("aa/kafka-extractor"), component("aa/kafka-loader", latest=Latest(rc="1.0.0rc1"))
    put(registry, *both, component("aa/new-loader", latest=Latest()))
    assert sorted(ids(search(registry, "/components"))) == ["aa/kafka-extractor", "aa/kafka-loader"]
    put(registry, component("aa/kafka-extractor", latest=Latest()))
    assert ids(search(registry, q="kafka")) == ["aa/kafka-loader"]
    assert search(registry, "/components")["total"] == 1


def test_changes_are_seen_within_seconds_without_being_told(registry):
    put(registry, component("aa/kafka-extractor"), refresh=False)
    deadline = time.monotonic() + 60 * POLL_S
    while not ids(search(registry, q="kafka")):
        assert time.monotonic() < deadline, "the poll never saw the new component"
        time.sleep(0.1)


@pytest.mark.parametrize("count", [7, 8, 9])
def test_a_large_registry_is_read_in_parts(registry, monkeypatch, count):
    """All at once may take longer than one request may; no part is left out, whether or not the last one is full."""
    monkeypatch.setattr("registry.search.service._AT_ONCE", 4)
    put(registry, *(component(f"aa/kafka{n}-loader") for n in range(count)))
    assert search(registry, "/components")["total"] == count


def test_pages_and_limits(registry):
    put(registry, *(component(f"aa/kafka{n}-loader", score=n) for n in range(25)))
    first = search(registry, q="kafka", limit=10)
    second = search(registry, q="kafka", limit=10, offset=10)
    third = search(registry, q="kafka", limit=10, offset=20)
    assert [len(ids(page)) for page in (first, second, third)] == [10, 10, 5]
    assert len({*ids(first), *ids(second), *ids(third)}) == 25
    assert first["total"] == 25
    assert ids(search(registry, q="kafka", limit=2, sort="name")) == ["aa/kafka0-loader", "aa/kafka1-loader"]
    assert ids(search(registry, q="kafka", offset=10_000)) == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": 0}, {"limit": 101}, {"offset": -1}, {"offset": 10_001}, {"sort": "best"}, {"q": "x" * 201},
        {"kind": "everything"}, {"dteg": ">=1"}, {"python": "3"}, {"q[$ne]": "x"}, {"category": "a" * 81},
        {"licence": ["MIT"] * 11}, {"explain": "perhaps"},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_with_the_reason(registry, parameters):
    answer = registry.request("GET", "/search", params=parameters)
    assert answer.status_code == 422
    assert answer.json()["problems"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(q=st.text(max_size=220), explain=st.booleans(), sort=st.sampled_from(["relevance", "name", "rating"]))
def test_no_query_is_a_fault(registry, q, explain, sort):
    if not getattr(registry, "filled", False):
        put(registry, component("aa/kafka-extractor"), component("bb/mysql-loader"))
        object.__setattr__(registry, "filled", True)
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in q):
        return  # no URL can hold half of a pair
    answer = registry.request("GET", "/search", params={"q": q, "explain": explain, "sort": sort})
    assert answer.status_code == (200 if len(q) <= 200 else 422)


@pytest.mark.parametrize(
    "raw", ["q=%00", "q=%ff%fe", "q=%ed%a0%80", "q=a&q=b", "q=%", "&&&", "q=%F0%9F%98%80", "q=" + "+" * 150]
)
def test_no_bytes_are_a_fault(registry, raw):
    assert registry.request("GET", f"/search?{raw}").status_code in (200, 422)


def test_the_same_answer_has_the_same_tag(registry):
    put(registry, component("aa/kafka-extractor"))
    first = registry.request("GET", "/search", params={"q": "kafka"})
    assert first.headers["cache-control"] == "public, max-age=5"
    again = registry.request(
        "GET", "/search", params={"q": "kafka"}, headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304
    assert again.content == b""
    put(registry, component("aa/kafka-extractor", score=10))
    changed = registry.request(
        "GET", "/search", params={"q": "kafka"}, headers={"If-None-Match": first.headers["etag"]}
    )
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


def test_pages_of_this_registry_get_models(registry):
    put(registry, component("aa/kafka-extractor"))
    found = registry.services.search.find(SearchQuery(q="kafka"))
    assert found.items[0]["id"] == "aa/kafka-extractor"
    assert found.facets["kind"][0].count == 1
    assert registry.services.search.suggest("kafkka") == "kafka"


def test_search_answers_while_the_database_is_down_and_after_a_restart(tmp_path, monkeypatch):
    """Also a worker that starts without the database answers, from what this machine saw last."""
    monkeypatch.setattr("registry.search.service.STALE_AFTER_S", 3.0)
    with document_server("--standalone") as server:
        with running_registry(f"mongodb://{server.address}", tmp_path / "registry") as registry:
            put(registry, component("aa/kafka-extractor"), component("bb/mysql-loader"))
            fresh = registry.request("GET", "/search", params={"q": "kafka"})
            server.stop()
            deadline = time.monotonic() + 120
            while not (answer := search(registry, q="kafka"))["stale"]:
                assert ids(answer) == ["aa/kafka-extractor"]
                assert time.monotonic() < deadline, "answers are never marked as stale"
                time.sleep(0.2)
            assert ids(answer) == ["aa/kafka-extractor"]
            stale = registry.request(
                "GET", "/search", params={"q": "kafka"}, headers={"If-None-Match": fresh.headers["etag"]}
            )
            assert stale.status_code == 200, "a stale answer is another answer"
            assert int(stale.headers["search-age"]) >= 3
            told = registry.settings
        told = told.model_copy(update={"mongodb_url": Secret(f"mongodb://{server.address}", literal=True)})
        port = fresh_port()
        with serving(told, MovableClock(), port) as (services, _):
            again = services.search.find(SearchQuery(q="kafka"))
            assert [item["id"] for item in again.items] == ["aa/kafka-extractor"]
            assert again.stale


def test_a_start_reads_only_what_has_changed_since_it_was_kept(mongodb_url, tmp_path, monkeypatch):
    """And everything, if the database has not come so far: then it is another one, or was put back."""
    read = []
    changed_since = Components.changed_since

    async def noted(self, rev, until=None):
        found = await changed_since(self, rev, until)
        read.extend(each.id for each in found)
        return found

    monkeypatch.setattr(Components, "changed_since", noted)
    with running_registry(mongodb_url, tmp_path / "registry") as registry:
        put(registry, component("aa/kafka-extractor", rev=11), component("bb/mysql-loader", rev=12))
        search_now = registry.services.search
        registry.run(search_now._keep())
        counters = registry.services.database[COUNTERS]

        def start(newest):
            key = {"_id": "components.rev"}
            registry.run(counters.replace_one(key, {**key, "value": newest}, upsert=True))
            read.clear()
            with serving(registry.settings, MovableClock(), fresh_port()) as (services, _):
                found = services.search.find(SearchQuery())
                return sorted(item["id"] for item in found.items), sorted(set(read))

        both = ["aa/kafka-extractor", "bb/mysql-loader"]
        kept = (tmp_path / "registry" / "search.jsonl").read_bytes()
        assert start(newest=12) == (both, [])
        assert start(newest=11) == (both, both)
        (tmp_path / "registry" / "search.jsonl").write_bytes(kept[:-5])
        assert start(newest=12) == (both, both), "it was cut off"
        (tmp_path / "registry" / "search.jsonl").write_bytes(kept)
        put(registry, component("bb/mysql-loader", rev=13, latest=Latest()), refresh=False)
        assert start(newest=13) == (["aa/kafka-extractor"], ["bb/mysql-loader"])


def test_a_process_that_knows_nothing_says_so(tmp_path):
    with running_registry("mongodb://127.0.0.1:9", tmp_path / "registry") as registry:
        answer = registry.request("GET", "/search", params={"q": "kafka"})
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
