"""The loader: memory, disk, origin, and what it serves when the origin fails or lies."""

import json
import threading
import time

import pytest

from dteg.core.errors import ConfigError, DeniedError, NotFoundError, UnavailableError
from dteg.metadata.client import MetadataClient, TamperedError
from dteg.testing.http_server import FakeServer, Reply
from tests.integration.metadata_client.caches import Clock, entry, example, publish, serve

ORDERS = entry("orders", note="what was bought")
PEOPLE = entry("people", ("id", "name"))
NET = example("net of all orders", "SELECT sum(net) FROM orders", ORDERS)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path):
    publish(tmp_path / "cache", [ORDERS, PEOPLE], [NET])
    return tmp_path / "cache"


@pytest.fixture
def server(folder):
    with FakeServer() as served:
        serve(served, folder)
        yield served


@pytest.fixture
def make(server, clock, tmp_path):
    """Return clients that share a disk."""

    def give(**values):
        return MetadataClient(
            f"{server.url}/cache", clock=clock, **{"cache_dir": tmp_path / "disk", "timeout_s": 2, **values}
        )

    return give


def asked(server):
    """Return which files were asked for since the last time."""
    found = [each.path.rpartition("/")[2] for each in server.requests]
    server.requests.clear()
    return found


def version(client):
    return client.get_cache_metadata()["cache_version"]


def republish(server, folder, *tables, examples=()):
    publish(folder, tables or [ORDERS, PEOPLE, entry("new")], examples)
    serve(server, folder)


def gone(server):
    server.route("/cache/manifest.json", [Reply({}, 503)])


def test_it_gives_what_was_published(make):
    client = make()
    assert client.is_cache_available()
    assert sorted(client.get_schema_info()) == ["public.orders", "public.people"]
    assert client.get_schema_info("orders") == client.get_schema_info("public.orders")
    assert [each["name"] for each in client.get_schema_columns("people")] == ["id", "name"]
    assert {(each["table_id"], each["name"]) for each in client.get_schema_columns()} >= {
        ("public.orders", "net")
    }
    assert [each["sql"] for each in client.get_few_shot_examples()] == [NET.sql]
    assert client.get_few_shot_examples(table="people") == ()
    assert "public.orders" in client.prompt("what was bought", 300)
    with pytest.raises(NotFoundError, match="no table nothing"):
        client.get_schema_info("nothing")


def test_an_example_is_served_only_if_it_holds_for_the_table_as_it_is(server, folder, make):
    wrong = [
        NET.model_copy(update={"question": "stale", "status": "stale"}),
        NET.model_copy(update={"question": "older", "schema_fingerprint": "0" * 64}),
        NET.model_copy(update={"question": "elsewhere", "tables": ["public.orders", "public.gone"]}),
    ]
    republish(server, folder, ORDERS, PEOPLE, examples=[*wrong, NET])
    assert [each["question"] for each in make().get_few_shot_examples()] == [NET.question]


def test_memory_then_disk_then_a_conditional_question(server, folder, make, clock):
    client = make()
    version(client)
    assert len(asked(server)) == 3
    clock.move(minutes=59)
    version(client)
    clock.move(hours=2)
    assert (version(client), client.get_cache_metadata()["tier"]) == (1, "disk")
    assert asked(server) == []
    other = make()
    assert version(other) == 1  # another process starts from the disk
    assert asked(server) == []
    clock.move(hours=22)
    version(client)
    assert asked(server) == ["manifest.json"]  # 304
    assert client.get_cache_metadata()["age_s"] == 0
    republish(server, folder, ORDERS, PEOPLE, entry("new"), examples=[NET])
    clock.move(hours=25)
    assert version(client) == 2
    assert len(asked(server)) == 2  # the manifest and the new table; the others are had
    assert "public.new" in client.get_schema_info()


def test_a_copy_on_disk_that_was_changed_is_read_again(server, make, clock, tmp_path):
    version(make())
    asked(server)
    for file in (tmp_path / "disk").rglob("*"):
        if file.is_file() and file.name != "state.json":
            file.write_bytes(file.read_bytes().replace(b"orders", b"canary"))
    assert "canary" not in json.dumps(make().get_schema_info())
    assert len(asked(server)) == 1  # only the table that was changed
    state = next((tmp_path / "disk").rglob("state.json"))
    state.write_bytes(state.read_bytes().replace(b"orders", b"canary"))
    assert "public.orders" in make().get_schema_info()
    assert asked(server) == ["manifest.json"]
    assert state.stat().st_mode & 0o077 == 0
    assert state.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("strict", [False, True])
def test_an_origin_that_fails_leaves_the_older_version_with_a_flag(server, folder, make, clock, strict):
    client = make(strict=strict)
    version(client)
    gone(server)
    clock.move(hours=40)
    if strict:
        with pytest.raises(UnavailableError, match="503"):
            client.get_schema_info()
        assert not client.is_cache_available()
    else:
        assert "public.orders" in client.get_schema_info()
        told = client.get_cache_metadata()
        assert (told["stale"], told["expired"]) == (True, True)
        assert "503" in told["why"]
        asked(server)
        version(client)
        assert asked(server) == []  # it is not asked at once again
    serve(server, folder)
    clock.move(seconds=20)
    assert client.get_cache_metadata()["stale"] is False


def test_a_new_process_finds_the_older_version_too(server, make, clock):
    version(make())
    gone(server)
    clock.move(days=3)
    assert make().get_cache_metadata()["stale"] is True
    with pytest.raises(UnavailableError):
        make(strict=True).get_schema_info()


def test_without_any_version_there_is_none(server, make, clock, tmp_path):
    gone(server)
    client = make()
    assert not client.is_cache_available()
    with pytest.raises(UnavailableError):
        client.prompt("anything")
    assert len(asked(server)) == 1
    missing = MetadataClient(str(tmp_path / "nothing"), clock=clock)
    with pytest.raises(NotFoundError, match="dteg metadata collect"):
        missing.get_schema_info()


def test_a_changed_table_or_manifest_is_refused(server, folder, make, clock):
    client = make()
    version(client)
    republish(server, folder)
    new = next((folder / "tables" / "public.new").iterdir())
    new.write_bytes(new.read_bytes().replace(b"net", b"bad"))
    clock.move(hours=25)
    assert version(client) == 1
    assert "not what the manifest names" in client.get_cache_metadata()["why"]
    manifest = folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"cache_version": 2', b'"cache_version": 3'))
    clock.move(hours=25)
    assert "checksum" in client.get_cache_metadata()["why"]
    with pytest.raises(TamperedError):
        make(cache_dir=folder.parent / "fresh").get_schema_info()


def test_a_version_that_is_pruned_while_it_is_read_is_not_mixed(server, folder, make):
    client = make()
    first = (folder / "manifest.json").read_bytes()
    orders = next((folder / "tables" / "public.orders").iterdir())
    orders.unlink()
    publish(folder, [entry("orders", ("id", "gross"))])
    serve(server, folder)
    second = (folder / "manifest.json").read_bytes()
    server.route("/cache/manifest.json", [Reply(first), Reply(second)])
    assert [each["name"] for each in client.get_schema_columns()] == ["id", "gross"]


def test_many_threads_ask_once(server, folder, make, clock):
    data = (folder / "manifest.json").read_bytes()
    server.route("/cache/manifest.json", [Reply(data, delay_s=0.2)])
    client = make()
    found = []
    threads = [threading.Thread(target=lambda: found.append(version(client))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 20
    assert sorted(asked(server)).count("manifest.json") == 1


def test_a_clock_that_goes_back_keeps_nothing_for_ever(server, make, clock):
    client = make()
    version(client)
    asked(server)
    clock.move(days=-30)
    version(client)
    assert asked(server) == ["manifest.json"]


def test_a_hit_in_memory_takes_less_than_a_millisecond(make):
    client = make()
    client.get_schema_info()
    took = []
    for _ in range(2_000):
        began = time.thread_time()
        client.get_schema_info("public.orders")
        client.get_few_shot_examples()
        took.append(time.thread_time() - began)
    assert sorted(took)[int(len(took) * 0.99)] < 0.001


def test_a_token_is_sent_there_and_nowhere_else(folder, clock, tmp_path):
    with FakeServer() as server, FakeServer() as elsewhere:
        serve(server, folder, token="t0k")
        url = f"{server.url}/cache"
        options = {"clock": clock, "cache_dir": tmp_path / "d"}
        with pytest.raises(DeniedError):
            MetadataClient(url, **options).get_schema_info()
        assert MetadataClient(url, token="t0k", **options).is_cache_available()
        server.route(
            "/cache/manifest.json", [Reply(b"", 302, {"Location": f"{elsewhere.url}/cache/manifest.json"})]
        )
        moved = MetadataClient(url, token="t0k", clock=clock, cache_dir=tmp_path / "e")
        with pytest.raises(UnavailableError, match="302"):
            moved.get_schema_info()
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("uri", "values"),
    [
        ("ftp://x/y", {}),
        ("https://user:pw@x/y", {}),
        ("https://x/y?token=1", {}),
        ("http://example.org/y", {"token": "t"}),
        ("s3://b/p", {"token": "t"}),
        ("/tmp/x", {"file_expiry": "24"}),
        ("/tmp/x", {"memory_ttl": "-1h"}),
        ("https://x/y", {"token": "a\r\nX: y"}),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(uri, values):
    with pytest.raises(ConfigError):
        MetadataClient(uri, **values)


def test_a_folder_is_read_without_a_copy(folder, clock):
    client = MetadataClient(folder.as_uri(), clock=clock)
    version(client)
    publish(folder, [ORDERS])
    clock.move(hours=2)
    assert (version(client), sorted(client.get_schema_info())) == (2, ["public.orders"])
    (folder / "manifest.json").unlink()
    clock.move(hours=2)
    assert client.get_cache_metadata()["stale"] is True


def test_one_table_in_the_original_form(folder, clock, tmp_path):
    client = MetadataClient(str(folder / "latest" / "public.orders.json"), clock=clock)
    assert list(client.get_schema_info()) == ["public.orders"]
    assert [each["question"] for each in client.get_few_shot_examples()] == [NET.question]
    plain = {
        "generated_at": "2026-01-01T00:00:00Z",
        "schema": {"table_id": "t", "last_updated": "", "columns": [{"name": "a", "type": "INT64", "mode": "NULLABLE"}]},
        "examples": [{"question": "q", "sql": "SELECT a FROM t"}],
    }  # fmt: skip
    (tmp_path / "t.json").write_text(json.dumps(plain))
    old = MetadataClient(str(tmp_path / "t.json"), clock=clock)
    assert old.get_schema_columns("t")[0]["type"] == "INT64"
    assert len(old.get_few_shot_examples()) == 1


def test_a_bucket_is_asked_conditionally(folder, clock, tmp_path, monkeypatch):
    pytest.importorskip("obstore", reason="dteg[metadata-client] is not installed: buckets are NOT tested")
    with FakeServer() as server:
        serve(server, folder, "/bucket/cache")
        for name, value in {
            "AWS_ENDPOINT_URL": server.url, "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": "k", "AWS_REGION": "eu",
            "AWS_SECRET_ACCESS_KEY": "s",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        client = MetadataClient("s3://bucket/cache", clock=clock, cache_dir=tmp_path / "d", timeout_s=2)
        assert sorted(client.get_schema_info()) == ["public.orders", "public.people"]
        asked(server)
        clock.move(hours=25)
        assert client.get_cache_metadata()["stale"] is False
        assert asked(server) == ["manifest.json"]
        missing = MetadataClient("s3://bucket/other", clock=clock, cache_dir=tmp_path / "d", timeout_s=2)
        with pytest.raises(NotFoundError):
            missing.get_schema_info()


def test_refresh_asks_at_once(server, folder, make):
    client = make()
    version(client)
    republish(server, folder)
    assert version(client) == 1
    client.refresh()
    assert version(client) == 2
    gone(server)
    with pytest.raises(UnavailableError):
        client.refresh()
