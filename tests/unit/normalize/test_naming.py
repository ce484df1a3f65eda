"""What tables are called, by their key and by what it fixes."""

import pytest

from dteg.normalize.naming import looks_like_key, plain, plural, shared_word, stem, table_name

STEMS = {
    "customer_id": "customer", "CustomerID": "customer", "Billing Zip": "billing_zip", "Account ID": "account", "고객번호": "고객", "Código cliente": "cliente", "orderNo": "order", "tailnum": "tail", "product_sku": "product",
    "country_iso2": "country", "zip": "zip", "zip_code": "zip", "postcode": "postcode", "barcode": "barcode",
    "piano": "piano", "grid": "grid", "surname": "surname", "monkey": "monkey", "id": "id", "_id": "id", "custid": "cust",
    "flight": "flight",
}  # fmt: skip


@pytest.mark.parametrize("name", STEMS)
def test_a_suffix_that_says_key_is_left_out_and_no_part_of_a_word(name):
    assert stem(name) == STEMS[name]


@pytest.mark.parametrize(
    ("key", "own", "name"),
    [
        (["customer_id"], ["city_name", "city_zip"], "customers"),
        (["sku"], ["product_name", "product_price", "weight"], "products"),
        (["tailnum"], ["plane_model", "plane_engines"], "planes"),
        (["tailnum"], ["manufacturer", "model", "engines"], "tails"),
        (["isbn"], ["bookTitle", "bookAuthor"], "books"),
        (["email"], ["first_name", "last_name"], "emails"),
        (["email"], ["first_name", "first_seen"], "emails"),
        (["dest"], ["dest_name", "dest_lat"], "dests"),
        (["person_id"], ["name"], "people"),
        (["order_id", "product_id"], ["line_price", "line_tax"], "order_products"),
        (["zip"], ["city_name"], "zips"),
    ],
)
def test_the_table_of_a_key(key, own, name):
    assert table_name(key, own) == name


def test_plurals():
    assert [plural(each) for each in ("city", "day", "status", "class", "box", "orders", "contact_person")] == [
        "cities", "days", "statuses", "classes", "boxes", "orders", "contact_people",
    ]  # fmt: skip


def test_a_word_has_to_be_shared_by_most():
    assert shared_word(["product_name", "colour", "size_cm"]) == ""
    assert shared_word([]) == ""


def test_names_of_other_scripts():
    assert [plain(each) for each in ("Año", "Straße", "주문", "Ünïcode Näme", "№ 5", "2nd")] == [
        "ano", "strasse", "주문", "unicode_name", "no_5", "t_2nd",
    ]  # fmt: skip
    assert plural("고객") == "고객"


def test_what_looks_like_a_key():
    keys = ("Deal ID", "InvoiceNo", "custid", "고객번호", "Código cliente", "Billing Zip", "tailnum")
    others = ("paid", "valid", "unpaid", "rapid", "grid", "invoice_date", "unit_price")
    assert [looks_like_key(each) for each in (*keys, *others)] == [True] * len(keys) + [False] * len(others)
