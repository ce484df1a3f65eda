"""One filled registry for all tests of this folder: filling takes some seconds, and most tests only read."""

import html
import re

import httpx
import pytest

from registry.testing import NO_TLS, PASSWORD, running_registry
from tests.integration.registry.showcase import Showcase


@pytest.fixture(scope="session")
def showcase(mongodb_url, tmp_path_factory):
    folder = tmp_path_factory.mktemp("showcase")
    with running_registry(mongodb_url, folder / "registry") as running:
        yield Showcase(running, folder, small=True)


class Visitor:
    """A browser without scripts: keeps cookies, reads forms, sends them as a browser does."""

    def __init__(self, registry):
        self.registry = registry
        self.client = httpx.Client(
            base_url=registry.url, timeout=30, headers={"Accept": "text/html,*/*;q=0.8"}, verify=NO_TLS
        )

    def get(self, path, **options):
        return self.client.get(path, **options)

    def csrf(self, path="/about"):
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get(path).text)
        return found[1] if found else ""

    def post(self, path, data=None, *, csrf=None, **options):
        token = self.csrf() if csrf is None else csrf
        return self.client.post(path, data={**(data or {}), **({"csrf": token} if token else {})}, **options)

    def log_in(self, login, password=PASSWORD):
        answer = self.post("/login", {"login": login, "password": password, "next": "/about"})
        assert answer.status_code == 303, answer.text
        return self

    def text(self, path):
        return html.unescape(re.sub(r"<[^>]+>", " ", self.get(path).text))


@pytest.fixture
def visitor(showcase):
    made = []

    def make(login=""):
        one = Visitor(showcase.registry)
        made.append(one)
        return one.log_in(login) if login else one

    yield make
    for one in made:
        one.client.close()
