"""Every page answers, with the headers it owes, and says what it should."""

import re
from html.parser import HTMLParser

import pytest
from starlette.requests import HTTPConnection

from dteg.webapp.problems import problem
from registry.app import create_app
from tests.integration.registry.showcase import KAFKA, NEWEST

pytestmark = pytest.mark.integration

ANYBODY = (
    "/", "/search", "/search?q=kafka", "/search?q=kafka&explain=true", "/search?kind=extractor&sort=name&offset=1&limit=1",
    "/search?q=no-such-thing-anywhere", "/about", "/login", "/join", "/forgot", "/reset?link=x", "/verify?link=x", f"/c/{KAFKA}", f"/c/{KAFKA}/configuration",
    f"/c/{KAFKA}/versions", f"/c/{KAFKA}/versions/{NEWEST}", f"/c/{KAFKA}/versions/1.0.0", f"/c/{KAFKA}/versions/1.1.1",
    f"/c/{KAFKA}/gates/{NEWEST}", f"/c/{KAFKA}/gates/1.1.1", f"/c/{KAFKA}/trust", f"/c/{KAFKA}/reviews",
    f"/c/{KAFKA}/reviews?sort=newest", f"/c/{KAFKA}/discussions", "/n/streaming", "/n/dteg",
    "/c/dteg/postgres-extractor", "/c/dteg/postgres-extractor/configuration", "/c/streaming/pulsar-extractor",
    "/c/streaming/pulsar-extractor/versions/1.0.0",
)  # fmt: skip
MEMBERS = ("/account", "/publish", f"/report?target=component:{KAFKA}", f"/c/{KAFKA}/reviews", "/n/streaming")
# With the ids that the showcase knows.
PRIVATE = {
    "ann": (
        "/n/streaming/webhooks", "/n/streaming/webhooks/{webhook}", "/n/streaming/webhooks/{failing_webhook}",
        "/n/streaming/licences", "/n/streaming/invoices", "/invoices/{invoice}",
    ),
    "bill": ("/n/initech/webhooks", "/n/initech/licences", "/n/initech/invoices", "/invoices/{invoice}"),
    "sam": ("/account/licences",),
}  # fmt: skip
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Document(HTMLParser):
    """What a page is made of; knows what a strict policy would block, and what the tags forgot."""

    def __init__(self, text):
        super().__init__()
        self.open, self.problems, self.ids, self.forms, self.labels, self.fields = [], [], [], [], set(), []
        self.headings = []
        self.feed(text)
        self.problems += [f"<{tag}> is not closed" for tag in self.open]
        self.problems += [f"id {name} twice" for name in self.ids if self.ids.count(name) > 1]
        self.problems += [f"no label for {name}" for name in self.fields if name not in self.labels]

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.problems += [f"<{tag} {name}>" for name in given if name == "style" or name.startswith("on")]
        self.problems += [
            f"inline <{tag}>" for _ in (1,) if tag == "style" or (tag == "script" and "src" not in given)
        ]
        self.problems += [
            f"{name} leads to {given[name]}" for name in ("src", "href", "action") if (given.get(name) or "").startswith("javascript")
        ]  # fmt: skip
        if tag not in VOID and tag not in ("path", "circle", "rect", "line", "polyline", "polygon"):
            self.open.append(tag)
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "label":
            self.labels.add(given.get("for", ""))
        if tag == "form":
            self.forms.append(
                {"method": given.get("method", "get"), "names": [], "action": given.get("action", "")}
            )
        if tag in ("input", "select", "textarea", "button") and self.forms:
            self.forms[-1]["names"].append(given.get("name"))
        if tag in ("input", "select", "textarea") and given.get("type") != "hidden":
            self.fields.append(given.get("id", f"a field without id: {given.get('name')}"))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                self.problems.append(f"</{tag}> closes more than it should")


def check(answer):
    assert answer.status_code == 200, (answer.url, answer.status_code, answer.text[:500])
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    document = Document(answer.text)
    assert document.problems == [], answer.url
    assert document.headings.count(1) == 1, (answer.url, document.headings)
    return document


@pytest.mark.parametrize("path", ANYBODY)
def test_a_page_answers_everybody_with_the_strict_policy(visitor, path):
    check(visitor().get(path))


@pytest.mark.parametrize("login", ["ann", "lena", "mara"])
def test_pages_of_members_answer_and_every_form_that_posts_carries_the_token(visitor, login):
    one = visitor(login)
    for path in (
        *ANYBODY[:2],
        *ANYBODY[6:7],
        *ANYBODY[9:],
        *MEMBERS,
        *(["/admin", "/admin?resolved=true"] if login == "mara" else []),
    ):
        document = check(one.get(path))
        for form in document.forms:
            if form["method"] == "post":
                assert "csrf" in form["names"], (path, form)


@pytest.mark.parametrize("login", PRIVATE)
def test_private_pages_answer_their_members_only(visitor, showcase, login):
    one = visitor(login)
    for template in PRIVATE[login]:
        path = template.format(**vars(showcase))
        answer = one.get(path)
        document = check(answer)
        assert answer.headers["cache-control"] == "private, no-store"
        assert all("csrf" in form["names"] for form in document.forms if form["method"] == "post"), path
        assert visitor().get(path).headers["location"].startswith("/login?next=")
        if not path.startswith("/account"):
            assert visitor("lena").get(path).status_code in (403, 404), path


def test_a_thread_is_shown_with_its_replies(visitor, showcase):
    answer = visitor().get(f"/c/{KAFKA}/discussions/{showcase.thread}")
    check(answer)
    assert "<em>exactly once</em>" in answer.text
    assert "each message lands once" in answer.text


def test_the_component_page_says_what_one_needs_to_know(visitor):
    text = visitor().text(f"/c/{KAFKA}")
    for said in (
        f"dteg install {KAFKA}",
        NEWEST,
        "Reads topics of Apache Kafka",
        "Apache-2.0",
        "network",
        " installs",
        "0.1.0",
    ):
        assert said in text, said
    assert "/simple/ dteg-streaming-kafka-extractor==1.2.0" in text


def test_versions_tell_their_states_and_why(visitor):
    text = visitor().text(f"/c/{KAFKA}/versions")
    for said in ("Yanked", "Stops on tombstones", "Rejected", "Listed", "newest"):
        assert said in text, said
    rejected = visitor().text(f"/c/{KAFKA}/gates/1.1.1")
    for said in ("net-undeclared", "kafka.py:88", "Write capabilities", "Not listed.", "collected 31 items"):
        assert said in rejected, said


def test_what_everybody_sees_has_an_etag_and_what_one_sees_is_kept_by_nobody(visitor):
    one = visitor()
    first = one.get(f"/c/{KAFKA}")
    assert first.headers["cache-control"] == "public, no-cache"
    again = one.get(f"/c/{KAFKA}", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    # A browser takes the headers of the 304 for its kept copy: with the policy for data the page would go blank.
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]
    mine = visitor("lena").get(f"/c/{KAFKA}", headers={"If-None-Match": first.headers["etag"]})
    assert mine.status_code == 200
    assert mine.headers["cache-control"] == "private, no-store"
    assert "etag" not in mine.headers


def test_static_files_are_immutable_and_their_names_change_with_them(visitor):
    one = visitor()
    names = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', one.get("/").text))
    assert len(names) >= 6
    for name in names:
        answer = one.get(name)
        assert answer.status_code == 200, name
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert re.search(r"\.[0-9a-f]{12}\.(css|js|svg)$", name), name
    sheet = one.get(next(name for name in names if "webkit" in name and name.endswith(".css"))).text
    for font in re.findall(r'url\("([^"]+)"\)', sheet):
        assert one.get(f"/static/{font}").headers["content-type"] == "font/woff2"
    assert one.get("/static/../registry/settings.py").status_code == 404


def test_search_offers_filters_with_counts_and_corrects_words(visitor):
    one = visitor()
    text = one.text("/search?q=postgrs")
    assert "postgres-extractor" in text
    page = one.get("/search?q=zzkafka").text
    assert "Nothing was found" in page or "Did you mean" in page
    assert one.get("/search?sort=downwards").status_code == 422
    assert one.get("/search?utm_source=x&q=kafka").status_code == 200
    explained = one.text("/search?q=kafka&explain=true")
    assert "Why it stands here" in explained


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/nothing-here", 404, "look through all components"),
        ("/c/streaming/no-such-thing", 404, "there is no component"),
        (f"/c/{KAFKA}/versions/9.9.9", 404, "there is no release"),
        ("/n/nosuchspace", 404, "there is no namespace"),
        ("/search?dteg=x", 422, "filters have values"),
    ],
)
def test_errors_are_pages_for_people_and_problems_for_programs(visitor, path, status, said):
    answer = visitor().get(path)
    assert answer.status_code == status
    assert said.lower() in answer.text.lower()
    assert Document(answer.text).problems == []
    program = visitor().get(path, headers={"Accept": "application/json"})
    assert program.headers["content-type"] == "application/problem+json"


def test_who_is_not_logged_in_is_led_to_the_login_and_back(visitor):
    one = visitor()
    answer = one.get("/account")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Faccount"
    assert 'name="next" value="/account"' in one.get(answer.headers["location"]).text
    assert visitor("lena").get("/admin").status_code == 403


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\tb"]
)
def test_the_login_leads_nowhere_else(visitor, target):
    one = visitor()
    answer = one.post("/login", {"login": "lena", "password": "a long test sentence", "next": target})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/?done="), answer.headers["location"]


def test_what_is_refused_before_the_app_is_a_page_too(visitor):
    answer = visitor().client.post("/theme", content=b"x" * 1_100_000)
    assert answer.status_code == 413
    assert "That is too large" in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert Document(answer.text).problems == []


@pytest.mark.parametrize(
    ("status", "said"), [(429, "Wait a minute"), (500, "It is in our log"), (503, "Try this page again")]
)
def test_pages_of_errors_say_what_to_do(showcase, status, said):
    scope = {
        "type": "http", "method": "GET", "path": "/x", "query_string": b"", "headers": [(b"accept", b"text/html")],
        "app": create_app(showcase.registry.settings), "state": {"request_id": "abc123"},
    }  # fmt: skip
    page = scope["app"].state.as_page(
        HTTPConnection(scope), problem(status, "code", "what happened", {"Retry-After": "7"})
    )
    assert page.status_code == status
    assert page.headers["retry-after"] == "7"
    assert page.headers["cache-control"] == "private, no-store"
    assert said in page.body.decode()
    assert "What happened." in page.body.decode()
