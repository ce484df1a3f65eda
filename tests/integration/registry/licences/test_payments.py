import json

import pytest

from tests.integration.registry.community import at_once

pytestmark = pytest.mark.integration


def test_checkout_payment_licence_download(shop):
    shop = shop()
    order = shop.order()
    assert order.status_code == 201, order.text
    order = order.json()
    assert (order["state"], order["amount_minor"], order["currency"]) == ("created", 19_900, "EUR")
    assert shop.download("sam") == 403
    shop.pay(order)
    assert shop.ask("bill", "GET", f"/orders/{order['id']}").json()["state"] == "paid"
    licence = shop.licence()
    assert (licence["active"], licence["source"]) == (True, "payment")
    assert licence["until"].startswith("2026-02-28T12:00:00")
    assert shop.download("sam") == 200


def test_a_buyer_can_pay_at_the_test_provider(shop):
    shop = shop()
    order = shop.order().json()
    path = order["url"].partition("/api/v1")[2]
    assert shop.ask("eve", "POST", path).status_code == 404
    assert shop.ask("bill", "POST", path).json()["state"] == "paid"
    assert shop.download("sam") == 200


def test_premium_is_paid_per_seat(shop):
    shop = shop(model="premium", amount_minor=999, per="once")
    assert shop.order().status_code == 422
    order = shop.order(seats=3).json()
    assert order["amount_minor"] == 2997
    shop.pay(order)
    assert (shop.licence()["seats"], shop.licence()["until"]) == (3, None)


def test_metered_use_costs_nothing_in_advance(shop):
    shop = shop(model="usage", amount_minor=250, per="million_rows")
    order = shop.order().json()
    assert (order["state"], order["amount_minor"], order["url"]) == ("paid", 0, "")
    assert shop.download("sam") == 200


def test_the_same_call_twice_is_a_replay_and_refused(shop):
    shop = shop()
    call = shop.call("paid", shop.order().json())
    assert shop.send(call).status_code == 200
    until = shop.licence()["until"]
    replayed = shop.send(call)
    assert (replayed.status_code, replayed.json()["code"]) == (409, "conflict")
    assert shop.licence()["until"] == until


def test_the_same_event_signed_anew_is_taken_once(shop):
    """Real providers tell again until they hear that it was received."""
    shop = shop()
    order = shop.order().json()
    calls = [shop.call("paid", order, event_id="evt_1") for _ in range(4)]
    assert {answer.status_code for answer in at_once(shop.send, calls, threads=4)} == {200}
    assert shop.licence()["until"].startswith("2026-02-28")
    stored = shop.registry.run(shop.registry.services.database["licences"].find_one({}))
    assert stored["orders"] == [order["id"]]


def test_an_event_cannot_change_its_story(shop):
    shop = shop()
    first, second = shop.order().json(), shop.order().json()
    shop.send(shop.call("paid", first, event_id="evt_1"))
    assert shop.send(shop.call("paid", second, event_id="evt_1")).status_code == 409
    assert shop.ask("bill", "GET", f"/orders/{second['id']}").json()["state"] == "created"


def test_what_the_provider_did_not_sign_is_refused(shop, registry):
    shop = shop()
    order = shop.order().json()
    headers, body = shop.call("paid", order)
    (name, value), *_ = headers.items()
    event = json.loads(body)
    cheaper = json.dumps({**event, "amount_minor": 1}).encode()
    forged = [
        ({}, body), ({name: ""}, body), ({name: "t=1,n=x,v1=00"}, body), ({name: value[:-1] + "0g"[value[-1] == "0"]}, body),
        (headers, cheaper), ({name: value.replace("t=", "t=1")}, body), ({name: value.replace("n=", "n=0")}, body),
        ({name: "t=\u00b2,n=x,v1=00".encode("latin-1")}, body), (headers, b"x" * 30_000),
    ]  # fmt: skip
    for call in forged:
        assert shop.send(call).status_code == 403, call[0]
    assert (
        registry.request("POST", "/payments/other/callback", headers=headers, content=body).status_code == 404
    )
    assert shop.ask("bill", "GET", f"/orders/{order['id']}").json()["state"] == "created"
    assert shop.send((headers, body)).status_code == 200


def test_an_old_call_is_refused(shop, registry):
    shop = shop()
    call = shop.call("paid", shop.order().json())
    registry.clock.advance(minutes=6)
    assert shop.send(call).status_code == 403


def test_another_amount_than_was_ordered_buys_nothing(shop, registry):
    shop = shop()
    order = shop.order().json()
    stored = shop.stored(order)
    provider = registry.services.licences.checkouts.provider
    for wrong in (
        {"amount_minor": 19_899},
        {"price": stored.price.model_copy(update={"currency": "JPY"})},
    ):
        call = provider.call("paid", stored.model_copy(update=wrong), registry.clock())
        assert shop.send(call).status_code == 403
    unknown = provider.call("paid", stored.model_copy(update={"reference": "test_none"}), registry.clock())
    assert shop.send(unknown).status_code == 404
    assert shop.download("sam") == 403


def test_a_failed_payment_can_still_succeed(shop):
    shop = shop()
    order = shop.order().json()
    assert shop.send(shop.call("failed", order)).status_code == 200
    assert shop.ask("bill", "GET", f"/orders/{order['id']}").json()["state"] == "failed"
    assert shop.download("sam") == 403
    shop.pay(order)
    assert shop.download("sam") == 200
    shop.send(shop.call("failed", order))  # late, and overtaken
    assert shop.ask("bill", "GET", f"/orders/{order['id']}").json()["state"] == "paid"


def test_a_renewal_begins_where_the_last_one_ends(shop, registry):
    shop = shop()
    shop.pay(shop.order().json())
    registry.clock.advance(days=3)
    shop.pay(shop.order().json())
    assert shop.licence()["until"].startswith("2026-03-28T12:00:00")
    registry.clock.advance(days=90)
    shop.pay(shop.order().json())
    assert shop.licence()["until"].startswith("2026-06-04T12:00:00")  # a month from today, no gap is paid


def test_a_crash_between_payment_and_licence_is_mended_by_the_next_call(shop, registry):
    shop = shop()
    order = shop.order().json()
    licences = registry.services.licences
    give = licences.give_for_order

    async def cut_off(order):
        raise SystemError("killed here")

    licences.give_for_order = cut_off
    assert shop.send(shop.call("paid", order, event_id="evt_1")).status_code == 500
    licences.give_for_order = give
    assert shop.download("sam") == 403
    assert shop.send(shop.call("paid", order, event_id="evt_1")).status_code == 200
    assert shop.download("sam") == 200


def test_a_refund_ends_the_licence(shop):
    shop = shop()
    order = shop.order().json()
    assert shop.send(shop.call("refunded", order)).status_code == 409
    shop.pay(order)
    assert shop.send(shop.call("refunded", order)).status_code == 200
    assert shop.download("sam") == 403
    assert shop.send(shop.call("refunded", order, event_id="evt_again")).status_code == 200
    # Paid late, after the refund: nothing comes back.
    shop.send(shop.call("paid", order, event_id="evt_late"))
    assert shop.download("sam") == 403


def test_only_owners_of_an_organisation_order_for_it(shop):
    shop = shop()
    assert [shop.order(login).status_code for login in ("ann", "sam", "eve")] == [403, 403, 403]
    assert shop.order(organisation="nobody").status_code == 404
    order = shop.order().json()
    assert [
        shop.ask(login, "GET", f"/orders/{order['id']}").status_code for login in ("bill", "sam", "ann")
    ] == [200, 404, 404]


def test_without_a_provider_nothing_is_sold(shop, registry):
    shop = shop()
    registry.services.licences.checkouts.provider = None
    refused = shop.order()
    assert (refused.status_code, "takes no payments" in refused.json()["detail"]) == (409, True)
    assert registry.request("POST", "/payments/test/callback", content=b"{}").status_code == 404
    assert shop.give().status_code == 201  # by agreement between the two
