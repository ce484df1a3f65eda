"""Links in mails, through a mail server on this machine.

Seen red: without the version of the credentials in the signature a link sets a second password; without the address
in it, a link outlives a change of the address; with the account looked up before the answer, an unknown one differs.
"""

import re
import time

import pytest

from dteg.core.errors import ConfigError
from dteg.core.secrets import Secret
from registry.accounts.links import Purpose, make
from registry.services import Services
from registry.testing import PASSWORD, running_registry
from tests.integration.alerts.sinks import MailSink
from tests.integration.registry.community import at_once

pytestmark = pytest.mark.integration
NEW = "another long sentence"
RESET, CONFIRM = "/accounts/password-reset", "/accounts/password-reset/confirm"


@pytest.fixture
def mail():
    sink = MailSink()
    yield sink
    sink.close()


@pytest.fixture
def registry(mongodb_url, tmp_path, mail):
    """A registry that sends mails, with the account `ada`, whose first mail has come."""
    url = f"mailto://robot:s3cret-pw@example.org:{mail.port}?smtp=127.0.0.1&mode=insecure&from=registry@example.org"
    with running_registry(mongodb_url, tmp_path / "registry", mail_url=Secret(url, literal=True)) as running:
        running.make_account("ada")
        arrived(running, mail, 1)
        yield running


def settle(registry):
    """Wait until nothing is under way."""
    recovery = registry.services.accounts.recovery
    for _ in range(5000):
        if not recovery._waiting:
            return
        time.sleep(0.02)
    raise AssertionError("mails are still under way")


def arrived(registry, mail, count):
    """Return recipients and link of the newest of so many mails."""
    settle(registry)
    assert len(mail.mails) == count
    if not count:
        return None
    recipients, message = mail.mails[-1]
    text = message.get_body(("plain", "html")).get_content()
    return recipients, re.search(r"link=([\w.%-]+)", text)[1], text


def ask(registry, email="ada@example.org"):
    answer = registry.request("POST", RESET, json={"email": email})
    settle(registry)
    return answer


def reset(registry, link, password=NEW):
    return registry.request("POST", CONFIRM, json={"link": link, "password": password}).status_code


def log_in(registry, password):
    form = {"grant_type": "password", "username": "ada", "password": password}
    return registry.request("POST", "/oauth/token", data=form).status_code


def test_a_forgotten_password_is_replaced_once(registry, mail):
    token = registry.token_of("ada")
    assert ask(registry).status_code == 202
    recipients, link, text = arrived(registry, mail, 2)
    assert recipients == ["ada@example.org"]
    assert f"{registry.url}/reset?link=" in text
    assert "s3cret-pw" not in text
    assert reset(registry, link, "short") == 422
    assert log_in(registry, PASSWORD) == 200
    assert reset(registry, link) == 204
    assert [log_in(registry, PASSWORD), log_in(registry, NEW)] == [401, 200]
    assert reset(registry, link, "a third long sentence") == 403
    assert registry.request("GET", "/account", token=token).json()["email_verified"] is True
    entry = registry.run(registry.services.audit.page(limit=1))[0]
    assert (entry.action, entry.login) == ("account.reset", "ada")


def test_who_asks_learns_nothing(registry, mail):
    known, unknown = ask(registry), ask(registry, "nobody@example.org")
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    arrived(registry, mail, 2)  # one at joining, one for the known address


def test_an_answer_does_not_wait_for_the_account(registry, monkeypatch):
    """Not even for looking it up: that takes longer for one that exists."""
    accounts = registry.services.accounts

    async def no_database(**_):
        raise AssertionError("looked up before the answer")

    async def begun():
        monkeypatch.setattr(accounts._store, "find", no_database)
        accounts.recovery.ask_reset("ada@example.org")
        (task,) = accounts.recovery._waiting
        task.cancel()
        monkeypatch.undo()

    registry.run(begun())


def test_mails_cannot_be_used_to_flood_somebody(registry, mail):
    at_once(lambda _: ask(registry), range(6))
    arrived(registry, mail, 2)
    registry.clock.advance(minutes=6)
    ask(registry)
    arrived(registry, mail, 3)


def test_of_two_who_use_a_link_at_once_one_succeeds(registry, mail):
    ask(registry)
    _, link, _ = arrived(registry, mail, 2)
    statuses = at_once(lambda number: reset(registry, link, f"{NEW} {number}"), range(4))
    assert set(statuses) <= {204, 403, 409}
    assert statuses.count(204) == 1


@pytest.mark.parametrize("change", ["time", "password", "email", "delete", "forged", "purpose", "other"])
def test_a_link_ends_with_what_it_was_made_for(registry, mail, change):
    ask(registry)
    _, link, _ = arrived(registry, mail, 2)
    token, accounts = registry.token_of("ada"), registry.services.accounts
    present = {"current_password": PASSWORD}
    if change == "time":
        registry.clock.advance(minutes=61)
    elif change == "password":
        registry.request(
            "PATCH", "/account", token=token, json={**present, "password": "a third long sentence"}
        )
    elif change == "email":
        registry.request("PATCH", "/account", token=token, json={**present, "email": "ada@example.net"})
    elif change == "delete":
        registry.request("DELETE", "/account", token=token, json=present)
    elif change == "forged":
        head, ends, signature = link.split(".")
        link = f"{head}.{int(ends) + 3600}.{signature}"
    elif change == "purpose":
        account = registry.run(accounts.by_login("ada"))
        link = make(accounts.recovery._key, Purpose.VERIFY, account, registry.clock())
    else:
        bob = registry.make_account("bob")
        link = f"{bob.id}.{link.partition('.')[2]}"
    assert reset(registry, link) == 403
    for nonsense in ("", "x", "0" * 26, "." * 50, "é"):
        assert reset(registry, nonsense) in (403, 422)


def test_an_address_is_confirmed_until_it_changes(registry, mail):
    token = registry.token_of("ada")
    _, first, text = arrived(registry, mail, 1)
    assert f"{registry.url}/verify?link=" in text

    def verified():
        return registry.request("GET", "/account", token=token).json()["email_verified"]

    def verify(link):
        return registry.request(
            "POST", "/accounts/email/verification/confirm", json={"link": link}
        ).status_code

    assert verified() is False
    assert [verify(first), verify(first), verified()] == [204, 204, True]
    change = {"current_password": PASSWORD, "email": "ada@example.net"}
    registry.request("PATCH", "/account", token=token, json=change)
    assert [verified(), verify(first)] == [False, 403]
    assert registry.request("POST", "/account/email/verification", token=token).status_code == 202
    recipients, second, _ = arrived(registry, mail, 2)
    assert (recipients, verify(second), verified()) == (["ada@example.net"], 204, True)


def test_a_mail_server_that_refuses_stops_nobody(registry, mail, caplog):
    mail.refuses = "550 no such mailbox"
    assert ask(registry).status_code == 202
    arrived(registry, mail, 1)
    told = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("registry"))
    assert "was not sent" in told
    assert "ada@example.org" not in told
    assert "s3cret-pw" not in told


def test_an_address_that_would_be_two_recipients_gets_nothing(registry, mail):
    body = {"login": "mallory", "email": "a,victim@example.org", "password": PASSWORD}
    assert registry.request("POST", "/accounts", json=body).status_code == 201
    arrived(registry, mail, 1)


def test_the_pages_need_no_scripts_and_are_kept_by_nobody(registry, mail):
    page = {"Accept": "text/html"}
    assert "/forgot" in registry.request("GET", "//login", headers=page).text
    sent = registry.request("POST", "//forgot", headers=page, data={"email": "ada@example.org"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/login?done=link-sent")
    _, link, _ = arrived(registry, mail, 2)
    form = registry.request("GET", f"//reset?link={link}", headers=page)
    assert f'value="{link}"' in form.text
    assert (form.headers["cache-control"], form.headers["referrer-policy"]) == (
        "private, no-store",
        "no-referrer",
    )
    wrong = registry.request("POST", "//reset", headers=page, data={"link": link, "password": "short"})
    assert (wrong.status_code, "at least 12" in wrong.text, "short" in wrong.text) == (422, True, False)
    done = registry.request("POST", "//reset", headers=page, data={"link": link, "password": NEW})
    assert (done.status_code, done.headers["location"]) == (303, "/login?done=password-set")
    again = registry.request("POST", "//reset", headers=page, data={"link": link, "password": NEW})
    assert (again.status_code, "used already" in again.text) == (422, True)
    button = registry.request("GET", "//verify?link=x.y.z", headers=page)
    assert (button.status_code, "It is mine" in button.text) == (200, True)
    assert registry.request("POST", "//verify", headers=page, data={"link": "x.y.z"}).status_code == 422


def test_without_a_mail_server_nothing_is_offered(mongodb_url, tmp_path):
    with running_registry(mongodb_url, tmp_path / "registry") as silent:
        silent.make_account("ada")
        token = silent.token_of("ada")
        assert "/forgot" not in silent.request("GET", "//login", headers={"Accept": "text/html"}).text
        assert silent.request("POST", RESET, json={"email": "ada@example.org"}).status_code == 404
        assert silent.request("POST", "/account/email/verification", token=token).status_code == 404
        services = Services(
            silent.settings.model_copy(update={"mail_url": Secret("https://example.org", literal=True)})
        )
        with pytest.raises(ConfigError, match="DTEG_REGISTRY_MAIL_URL"):
            services.accounts.recovery.check()
