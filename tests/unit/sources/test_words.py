"""What the command line and the form make of what is written, and that no password is shown."""

import pytest

from dteg.cli.sources import new_source
from dteg.core.errors import ConfigError, TransientError
from dteg.sources.kinds import KINDS
from dteg.sources.models import Kind, NewSource
from dteg.sources.reaching import plain_failure
from dteg.sources.remote import sent
from studio.sources.forms import fields
from studio.sources.forms import new_source as of_form

URL = "mysql://me:hunter2@db/shop"


def words(address, **more):
    return new_source(**{
        "slug": "shop", "address": address, "kind": "", "title": "", "tables": [], "mode": "auto", "settings": [], **more,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        (URL, Kind.MYSQL), ("mariadb://h/d", Kind.MYSQL), ("postgresql://h/d", Kind.POSTGRES), ("mssql://h/d", Kind.MSSQL),
        ("prices.csv", Kind.FILE), ("https://example.org/a.csv?x=1", Kind.FILE), ("areas.geojson", Kind.GEOJSON),
    ],
)  # fmt: skip
def test_the_kind_is_seen_from_the_address(address, kind):
    assert words(address).kind is kind


def test_a_file_is_a_setting():
    new = words("data/prices.csv")
    assert new.options == {"path": "data/prices.csv"}
    assert new.url.get_secret_value() == ""


def test_an_address_of_no_known_kind_is_asked_about():
    with pytest.raises(ConfigError, match="--kind"):
        words("https://example.org/api")
    assert words("https://example.org/api", kind="json_api").kind is Kind.JSON_API


def test_settings_are_values():
    new = words(URL, settings=["fetch_size=500", "tls_ca=/etc/ca.pem", 'dates_as_text=["a.b"]'])
    assert new.options == {"fetch_size": 500, "tls_ca": "/etc/ca.pem", "dates_as_text": ["a.b"]}
    with pytest.raises(ConfigError, match="NAME=VALUE"):
        words(URL, settings=["fetch_size"])


def test_no_password_is_shown():
    new = words(URL)
    assert "hunter2" not in repr(new)
    assert "hunter2" not in new.model_dump_json()
    assert sent(new)["url"] == URL
    with pytest.raises(ConfigError) as caught:
        words(URL, slug="Wrong Name")
    assert "hunter2" not in str(caught.value)


def test_the_warehouse_is_a_name_that_is_taken():
    with pytest.raises(ConfigError, match="always there"):
        words(URL, slug="warehouse")


def test_a_form_has_a_field_for_each_setting_of_its_kind():
    kind = KINDS[Kind.MYSQL]
    assert {field.name for field in fields(kind)} == set(kind.options_model.model_fields)
    form = {
        "slug": "shop",
        "url": URL,
        "tables": "orders\n!*_old\n",
        "option_fetch_size": "500",
        "mode": "fdw",
    }
    new, errors = of_form(kind, form)
    assert errors == {}
    assert isinstance(new, NewSource)
    assert (new.tables, new.options, new.mode) == (["orders", "!*_old"], {"fetch_size": 500}, "fdw")


def test_a_form_says_what_is_wrong_where():
    new, errors = of_form(KINDS[Kind.MYSQL], {"slug": "X", "url": URL, "option_fetch_size": "0"})
    assert new is None
    assert set(errors) == {"slug", "option_fetch_size"}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
def test_every_kind_can_be_loaded(kind):
    assert kind.options_model.model_json_schema()["properties"]
    for mode in kind.linkers:
        assert callable(kind.linker(mode).introspect)


def test_what_a_lost_source_says_names_the_source_and_no_port_of_the_relay():
    told = (
        'could not connect to server "src_crm"; connection to server at "127.0.0.1", port 38041 failed: server closed'
        " the connection unexpectedly This probably means the server terminated abnormally before or while processing"
        " the request."
    )
    assert plain_failure(TransientError(told)) == (
        "could not connect to server crm; server closed the connection unexpectedly"
    )
    assert plain_failure(TransientError('column "src_a b" is not there')) == 'column "src_a b" is not there'
