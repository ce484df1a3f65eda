"""Texts of strangers never become markup of ours."""

import re

import pytest

from dteg.packages import build_wheel
from registry.discussions.models import NewThread
from registry.reports.models import NewReport
from registry.reviews.models import NewReview
from tests.factories import make_component
from tests.integration.registry.showcase import KAFKA, NEWEST

pytestmark = pytest.mark.integration
MARK = "xq7"
ATTACKS = (
    f"<script>alert('{MARK}')</script>", f"<img src=x onerror=alert('{MARK}')>", f"<svg/onload=alert('{MARK}')>",
    f'"><b id={MARK}>', f"'><iframe src=javascript:{MARK}>", f"[{MARK}](javascript:alert(1))",
    f"[{MARK}](JaVaScRiPt:alert(1))", f"[{MARK}](data:text/html;base64,PHNjcmlwdD4=)", f"[{MARK}](vbscript:x)",
    f"![{MARK}](javascript:alert(1))", f"![{MARK}](http://tracker.example/p.gif)", f'<https://x.example/"onmouseover="{MARK}>',
    f'<a href="javascript:{MARK}">a</a>', f"<style>*{{content:'{MARK}'}}</style>", f"<form action=//evil.example><button>{MARK}",
    f"{{{{ 7 * 7 }}}}{MARK}", f"{{% include '/etc/passwd' %}}{MARK}", f"</textarea><script>{MARK}</script>",
    f"</title><script>{MARK}</script>", f'<math><mi xlink:href="javascript:{MARK}">', f"[{MARK}](//evil.example)",
    f"[{MARK}](/logout)", f"<meta http-equiv=refresh content=0;url=//evil.example>{MARK}", f"<!-- {MARK} --!><script>",
    f"[a]: javascript:{MARK}\n\n[a]", f"# x{{onclick={MARK}}}", f'```"><script>{MARK}</script>\nx\n```', f"&lt;script&gt;{MARK}",
)  # fmt: skip
DANGEROUS = re.compile(
    r"<(script(?! src=\"/static/)|iframe|object|embed|style|math|base)|\son\w+\s*=\s*[\"']?\w*alert|javascript:|vbscript:|data:text"
    r"|<meta http-equiv=\"?refresh\"? content=0|href=\"//|action=//",
    re.IGNORECASE,
)
BODY = "\n\n".join(ATTACKS)


def tags_only(text):
    """Return the markup of a page without its texts and without the values that forms show again."""
    return "".join(
        re.findall(r"<[^>]*>", re.sub(r'(value|title|aria-label|placeholder|content)="[^"]*"', "", text))
    )


def refuse(answer):
    assert answer.status_code < 400, (answer.url, answer.text[:300])
    found = DANGEROUS.search(tags_only(answer.text))
    assert found is None, (
        str(answer.url),
        found[0],
        found.string[max(0, found.start() - 80) : found.end() + 80],
    )
    assert f"<b id={MARK}" not in answer.text
    assert "<img" not in answer.text.replace('<img src="/static/', "")


@pytest.fixture(scope="module")
def hostile(showcase):
    """A component whose publisher wrote an attack into every text."""
    run, who = showcase.registry.run, showcase.registry.who
    folder = make_component(
        showcase.folder / "hostile", name="hostile", description=f"<script>alert('{MARK}')</script> reads \"things\"'s",
        author="<img src=x onerror=alert(1)>", category="other", homepage='https://x.example/"onmouseover="alert(1)',
    )  # fmt: skip
    (folder / "README.md").write_text(f"# hostile\n\n{BODY}\n")
    (folder / "CHANGELOG.md").write_text(BODY)
    showcase.publish(showcase.ann, build_wheel(folder, namespace="streaming", out=folder.parent))
    name = "streaming/hostile-extractor"
    release = showcase.release(f"{name}@1.0.0")
    assert release.state == "listed", release.reason
    showcase.install("tom", release)
    run(showcase.services.reviews.write(who("tom"), name, NewReview(stars=1, text=BODY[:5000])))
    review = run(showcase.services.reviews.of(who("tom"), name))
    run(showcase.services.reviews.reply(who("ann"), review.key, BODY[:2000]))
    title = f"<script>{MARK}</script>\"'"
    thread = run(showcase.services.discussions.begin(who("tom"), name, NewThread(title=title, text=BODY)))
    report = NewReport(target=f"thread:{thread.id}", reason="spam", text=BODY[:4000])
    run(showcase.services.reports.create(who("lena"), report))
    run(showcase.services.releases.yank(who("ann"), release.id, f"<script>{MARK}</script>"))
    run(showcase.services.releases.yank(who("ann"), release.id, None))
    run(showcase.services.search.refresh())
    return name, thread.id


def test_no_text_of_a_component_becomes_markup(visitor, hostile):
    name, thread = hostile
    pages = (
        "",
        "/configuration",
        "/versions",
        "/versions/1.0.0",
        "/gates/1.0.0",
        "/trust",
        "/reviews",
        "/discussions",
    )
    for login in ("", "mara", "ann"):
        one = visitor(login)
        for page in (*pages, f"/discussions/{thread}"):
            answer = one.get(f"/c/{name}{page}")
            refuse(answer)
            assert "49" + MARK not in answer.text
        for page in ("/", "/search?q=hostile&explain=true", "/n/streaming"):
            refuse(one.get(page))
    refuse(visitor("mara").get("/admin"))


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_typed_into_addresses_and_forms_comes_back_as_text(visitor, attack):
    one = visitor("lena")
    refuse(one.get("/search", params={"q": attack[:200]}))
    refuse(one.get("/report", params={"target": attack}))
    for path, field in (
        ("/report", "text"),
        (f"/c/{KAFKA}/discussions", "title"),
        ("/account/tokens", "name"),
    ):
        answer = one.post(path, {field: attack, "text": "" if field == "title" else attack})
        found = DANGEROUS.search(tags_only(answer.text))
        assert answer.status_code == 422
        assert found is None, (path, found and found[0])
    told = one.get(f"/c/{KAFKA}/versions/{NEWEST}", params={"done": attack})
    refuse(told)
    assert MARK not in told.text
