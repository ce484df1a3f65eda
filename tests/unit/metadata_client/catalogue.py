"""A catalogue of 200 tables that share most of their words, and questions that people ask of it.

Each table is a thing of an area (`sales_orders`, `hr_contracts`): 20 areas, 10 things. Columns of the same names stand in
many of them, so a question finds its table only by several words together. A third of the questions say nothing of the
names: they hold some of the words of the descriptions, three of five, chosen by chance.
"""

import random

AREAS = {
    "sales": "what customers buy from us", "billing": "money that is owed and paid", "hr": "people who work here",
    "logistics": "goods on their way", "support": "help for users", "marketing": "how we advertise",
    "web": "visits of the site", "mobile": "use of the app", "warehouse": "goods in store",
    "procurement": "what we buy from suppliers", "finance": "the general ledger", "legal": "matters of law",
    "quality": "inspection of goods", "production": "making of goods", "energy": "power and heat",
    "fleet": "vehicles", "training": "courses for staff", "security": "access and incidents",
    "research": "studies and trials", "partners": "resellers and agents",
}  # fmt: skip
THINGS = {
    "orders": ("requests that were placed", ("order_number", "ordered_at", "net_amount", "status")),
    "contracts": ("agreements that were signed", ("contract_number", "signed_at", "ends_at", "annual_value")),
    "invoices": ("bills with their due day", ("invoice_number", "due_date", "gross_amount", "is_settled")),
    "employees": ("staff and their posts", ("full_name", "hired_at", "position", "salary")),
    "visits": ("when somebody came, and for how long", ("visitor_id", "started_at", "duration_s", "referrer")),
    "shipments": ("parcels and their delivery", ("tracking_code", "shipped_at", "delivered_at", "weight_kg")),
    "complaints": ("what people were unhappy about", ("reason", "opened_at", "closed_at", "severity")),
    "budgets": ("planned spending", ("fiscal_period", "planned_amount", "spent_amount", "owner")),
    "events": ("things that happened, one a row", ("event_kind", "occurred_at", "payload", "session")),
    "locations": ("places with their address", ("city", "postal_code", "latitude", "longitude")),
}  # fmt: skip
COMMON = ("id", "created_at", "updated_at", "region", "notes")
_BY_NAME = (
    "how many {area} {thing} were there last month",
    "show the {area} {thing} with the highest {column}",
    "average {column} of {area} {thing} per region in 2025",
    "list {thing} of {area} where {column} is not known",
)
_BY_MEANING = (
    "{about_thing}: how many for {about_area} since '2025-01-01'",
    "total of {about_thing} about {about_area}",
)


def tables() -> list[dict]:
    """Return the entries, in the form of the cache."""
    return [
        {
            "table_id": f"{area}.{area}_{thing}",
            "last_updated": "2026-01-01T00:00:00Z",
            "columns": [
                {"name": name, "type": "text", "mode": "NULLABLE", "description": ""} for name in (*COMMON, *columns)
            ],
            "description": f"{about.capitalize()}: {what}.",
            "fingerprint_sha256": f"{area}-{thing}",
        }
        for area, what in AREAS.items()
        for thing, (about, columns) in THINGS.items()
    ]  # fmt: skip


def questions(number: int = 600, seed: int = 7) -> list[tuple[str, str]]:
    """Return questions, each with the id of the table that answers it."""
    chance = random.Random(seed)
    found = []
    for _ in range(number):
        area, thing = chance.choice(list(AREAS)), chance.choice(list(THINGS))
        about, columns = THINGS[thing]
        form = chance.choice(_BY_MEANING if chance.random() < 1 / 3 else _BY_NAME)
        text = form.format(
            area=area,
            thing=thing,
            column=chance.choice(columns).replace("_", " "),
            about_area=_some(AREAS[area], chance),
            about_thing=_some(about, chance),
        )
        found.append((text, f"{area}.{area}_{thing}"))
    return found


def _some(text: str, chance: random.Random) -> str:
    words = text.split()
    kept = sorted(chance.sample(range(len(words)), max(1, round(len(words) * 0.6))))
    return " ".join(words[number] for number in kept)
