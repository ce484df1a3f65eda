import pytest
from pymongo.errors import AutoReconnect

from dteg.core.errors import InputError
from registry.licences.invoicing import content_hash
from registry.licences.money import LARGEST_MINOR
from registry.services import Services
from tests.integration.registry.community import at_once

pytestmark = pytest.mark.integration


@pytest.fixture
def metered(shop):
    made = shop(model="usage", amount_minor=250, per="million_rows")
    made.give(days=300)
    return made


def use(shop, key, rows, at):
    body = {"licence": shop.licence()["id"], "key": key, "rows": rows, "at": at}
    answer = shop.ask("sam", "POST", "/usage-records", json=body)
    assert answer.status_code == 201, answer.text


def close(shop, period, login="ann", namespace="streaming"):
    return shop.ask(login, "POST", f"/invoices/{period}/close", params={"namespace": namespace})


def invoices(shop, login="bill", namespace="initech"):
    return shop.ask(login, "GET", "/invoices", params={"namespace": namespace}).json()["items"]


def test_a_month_of_metered_use_becomes_one_invoice(metered, registry):
    registry.clock.advance(days=1)
    for number in range(3):
        use(metered, f"load-{number}", 1_333_333, f"2026-02-01T0{number}:00:00Z")
    assert close(metered, "2026-02").status_code == 422  # not over
    registry.clock.advance(days=30)
    closed = close(metered, "2026-02")
    assert closed.status_code == 200, closed.text
    (invoice,) = closed.json()["items"]
    # 3,999,999 rows at 2.50 per million: rounded once, not for each record
    (line,) = invoice["lines"]
    assert (line["quantity"], line["unit_minor"], line["amount_minor"]) == (3_999_999, 250, 1000)
    assert (invoice["total_minor"], invoice["paid_minor"], invoice["due_minor"]) == (1000, 0, 1000)
    assert (invoice["number"], invoice["currency"], invoice["period"]) == (1, "EUR", "2026-02")
    assert invoices(metered) == invoices(metered, "ann", "streaming") == [invoice]


def test_use_that_is_not_billed_yet_is_told_to_owners(metered, registry):
    def unbilled(login, namespace):
        answer = metered.ask(login, "GET", "/usage-records", params={"namespace": namespace})
        if answer.status_code != 200:
            return answer.status_code
        return [(each["period"], each["rows"], each["amount_minor"]) for each in answer.json()["items"]]

    registry.clock.advance(days=1)
    use(metered, "one", 1_000_000, "2026-02-01T00:00:00Z")
    use(metered, "two", 333_333, "2026-02-01T01:00:00Z")
    registry.clock.advance(days=30)
    use(metered, "three", 2_000_000, "2026-03-03T00:00:00Z")
    both = [("2026-03", 2_000_000, 500), ("2026-02", 1_333_333, 333)]
    assert unbilled("ann", "streaming") == unbilled("bill", "initech") == both
    assert [unbilled("sam", "initech"), unbilled("eve", "initech"), unbilled("bill", "streaming")] == [
        403
    ] * 3
    assert close(metered, "2026-02").status_code == 200
    assert unbilled("bill", "initech") == both[:1]


def test_a_month_is_a_month(metered, registry):
    """Also for callers other than the route: months are compared as texts."""
    invoicing, ann = registry.services.licences.invoicing, registry.who("ann")
    for period in ("2026-0", "2025-13", "", "2025-01\n", "20٢5-01"):
        with pytest.raises(InputError, match="give a month"):
            registry.run(invoicing.close(ann, "streaming", period))


def test_a_closed_invoice_never_changes_and_late_use_is_on_the_next(metered, registry):
    registry.clock.advance(days=1)
    use(metered, "in-time", 1_000_000, "2026-02-01T00:00:00Z")
    registry.clock.advance(days=29)
    first = close(metered, "2026-02").json()["items"]
    use(metered, "late", 2_000_000, "2026-02-01T01:00:00Z")
    use(metered, "march", 3_000_000, "2026-03-02T10:00:00Z")
    assert close(metered, "2026-02").json()["items"] == first
    registry.clock.advance(days=31)
    (second,) = close(metered, "2026-03").json()["items"]
    assert [line["quantity"] for line in second["lines"]] == [5_000_000]
    assert [each["number"] for each in invoices(metered)] == [2, 1]
    stored = registry.run(registry.services.licences.invoicing._store.invoice_by_key(first[0]["id"]))
    assert content_hash(stored) == stored.sha256 == first[0]["sha256"]


def test_many_who_close_at_once_make_one_invoice_and_lose_nothing(metered, registry):
    registry.clock.advance(days=1)
    for number in range(20):
        use(metered, f"load-{number}", 1_000_000, "2026-02-01T00:00:00Z")
    registry.clock.advance(days=28)

    other = Services(registry.settings, registry.clock)  # as another process has them
    ann = registry.who("ann")

    def work(number):
        if number % 4 == 2:
            registry.run(other.licences.invoicing.close(ann, "streaming", "2026-02"))
            return 200
        if number % 2:
            use(metered, f"late-{number}", 1_000_000, "2026-02-01T00:00:00Z")
            return 201
        return close(metered, "2026-02").status_code

    assert set(at_once(work, range(16))) == {200, 201}
    registry.run(other.database.close())
    registry.clock.advance(days=31)
    close(metered, "2026-03")
    found = invoices(metered)
    assert sum(line["quantity"] for each in found for line in each["lines"]) == 28_000_000
    assert sorted(each["number"] for each in found) == list(range(1, len(found) + 1))
    assert sum(each["total_minor"] for each in found) == 28 * 250


@pytest.mark.parametrize("step", ["put_on_invoice", "number_for", "close"])
def test_a_closer_that_is_cut_off_is_finished_by_the_next(metered, registry, step):
    registry.clock.advance(days=1)
    use(metered, "load", 1_000_000, "2026-02-01T00:00:00Z")
    registry.clock.advance(days=60)
    store = registry.services.licences.invoicing._store
    whole = getattr(store, step)

    async def cut_off(*_):
        raise AutoReconnect("killed here")

    setattr(store, step, cut_off)
    assert close(metered, "2026-02").status_code == 503
    assert invoices(metered) == []
    setattr(store, step, whole)
    use(metered, "another", 2_000_000, "2026-03-01T00:00:00Z")
    assert close(metered, "2026-03").status_code == 200  # an older draft is finished with it
    found = {each["period"]: each["total_minor"] for each in invoices(metered)}
    assert found == {"2026-02": 250, "2026-03": 500}
    assert sorted(each["number"] for each in invoices(metered)) == [1, 2]


def test_paid_orders_are_on_the_invoice_as_paid(shop, registry):
    shop = shop()
    shop.pay(shop.order().json())
    registry.clock.advance(days=2)
    (invoice,) = close(shop, "2026-01").json()["items"]
    assert (invoice["total_minor"], invoice["paid_minor"], invoice["due_minor"]) == (19_900, 19_900, 0)
    assert [line["kind"] for line in invoice["lines"]] == ["licence"]
    assert close(shop, "2026-01").json()["items"] == [invoice]


def test_credit_notes_take_back_no_more_than_the_invoice(metered, registry):
    registry.clock.advance(days=1)
    use(metered, "load", 4_000_000, "2026-02-01T00:00:00Z")
    registry.clock.advance(days=30)
    invoice = close(metered, "2026-02").json()["items"][0]
    path = f"/invoices/{invoice['id']}/credit-notes"

    def credit(amount, login="ann"):
        return metered.ask(
            login, "POST", path, json={"amount_minor": amount, "reason": "wrong count"}
        ).status_code

    assert [credit(1, login) for login in ("bill", "sam", "eve")] == [403, 404, 404]
    for amount in (0, -1, 1.5, 1001, LARGEST_MINOR + 1):
        assert credit(amount) in (409, 422), amount
    assert sorted(at_once(lambda _: credit(300), range(6), threads=6)) == [201] * 3 + [409] * 3
    after = metered.ask("bill", "GET", f"/invoices/{invoice['id']}").json()
    assert (after["credited_minor"], after["due_minor"]) == (900, 100)
    assert [note["number"] for note in after["credit_notes"]] == [1, 2, 3]
    unchanged = {
        key: value
        for key, value in invoice.items()
        if key not in ("credit_notes", "credited_minor", "due_minor")
    }
    assert unchanged.items() <= after.items()


def test_a_refund_after_the_invoice_is_a_credit_note(shop, registry):
    shop = shop()
    order = shop.order().json()
    shop.pay(order)
    registry.clock.advance(days=2)
    invoice = close(shop, "2026-01").json()["items"][0]
    for _ in range(2):
        assert shop.send(shop.call("refunded", order)).status_code == 200
    after = shop.ask("bill", "GET", f"/invoices/{invoice['id']}").json()
    assert [(note["amount_minor"], note["number"]) for note in after["credit_notes"]] == [(19_900, 1)]


def test_a_refund_before_the_invoice_is_not_billed(shop, registry):
    shop = shop()
    order = shop.order().json()
    shop.pay(order)
    shop.send(shop.call("refunded", order))
    registry.clock.advance(days=2)
    assert close(shop, "2026-01").json()["items"] == []


def test_two_currencies_are_two_invoices(metered, registry):
    registry.clock.advance(days=1)
    use(metered, "euro", 1_000_000, "2026-02-01T00:00:00Z")
    metered.publisher.list(
        "1.1.0", pricing={"model": "usage", "amount_minor": 300, "currency": "USD", "per": "million_rows"}
    )
    metered.give(days=300)
    use(metered, "dollar", 1_000_000, "2026-02-01T00:00:00Z")
    registry.clock.advance(days=30)
    found = {each["currency"]: each["total_minor"] for each in close(metered, "2026-02").json()["items"]}
    assert found == {"EUR": 250, "USD": 300}


def test_only_owners_close_and_see(metered, registry):
    registry.clock.advance(days=32)
    assert [close(metered, "2026-02", login).status_code for login in ("bill", "sam", "eve")] == [
        403,
        403,
        403,
    ]
    for period in ("2026-13", "26-01", "2026-1"):
        assert close(metered, period).status_code == 422
    assert metered.ask("sam", "GET", "/invoices", params={"namespace": "initech"}).status_code == 403
    assert metered.ask("eve", "GET", "/invoices", params={"namespace": "initech"}).status_code == 403
    assert metered.ask("bill", "GET", f"/invoices/{'0' * 26}").status_code == 404
    assert close(metered, "2026-02").json()["items"] == []
    assert registry.run(registry.services.database["invoices"].count_documents({})) == 0
