from datetime import UTC, datetime

import httpx
import pytest
from pymongo.errors import AutoReconnect

from registry.downloads.models import DownloadKind
from registry.testing import NO_TLS
from tests.integration.registry.community import COMPONENT, PATH, Community, at_once
from tests.integration.registry.publishing import Publisher

pytestmark = pytest.mark.integration


@pytest.fixture
def community(registry, tmp_path):
    return Community(registry, Publisher(registry, tmp_path / "wheels"))


@pytest.fixture
def downloads(registry):
    return registry.services.downloads


def fetch(community, agent="pip/25.1"):
    release, url = community.release, community.registry.url
    answer = httpx.get(
        f"{url}/files/{release['sha256']}/{release['filename']}",
        headers={"User-Agent": agent},
        timeout=60,
        verify=NO_TLS,
    )
    assert answer.status_code == 200, answer.text
    return len(answer.content)


def shown(community, registry, days=30):
    registry.run(registry.services.downloads.flush())
    return community.ask("", "GET", f"{PATH}/downloads", params={"days": days}).json()


def test_fifty_downloads_at_once_are_fifty(community, registry):
    agents = ["pip/25.1", "uv/0.13.8", "dteg/1.0", "Mozilla/5.0 (X11)", "curl/8"] * 10
    sizes = at_once(lambda agent: fetch(community, agent), agents, threads=16)
    assert set(sizes) == {community.release["size"]}
    found = shown(community, registry)
    assert (found["total"], found["last_30_days"]) == (50, 50)
    assert found["days"][-1]["by_kind"] == {
        "dteg": 10, "uv": 10, "pip": 10, "browser": 10, "mirror": 0, "other": 10,
    }  # fmt: skip


def test_mirrors_are_counted_apart(community, registry):
    fetch(community, "bandersnatch/6.0")
    fetch(community)
    found = shown(community, registry)
    assert found["total"] == 1
    assert found["days"][-1]["downloads"] == 1
    assert found["days"][-1]["by_kind"]["mirror"] == 1


def test_what_is_not_sent_is_not_counted(community, registry):
    release, url = community.release, registry.url
    path = f"{url}/files/{release['sha256']}/{release['filename']}"
    with httpx.Client(verify=NO_TLS) as client:
        cached = client.get(path, headers={"If-None-Match": f'"{release["sha256"]}"'})
        missing = client.get(f"{url}/files/{'0' * 64}/{release['filename']}")
        metadata = client.get(f"{path}.metadata")
    assert (cached.status_code, missing.status_code, metadata.status_code) == (304, 404, 200)
    assert shown(community, registry)["total"] == 0


def test_no_request_writes_to_the_database(community, registry, downloads):
    before = registry.run(registry.services.database["dl_daily"].count_documents({}))
    for _ in range(10_000):
        downloads.count(COMPONENT, "1.0.0", "pip")
    assert registry.run(registry.services.database["dl_daily"].count_documents({})) == before == 0
    registry.run(downloads.flush())
    (row,) = registry.run(rows(registry))
    assert (row["n"], row["kind"], row["version"]) == (10_000, "pip", "1.0.0")


async def rows(registry):
    return [row async for row in registry.services.database["dl_daily"].find({})]


def test_a_flush_whose_answer_is_lost_counts_nothing_twice(community, registry, downloads):
    store = downloads._store
    for _ in range(3):
        downloads.count(COMPONENT, "1.0.0", "uv")
    write = store.write

    async def written_but_unanswered(writer, totals):
        await write(writer, totals)
        raise AutoReconnect("connection closed")

    store.write = written_but_unanswered
    with pytest.raises(AutoReconnect):
        registry.run(downloads.flush())
    downloads.count(COMPONENT, "1.0.0", "uv")
    store.write = write
    registry.run(downloads.flush())
    registry.run(downloads.flush())
    assert shown(community, registry)["total"] == 4


def test_a_flush_that_fails_loses_nothing(community, registry, downloads):
    store = downloads._store
    write = store.write

    async def refused(writer, totals):
        raise AutoReconnect("no server")

    store.write = refused
    downloads.count(COMPONENT, "1.0.0", "pip")
    with pytest.raises(AutoReconnect):
        registry.run(downloads.flush())
    downloads.count(COMPONENT, "1.0.0", "pip")
    store.write = write
    assert shown(community, registry)["total"] == 2


def test_a_crash_loses_only_what_came_after_the_last_flush(community, registry, downloads):
    for _ in range(40):
        downloads.count(COMPONENT, "1.0.0", "pip")
    registry.run(downloads.flush())
    for _ in range(7):
        downloads.count(COMPONENT, "1.0.0", "pip")
    # What kill -9 does to the memory of the process; another one begins with nothing, under another name.
    downloads._counter.__init__(downloads._store)
    for _ in range(5):
        downloads.count(COMPONENT, "1.0.0", "pip")
    assert shown(community, registry)["total"] == 45


def test_what_a_dead_process_has_noted_is_found(community, registry, downloads):
    for agent in ["pip", "uv"] * 20:
        downloads.count(COMPONENT, "1.0.0", agent)
    registry.run(downloads.note())
    downloads.count(COMPONENT, "1.0.0", "pip")
    registry.run(downloads.note())
    assert registry.run(registry.services.database["dl_daily"].count_documents({})) == 0
    for _ in range(7):
        downloads.count(COMPONENT, "1.0.0", "pip")
    downloads._counter.__init__(downloads._store)  # killed, see above
    registry.run(downloads.adopt())
    assert shown(community, registry)["total"] == 0  # it may live
    registry.clock.advance(minutes=31)
    registry.run(downloads.adopt())
    registry.run(downloads.refresh())
    assert shown(community, registry)["total"] == 41
    assert community.component()["downloads"]["total"] == 41
    assert registry.run(registry.services.database["dl_notes"].count_documents({})) == 0


def test_a_slow_process_that_is_taken_for_dead_counts_nothing_twice(community, registry, downloads):
    for _ in range(3):
        downloads.count(COMPONENT, "1.0.0", "pip")
        registry.run(downloads.note())
    registry.clock.advance(minutes=31)
    registry.run(downloads.adopt())
    downloads.count(COMPONENT, "1.0.0", "pip")
    registry.run(downloads.note())
    registry.run(downloads.write())
    assert community.ask("", "GET", f"{PATH}/downloads").json()["total"] == 4
    assert registry.run(registry.services.database["dl_notes"].count_documents({})) == 0


def test_a_stop_writes_the_rest(community, registry, downloads):
    downloads.count(COMPONENT, "1.0.0", "pip")
    registry.run(downloads.stop())
    assert community.ask("", "GET", f"{PATH}/downloads").json()["total"] == 1


def test_the_series_has_every_day_in_utc(community, registry, downloads):
    registry.clock.stop_at(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC))
    downloads.count(COMPONENT, "1.0.0", "pip")
    registry.clock.advance(seconds=2)
    downloads.count(COMPONENT, "1.0.0", "pip")
    downloads.count(COMPONENT, "1.1.0", "pip")
    registry.clock.advance(days=40)
    downloads.count(COMPONENT, "1.1.0", "no such kind")
    found = shown(community, registry, days=42)
    assert (found["total"], found["last_30_days"]) == (4, 1)
    assert [(day["day"], day["downloads"]) for day in found["days"] if day["downloads"]] == [
        ("2026-03-01", 1), ("2026-03-02", 2), ("2026-04-11", 1),
    ]  # fmt: skip
    assert len(found["days"]) == 42
    assert found["days"][-1]["by_kind"]["other"] == 1
    for days in (0, 367, "x"):
        assert community.ask("", "GET", f"{PATH}/downloads", params={"days": days}).status_code == 422
    assert community.ask("", "GET", "/components/streaming/none-loader/downloads").status_code == 404


def test_memory_of_days_that_are_over_is_given_back(community, registry, downloads):
    registry.clock.stop_at(datetime(2026, 3, 1, 12, tzinfo=UTC))
    for number in range(100):
        downloads.count(COMPONENT, f"1.{number}.0", "pip")
    registry.run(downloads.flush())
    assert len(downloads._counter._totals) == 100
    registry.clock.advance(days=2)
    downloads.count(COMPONENT, "1.0.0", "pip")
    registry.run(downloads.flush())
    assert len(downloads._counter._totals) == 1
    assert shown(community, registry)["total"] == 101


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        ("pip/25", "pip"),
        ("uv/0.13", "uv"),
        ("dteg/1.2", "dteg"),
        ("dteg-mirror/1.2", "mirror"),
        ("", "other"),
    ],
)
def test_kinds(agent, kind):
    assert DownloadKind.of_agent(agent) == kind


def test_the_component_shows_downloads_after_a_while(community, registry, downloads):
    downloads.count(COMPONENT, "1.0.0", "pip")
    registry.run(downloads.flush())
    registry.run(downloads.refresh())
    assert community.component()["downloads"] | {"kept_rate": None} == {
        "total": 1, "last_30_days": 1, "installs": 0, "kept_rate": None,
    }  # fmt: skip
    registry.clock.advance(days=31)
    downloads.show_later(COMPONENT)
    registry.run(downloads.refresh())
    assert community.component()["downloads"]["last_30_days"] == 0
