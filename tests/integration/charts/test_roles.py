"""Who sees what: charts and dashboards with roles are for these and for admins, in every route and on every page."""

import re

import httpx
import pytest

from dteg.charts.models import ChartSpec
from dteg.dashboards.models import DashboardSpec
from dteg.tokens.models import NewToken, Scope
from studio.access import Access, routes_of
from studio.app import create_app
from studio.charts import routes as chart_routes
from studio.dashboards import routes as dashboard_routes
from tests.integration.charts.sales import make_sales, make_spec

pytestmark = pytest.mark.integration
TILES = [
    {"chart": "open_one", "x": 0, "y": 0, "w": 6, "h": 4},
    {"chart": "closed_one", "x": 6, "y": 0, "w": 6, "h": 4},
]


@pytest.fixture
def shared(studio, postgres_url):
    """A chart and a dashboard for everybody, and one of each for the role finance."""
    make_sales(postgres_url)
    services = studio.services
    services.charts.save(ChartSpec.model_validate(make_spec("open_one")))
    services.charts.save(ChartSpec.model_validate(make_spec("closed_one", title="Secret", roles=["finance"])))
    for name, roles in (("open_board", []), ("closed_board", ["finance"])):
        values = {"dashboard": name, "title": name, "tiles": TILES, "roles": roles}
        services.dashboards.save(DashboardSpec.model_validate(values))
    return studio


def token_of(studio, *scopes, roles=()):
    new = NewToken(
        name="-".join([*scopes, *roles]), scopes=[Scope(each) for each in scopes], roles=list(roles)
    )
    return studio.services.tokens.create(new).token


def reading_routes(studio):
    """Return the paths of all GET routes of charts and dashboards that name one of them."""
    app = create_app(studio.services.settings, studio.services)
    found = [
        route.path
        for route in routes_of(app)
        if isinstance(route.access, Access) and "GET" in route.methods
        and re.match(r"(/api/v1)?/(charts|dashboards)/\{slug\}", route.path)
    ]  # fmt: skip
    assert len(found) >= 12
    return found


def test_every_route_of_a_closed_thing_is_not_found_without_the_role(shared):
    tokens = {
        "reader": token_of(shared, "read"), "writer": token_of(shared, "write"),
        "other": token_of(shared, "write", roles=["sales"]),
    }  # fmt: skip
    for path in reading_routes(shared):
        name = "closed_one" if "charts" in path else "closed_board"
        asked = path.replace("{slug}", name).replace("{place}", "0")
        asked = asked.removeprefix("/api/v1") if asked.startswith("/api/v1") else f"/{asked}"
        for who, token in tokens.items():
            answer = shared.request("GET", asked, token=token)
            wanted = (403, 404) if path.endswith(("/edit", "/remove")) else (404,)
            assert answer.status_code in wanted, (who, path, answer.status_code, answer.text[:200])
            assert "Secret" not in answer.text


def test_who_has_the_role_and_who_is_an_admin_see_it(shared):
    for token in (token_of(shared, "read", roles=["finance"]), token_of(shared, "admin"), shared.token):
        assert shared.request("GET", "/charts/closed_one/data", token=token).status_code == 200
        assert shared.request("GET", "/dashboards/closed_board/tiles/1", token=token).status_code == 200


def test_lists_hold_what_may_be_seen(shared):
    def names(path, token):
        found = shared.request("GET", path, token=token).json()["items"]
        return [each["spec"].get("chart") or each["spec"].get("dashboard") for each in found]

    reader, finance = token_of(shared, "read"), token_of(shared, "read", roles=["finance"])
    assert (names("/charts", reader), names("/dashboards", reader)) == (["open_one"], ["open_board"])
    assert names("/charts", finance) == ["closed_one", "open_one"]
    assert "closed_board" not in shared.request("GET", "/dashboards/export", token=token_of(shared, "read", roles=["x"])).text  # fmt: skip


def test_a_closed_chart_on_an_open_dashboard_stays_closed(shared):
    reader = token_of(shared, "read")
    assert shared.request("GET", "/dashboards/open_board/tiles/0", token=reader).status_code == 200
    assert shared.request("GET", "/dashboards/open_board/tiles/1", token=reader).status_code == 404
    assert shared.request("GET", "/dashboards/open_board/export", token=reader).status_code == 404
    page = shared.request("GET", "//dashboards/open_board", token=reader)
    assert "not for you" in page.text
    assert "Secret" not in page.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "import", "apply", "show it"])
def test_nobody_changes_or_takes_over_what_is_not_for_them(shared, method):
    writer = token_of(shared, "write")
    stolen = make_spec("closed_one", title="Stolen")
    board = {"dashboard": "mine", "title": "Mine", "tiles": [TILES[1]]}
    asked = {
        "PUT": ("PUT", "/charts/closed_one", {"json": stolen}),
        "DELETE": ("DELETE", "/dashboards/closed_board", {}),
        "POST": ("POST", "/charts?replace=true", {"json": stolen}),
        "import": ("POST", "/dashboards/import", {"json": {"text": "dashboard: closed_board\ntitle: Stolen"}}),
        "apply": ("POST", "/charts/apply", {"json": {"text": "chart: closed_one\ntitle: Stolen\nsource: {dataset: sales}\ntype: table"}}),
        "show it": ("POST", "/dashboards", {"json": board}),
    }[method]  # fmt: skip
    answer = shared.request(asked[0], asked[1], token=writer, **asked[2])
    assert answer.status_code in (404, 409, 422), answer.text
    assert shared.services.charts.get("closed_one").title == "Secret"
    assert shared.services.dashboards.get("closed_board").title == "closed_board"
    assert [each.slug for each in shared.services.dashboards.dashboards()] == ["closed_board", "open_board"]


def test_the_home_page_tells_nothing_of_closed_things(shared):
    text = shared.request("GET", "//", token=token_of(shared, "read")).text
    assert "open_board" in text
    assert "closed_board" not in text
    assert "Secret" not in text


def test_a_browser_with_a_token_has_its_roles(shared):
    services = shared.services
    made = services.tokens.create(NewToken(name="bo", scopes=[Scope.READ], roles=["finance"]))
    who = services.credentials.by_token(made.token)
    cookies = {services.credentials.cookie: services.credentials.log_in(who)}
    with httpx.Client(base_url=shared.url, trust_env=False, cookies=cookies) as browser:
        assert browser.get("/dashboards/closed_board").status_code == 200
    assert {chart_routes.router.tags[0], dashboard_routes.router.tags[0]} == {"charts", "dashboards"}


def test_a_token_keeps_its_roles_and_shows_them(shared):
    made = shared.client.post(
        "/tokens", {"name": "x", "scopes": ["read"], "roles": ["finance", "finance", "ops"]}
    )
    assert made["roles"] == ["finance", "ops"]
    assert (
        shared.request(
            "POST", "/tokens", json={"name": "y", "scopes": ["read"], "roles": ["No!"]}
        ).status_code
        == 422
    )
    with shared.browser() as browser:
        assert "finance, ops" in browser.get("/tokens").text
