"""What keeps some people from reading a page, as axe-core 4.14.1 finds it (MPL-2.0, for tests only)."""

from pathlib import Path

SCRIPT = (Path(__file__).parent / "registry" / "axe" / "axe.min.js").read_text()
OPTIONS = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    "resultTypes": ["violations"],
}


def violations(page):
    """Return the violations on a page: each with `id`, `help` and `nodes`."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(SCRIPT)  # in the page's own world; the policy forbids script elements of others
    # What is right stays in the browser: it would be most of the answer.
    return page.evaluate("async options => (await axe.run(document, options)).violations", OPTIONS)
