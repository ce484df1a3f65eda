"""HTML from templates, always escaped, for pages that work without scripts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

from dteg.webkit.assets import Assets
from dteg.webkit.formats import FILTERS
from dteg.webkit.markdown import render_markdown

TEMPLATES = Path(__file__).parent / "templates"
THEMES = ("light", "dark")


@dataclass(frozen=True, slots=True)
class Pager:
    """Which page of a list is shown.

    Attributes:
        path: Address of the list, without its query.
        query: What is asked for, without the place in the list.
        total: Number of things in all.
        limit: Things on one page.
        offset: Things before this page.
    """

    path: str
    query: tuple[tuple[str, str], ...]
    total: int
    limit: int
    offset: int

    @property
    def pages(self) -> int:
        """Number of pages."""
        return max(1, -(-self.total // self.limit))

    @property
    def page(self) -> int:
        """Number of this page, from 1."""
        return self.offset // self.limit + 1

    def url(self, page: int) -> str:
        """Return the address of a page."""
        place = [("offset", str((page - 1) * self.limit))] if page > 1 else []
        query = urlencode([*self.query, *place])
        return f"{self.path}?{query}" if query else self.path

    def near(self) -> list[int]:
        """Return the numbers of pages to offer: first, last and those around; 0 stands for a gap."""
        wanted = sorted({1, self.pages, *range(max(1, self.page - 1), min(self.pages, self.page + 1) + 1)})
        shown: list[int] = []
        for number in wanted:
            if shown and number > shown[-1] + 1:
                shown.append(0)
            shown.append(number)
        return shown


class PageKit:
    """The templates and static files of one app.

    Args:
        templates: Folders of the app's own templates; they may extend `webkit/base.html`.
        static: Folders of the app's own static files.
        prefix: Where the app mounts `assets`.
        shared: What every template knows, such as the app's name.
    """

    def __init__(
        self,
        templates: Iterable[Path],
        static: Iterable[Path] = (),
        prefix: str = "/static",
        shared: Mapping[str, Any] | None = None,
    ) -> None:
        self.assets = Assets(static, prefix)
        folders: Sequence[Path] = [*templates, TEMPLATES]
        self._environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(FILTERS)
        self._environment.filters["markdown"] = render_markdown
        self._environment.globals.update(asset=self.assets.url, **(shared or {}))

    def render(self, template: str, /, **values: Any) -> str:
        """Return the HTML of a template.

        Raises:
            jinja2.UndefinedError: The template uses what it was not given.
        """
        return self._environment.get_template(template).render(**values)
