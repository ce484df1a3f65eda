"""Markdown of strangers as HTML that cannot hurt.

No HTML of the text gets through (markdown-it escapes it), and what comes out is cleaned once more by nh3. Images become
links: a picture on another host would tell that host who reads the page. Links go to https and mail addresses only.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MAX_CHARACTERS = 200_000
_ANCHOR = "doc-"
_LINK = re.compile(r"^(https://|mailto:)[^\s]+$", re.IGNORECASE)
_HTML_LEVELS = 6
_TAGS = {
    "a", "blockquote", "br", "code", "del", "div", "em", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre",
    "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href", "title"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "pre": {"tabindex"},
    "ol": {"start"},
    **{f"h{level}": {"id"} for level in range(2, 7)},
}


def render_markdown(text: str, *, heading_shift: int = 1, drop_title: bool = False) -> Markup:
    """Return HTML of a Markdown text.

    Args:
        text: The text; what is behind 200,000 characters is left out.
        heading_shift: By how much headings sink, as the page has its own `h1`.
        drop_title: Leave out a title at the very beginning, which the page shows itself; the rest then sinks one less.
    """
    import nh3

    parser = _parser()
    tokens = parser.parse(text[:MAX_CHARACTERS])
    if drop_title and tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        tokens, heading_shift = tokens[3:], heading_shift - 1
    _prepare(tokens, heading_shift)
    html = parser.renderer.render(tokens, parser.options, {})
    clean = nh3.clean(
        html, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes={"https", "mailto"}, link_rel="nofollow noopener noreferrer"
    )  # fmt: skip
    return Markup(clean)  # noqa: S704 - cleaned on the line above


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable(["table", "strikethrough"])
    # A wide table scrolls by itself, also with the keyboard.
    scroll = '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>\n'
    parser.add_render_rule("table_open", lambda *_: scroll)
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    parser.add_render_rule("fence", _code)
    parser.add_render_rule("code_block", _code)
    parser.add_render_rule("image", _image)
    return parser


def _code(_renderer: Any, tokens: Sequence["Token"], index: int, *_: Any) -> str:
    return str(Markup('<pre tabindex="0"><code>{}</code></pre>\n').format(tokens[index].content))


def _image(_renderer: Any, tokens: Sequence["Token"], index: int, *_: Any) -> str:
    token = tokens[index]
    source, alt = str(token.attrs.get("src", "")), token.content or "image"
    if not _LINK.match(source):
        return str(Markup("{}").format(alt))
    return str(Markup('<a href="{}">{}</a>').format(source, alt))


def _prepare(tokens: Sequence["Token"], shift: int) -> None:
    """Sink headings and give them names, and take away links to where none may lead."""
    seen: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(_HTML_LEVELS, max(2, int(token.tag[1]) + shift))}"
        if token.type == "heading_open":
            name = _name(tokens[index + 1].content)
            count = seen[name] = seen.get(name, 0) + 1
            token.attrSet("id", name if count == 1 else f"{name}-{count}")
        for child in token.children or ():
            if child.type == "link_open":
                _check_link(child)


def _check_link(token: "Token") -> None:
    target = str(token.attrs.get("href", ""))
    if target.startswith("#"):
        token.attrs["href"] = f"#{_ANCHOR}{target[1:]}"
    elif not _LINK.match(target):
        token.attrs.pop("href", None)


def _name(heading: str) -> str:
    """Return the name of a heading as readers of other Markdown pages expect it, apart from the page's own names."""
    words = re.sub(r"[^\w\s-]", "", heading.lower()).split()
    return _ANCHOR + "-".join(words)[:80]
