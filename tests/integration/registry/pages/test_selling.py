"""Webhooks, licences and invoices on pages, used as a browser without scripts uses them.

In the order in which they stand here: the last ones take back what the first ones use.
"""

import csv
import io
import re

import pytest

from tests.integration.registry.showcase import BUILDS, BUYER, CHAT, LEDGER

pytestmark = pytest.mark.integration
HOOKS = "/n/streaming/webhooks"


def deliver(showcase):
    showcase.registry.run(showcase.registry.services.webhooks.deliver())


def test_a_webhook_is_added_tried_and_deleted(visitor, showcase):
    ann = visitor("ann")
    for given, said in (
        ({"url": "http://example.org", "events": ["release.listed"]}, "it must begin with https"),
        ({"url": "https://192.168.1.9/x", "events": ["release.listed"]}, "not a machine of the internet"),
        ({"url": "https://hooks.example.org/x"}, "choose at least one"),
        ({"url": "https://hooks.example.org/x", "events": ["webhook.test"]}, "choose one of the values"),
    ):
        refused = ann.post(HOOKS, given)
        assert (refused.status_code, said in refused.text) == (422, True), given
        assert f'value="{given["url"]}"' in refused.text
    made = ann.post(HOOKS, {"url": f"{CHAT}/2", "events": ["release.listed", "review.created"]})
    assert made.status_code == 200
    assert made.headers["cache-control"] == "private, no-store"
    (secret,) = re.findall(r"whsec_[A-Za-z0-9+/=]+(?=</code>)", made.text)
    (path,) = set(re.findall(rf"{HOOKS}/[0-9a-z]{{26}}(?=/test)", made.text))
    assert secret not in ann.get(path).text
    assert "Nothing sent yet" in ann.get(path).text
    assert ann.post(f"{path}/test").headers["location"] == f"{path}?done=hook-tested"
    deliver(showcase)
    page = ann.text(path)
    assert "webhook.test" in page
    assert "The receiver answered 503" in page  # only the one address is known to the chat
    renewed = ann.post(f"{path}/secret")
    (second,) = re.findall(r"whsec_[A-Za-z0-9+/=]+(?=</code>)", renewed.text)
    assert second != secret
    assert ann.post(f"{path}/delete").status_code == 303
    assert ann.get(path).status_code == 404


def test_the_page_asks_again_only_while_a_try_is_due_soon(visitor, showcase):
    ann, run = visitor("ann"), showcase.registry.run
    webhooks = showcase.registry.services.webhooks
    path = f"{HOOKS}/{showcase.webhook}"
    deliver(showcase)
    assert "hx-trigger" not in ann.get(path).text
    run(webhooks.stop())
    try:
        ann.post(f"{path}/test")
        waiting = ann.get(path).text
        assert 'hx-trigger="every 3s"' in waiting
        assert '<noscript><meta http-equiv="refresh"' in waiting
        assert "on its way" in waiting
    finally:
        run(webhooks.start())
    deliver(showcase)
    assert "hx-trigger" not in ann.get(path).text


def test_deliveries_are_listed_and_sent_again(visitor, showcase):
    ann = visitor("ann")
    deliver(showcase)
    listed = ann.text(HOOKS)
    assert CHAT in listed
    assert BUILDS in listed
    path = f"{HOOKS}/{showcase.webhook}"
    page = ann.get(path).text
    assert "Answered 204 after 38 ms" in page
    again = re.search(rf"{path}/deliveries/[0-9a-z]{{26}}-[0-9a-z]{{26}}/redeliver", page)[0]
    assert ann.post(again).status_code == 303
    assert visitor("lena").post(again).status_code == 403
    assert visitor("bill").post(again.replace("streaming", BUYER)).status_code == 404


def test_what_one_may_use_and_an_entitlement(visitor, showcase):
    sam, path = visitor("sam"), f"/account/licences/{showcase.licence}/token"
    page = sam.text("/account/licences")
    for said in (LEDGER, "you have a seat", BUYER):
        assert said in page
    assert "EUR" not in page  # prices are for those who manage
    made = sam.post(path, {"hours": "24"})
    assert made.status_code == 200
    assert re.search(r"dtegent_[\w-]{100,}", made.text)
    assert sam.post(path, {"hours": "many"}).status_code == 422
    assert "Nothing that needs a licence" in visitor("lena").text("/account/licences")
    refused = visitor("lena").post(path, {"hours": "24"})
    assert (refused.status_code, "dtegent_" in refused.text) == (422, False)


def test_seats_licences_and_their_end(visitor, showcase):
    ann, bill, sam = visitor("ann"), visitor("bill"), visitor("sam")
    showcase.registry.make_account("omar")
    showcase.registry.make_namespace("umbra", "omar")
    given = {"component": "ledger-loader", "organisation": "umbra", "seats": "2", "until": "2030-01-31"}
    for change, said in (
        ({"until": "soon"}, "write a date"), ({"organisation": "nobody-here"}, "this does not fit"), ({"organisation": "nobody"}, "no namespace"),
        ({"seats": "0"}, "at least 1"), ({"component": "kafka-extractor"}, "is free"), ({"until": "2020-01-01"}, "in the future"),
        ({"until": "2999-01-31"}, "within a hundred years"),
    ):  # fmt: skip
        refused = ann.post("/n/streaming/licences", {**given, **change})
        assert (refused.status_code, said in refused.text) == (422, True), change
    assert bill.post("/n/streaming/licences", given).status_code == 403
    assert ann.post("/n/streaming/licences", given).status_code == 303
    assert "umbra may use ledger-loader" in re.sub(r"\s+", " ", ann.text("/n/streaming/licences"))
    assert "0 of 2 seats taken" in visitor("omar").text("/n/umbra/licences")
    seats = f"/n/{BUYER}/licences/{showcase.licence}/seats"
    assert ann.post(seats, {"login": "sam"}).status_code == 403
    assert bill.post(seats, {"login": "sam"}).status_code == 303
    assert "a seat is free" in sam.text("/account/licences")
    revoke = f"/n/streaming/licences/{showcase.licence}/revoke"
    assert bill.post(revoke).status_code == 403
    assert sam.post(revoke).status_code == 404
    assert ann.post(revoke).status_code == 303
    assert LEDGER not in sam.text("/account/licences")
    assert "ended" in bill.text(f"/n/{BUYER}/licences")
    assert sam.get(f"/n/{BUYER}/licences").status_code == 403  # a reader


def test_invoices_are_read_credited_and_taken_along(visitor, showcase):
    ann, bill, path = visitor("ann"), visitor("bill"), f"/invoices/{showcase.invoice}"
    for one, ns in ((ann, "streaming"), (bill, BUYER)):
        page = one.text(f"/n/{ns}/invoices")
        assert "120.55 EUR" in page
        assert "110.55 EUR" in page
        assert "7,300,512" in page  # not billed yet
    assert "Close a month" in ann.text("/n/streaming/invoices")
    assert "Close a month" not in bill.text(f"/n/{BUYER}/invoices")
    assert "Write a credit note" not in bill.text(path)
    credit = {"amount_minor": "55", "reason": "=cmd|' /C calc'!A0"}
    assert bill.post(f"{path}/credit-notes", credit).status_code == 422
    assert ann.post(f"{path}/credit-notes", {**credit, "amount_minor": "1.5"}).status_code == 422
    assert (
        "are left to take back" in ann.post(f"{path}/credit-notes", {**credit, "amount_minor": "999999"}).text
    )
    assert ann.post(f"{path}/credit-notes", credit).status_code == 303
    assert "110.00 EUR" in bill.text(path)
    one = bill.get(f"{path}/export")
    assert one.headers["content-disposition"] == 'attachment; filename="invoice-streaming-1.csv"'
    assert one.headers["cache-control"] == "private, no-store"
    rows = list(csv.DictReader(io.StringIO(one.text)))
    assert [(row["kind"], row["amount_minor"]) for row in rows] == [
        ("usage", "12055"), ("credit-note", "-1000"), ("credit-note", "-55"),
    ]  # fmt: skip
    assert rows[-1]["reason"].startswith("'=")  # no formula for a spreadsheet
    assert ann.get("/n/streaming/invoices/export").text == one.text
    same = bill.get(f"{path}/export?kind=json").json()
    assert (same["total_minor"], same["due_minor"]) == (12_055, 11_000)
    for other in (visitor("sam"), visitor("lena"), visitor("mara")):
        assert other.get(path).status_code == 404
        assert other.get(f"{path}/export").status_code == 404
        assert other.get("/n/streaming/invoices/export").status_code == 403


def test_a_month_is_closed(visitor, showcase):
    ann = visitor("ann")
    close = "/n/streaming/invoices/close"
    for period, said in (("2026-1", "Give a month"), ("", "Give a month"), ("2999-01", "is not over")):
        refused = ann.post(close, {"period": period})
        assert (refused.status_code, said in refused.text) == (422, True), period
    assert ann.post(close, {"period": showcase.billed}).status_code == 303
    assert visitor("bill").post(close, {"period": showcase.billed}).status_code == 403
