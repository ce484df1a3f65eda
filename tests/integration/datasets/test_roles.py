"""Who sees what: a dataset with roles is for these and for admins, in every route and on every page that names one."""

import re

import pytest

from dteg.charts.models import ChartSpec
from dteg.datasets.spec import parse_spec
from dteg.metadata.service import Metadata
from dteg.tokens.models import NewToken, Scope
from studio.access import Access, routes_of
from studio.app import create_app
from tests.integration.charts.sales import make_spec
from tests.integration.datasets.conftest import SALES

pytestmark = pytest.mark.integration
SECRET = 'dataset: pay\nroles: [finance]\ntitle: Secret\nsources: {s: {dataset: sales}}\nsnapshot: {schedule: "0 * * * *"}\n'
OF_SECRET = {"dataset": "mine", "sources": {"s": {"dataset": "pay"}}}
OF_VIEW = {"dataset": "mine", "sources": {"s": {"source": "warehouse", "schema": "ds", "table": "pay"}}}


@pytest.fixture
def closed(sales, studio):
    """The dataset `sales` for everybody, and `pay` for the role finance, with a chart of each for everybody."""
    sales.save(parse_spec(SECRET), origin="api")
    sales.refresh("pay", "run-of-pay")
    studio.services.snapshots.take("pay")
    for chart, dataset in (("open_one", "sales"), ("of_pay", "pay")):
        spec = make_spec(chart, title=f"Of {dataset}", source={"dataset": dataset})
        studio.services.charts.save(ChartSpec.model_validate(spec))
    return studio


def token_of(studio, *scopes, roles=()):
    new = NewToken(
        name="-".join([*scopes, *roles]), scopes=[Scope(each) for each in scopes], roles=list(roles)
    )
    return studio.services.tokens.create(new).token


def routes_that_name_one(studio):
    """Return method and path of each route with a dataset in its path, and of its view as a table."""
    app = create_app(studio.services.settings, studio.services)
    named = r"(/api/v1)?/(datasets/\{slug\}|snapshots/\{dataset\}|tables/\{table\})(/.*)?$"
    found = [
        (method, route.path)
        for route in routes_of(app)
        if isinstance(route.access, Access) and re.match(named, route.path)
        for method in sorted(route.methods - {"HEAD"})
    ]
    assert len(found) >= 35
    return found


def test_every_route_that_names_a_closed_dataset_does_not_find_it(closed):
    tokens = {
        "reader": token_of(closed, "read"), "writer": token_of(closed, "write"),
        "other": token_of(closed, "write", roles=["sales"]),
    }  # fmt: skip
    for method, path in routes_that_name_one(closed):
        asked = re.sub(r"\{(slug|dataset)\}", "pay", path).replace("{table}", "ds.pay").replace("{n}", "1")
        asked = asked.removeprefix("/api/v1") if asked.startswith("/api/v1") else f"/{asked}"
        for who, token in tokens.items():
            answer = closed.request(method, asked, token=token)
            # 403: the right to do that is missing anyway.
            assert answer.status_code in (403, 404), (
                who,
                method,
                path,
                answer.status_code,
                answer.text[:200],
            )
            assert "Secret" not in answer.text
    assert closed.services.datasets.get("pay").live.n == 1


def test_who_has_the_role_and_who_is_an_admin_see_it(closed):
    for token in (token_of(closed, "read", roles=["finance"]), token_of(closed, "admin"), closed.token):
        paths = ("/datasets/pay", "/datasets/pay/rows", "/snapshots/pay/takes", "/tables/ds.pay/rows")
        for path in (*paths, "/charts/of_pay/data", "//datasets/pay", "//datasets/pay/history"):
            assert closed.request("GET", path, token=token).status_code == 200, path


def test_lists_and_pages_hold_what_may_be_seen(closed):
    reader, finance = token_of(closed, "write"), token_of(closed, "write", roles=["finance"])
    lists = ("/datasets", "/charts", "/tables", "//datasets", "//charts", "//tables", "//charts/choose")
    for path in (*lists, "//datasets/builder/tree/~datasets"):
        hidden, shown = (closed.request("GET", path, token=token).text for token in (reader, finance))
        assert "sales" in hidden
        assert not re.search(r"\bpay\b|of_pay", hidden), path
        assert re.search(r"\bpay\b|of_pay", shown), path
    assert not re.search(r"\bpay\b", closed.request("GET", "//", token=finance).text)  # everybody's page
    assert closed.request("GET", "/dataset-runs/run-of-pay", token=reader).json() == {"generation": None}
    assert closed.request("GET", "/dataset-runs/run-of-pay", token=finance).json()["generation"]["n"] == 1


@pytest.mark.parametrize("spec", [OF_SECRET, OF_VIEW], ids=["dataset", "view"])
def test_nobody_reads_it_by_a_dataset_of_their_own(closed, spec):
    writer = token_of(closed, "write")
    for path in ("/datasets/preview", "/datasets/validate", "/datasets"):
        answer = closed.request("POST", path, token=writer, json={"spec": spec})
        assert answer.status_code in (404, 422), (path, answer.text)
        assert "amount" not in answer.text
    tables = {"tables": [spec["sources"]["s"], {"dataset": "sales"}]}
    assert closed.request("POST", "/datasets/joins", token=writer, json=tables).status_code in (404, 422)
    known = closed.request(
        "POST", "//datasets/builder/tables", token=writer, json={"refs": [spec["sources"]["s"]]}
    )
    assert known.json()["tables"][0]["columns"] == []
    checked = closed.request("POST", "//datasets/builder/check", token=writer, json={"spec": spec})
    assert checked.json()["columns"] == []
    assert closed.services.datasets.validate(parse_spec(SECRET)).columns  # the library sees all


def test_nobody_draws_it_changes_it_or_takes_its_name(closed):
    writer = token_of(closed, "write")
    chart = make_spec("stolen", source={"dataset": "pay"})
    for path in ("/charts", "/charts/preview"):
        assert closed.request("POST", path, token=writer, json=chart).status_code == 404
    assert closed.request("GET", "//charts/new?dataset=pay", token=writer).status_code == 404
    text = {"text": "chart: stolen\ntitle: x\nsource: {dataset: pay}\ntype: table\n"}
    assert closed.request("POST", "/charts/apply", token=writer, json=text).status_code == 404
    assert closed.request("POST", "/dashboards/import", token=writer, json=text).status_code == 404
    other = {"yaml": SALES.replace("dataset: sales", "dataset: pay"), "replace": True}
    answer = closed.request("POST", "/datasets", token=writer, json=other)
    assert (answer.status_code, "is taken" in answer.text) == (409, True)
    assert closed.services.datasets.get("pay").title == "Secret"


def test_a_near_name_does_not_tell_of_it(closed):
    reader = token_of(closed, "read")
    assert "pay" not in closed.request("GET", "/datasets/paid/rows", token=reader).text
    assert '"sales"' in closed.request("GET", "/datasets/saless/rows", token=reader).json()["detail"]


def test_history_of_a_removed_dataset_is_for_admins(closed):
    closed.services.charts.remove("of_pay")
    closed.services.datasets.remove("pay")
    for token in (token_of(closed, "read"), token_of(closed, "read", roles=["finance"])):
        assert closed.request("GET", "/snapshots/pay/takes", token=token).status_code == 404
    assert closed.request("GET", "/snapshots/pay/takes").json()["items"]
    assert closed.request("GET", "/snapshots/sales/takes", token=token_of(closed, "write")).status_code == 200


def test_the_metadata_cache_neither_tells_of_it_nor_asks_it(closed):
    metadata = Metadata.of(closed.services.project)
    metadata.collect()
    tables = [each.table_id for each in metadata.manifest().tables]
    assert "ds.sales" in tables
    assert "ds.pay" not in tables
    assert metadata.check("SELECT count(*) FROM ds.sales").status == "valid"
    # What was collected while everybody could see it is closed at once.
    spec = closed.services.datasets.export("sales")
    spec = parse_spec(f"{spec}\nroles: [finance]\n")
    closed.services.datasets.save(spec, origin="api", replace=True)
    assert metadata.check("SELECT count(*) FROM ds.sales").status != "valid"
