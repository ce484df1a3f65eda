import pytest

from dteg.sources.kinds import KINDS
from dteg.sources.models import Kind
from studio.sources.connecting import default_port, seal, url_of

POSTGRES, MYSQL, API = KINDS[Kind.POSTGRES], KINDS[Kind.MYSQL], KINDS[Kind.JSON_API]
SHOP = {"host": "db.example.org", "database": "shop", "user": "ann", "password": "p@ss/w:rd%"}
SHOP_URL = "postgresql://ann:p%40ss%2Fw%3Ard%25@db.example.org:5432/shop"


@pytest.fixture(autouse=True)
def _own_key(tmp_path, monkeypatch):
    monkeypatch.setenv("DTEG_CONFIG_DIR", str(tmp_path))


def test_a_password_with_any_signs_gets_into_the_url():
    assert url_of(POSTGRES, SHOP) == (SHOP_URL, {})
    assert url_of(MYSQL, {**SHOP, "port": "3307", "user": "", "password": "", "host": "::1"}) == (
        "mysql://[::1]:3307/shop", {}
    )  # fmt: skip


def test_a_url_that_is_written_counts_more():
    assert url_of(POSTGRES, {**SHOP, "url": "secret://env/X"}) == ("secret://env/X", {})
    assert default_port(API) is None


def test_what_is_missing_is_told_by_field():
    assert set(url_of(POSTGRES, {})[1]) == {"host", "database"}
    assert set(url_of(POSTGRES, {**SHOP, "port": "99999"})[1]) == {"port"}
    assert url_of(POSTGRES, {"replace": "shop"}) == ("", {})  # as it is
    assert url_of(API, {}) == ("", {})


def test_nobody_writes_a_password_twice_and_none_is_sent_to_another_server():
    kept = {**SHOP, "password": "", "sealed": seal(SHOP_URL)}
    assert SHOP["password"] not in kept["sealed"]
    assert url_of(POSTGRES, kept) == (SHOP_URL, {})
    assert url_of(POSTGRES, {"sealed": kept["sealed"]}) == (SHOP_URL, {})
    url, errors = url_of(POSTGRES, {**kept, "host": "evil.example.org"})
    assert (url, set(errors)) == ("", {"password"})


def test_what_was_sealed_too_long_ago_or_altered_is_nothing(monkeypatch):
    kept = seal(SHOP_URL)
    assert url_of(POSTGRES, {"sealed": f"{kept[:-8]}AAAAAAA="})[0] == ""
    monkeypatch.setattr("studio.sources.connecting.time.time", lambda: 9e9)
    assert url_of(POSTGRES, {"sealed": kept})[0] == ""
