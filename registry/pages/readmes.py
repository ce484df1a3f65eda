"""READMEs as HTML. Making one takes longer than all the rest of its page, and what is named by a hash never changes."""

import asyncio
from collections import OrderedDict

from markupsafe import Markup

from dteg.webkit import render_markdown
from registry.releases.models import Release
from registry.services import Services

_MOST_CHARACTERS = 8_000_000


class Readmes:
    """The READMEs that were shown last, of one process.

    Args:
        most: Characters of HTML that are kept; a single one that is longer is not.
    """

    def __init__(self, most: int = _MOST_CHARACTERS) -> None:
        self._most = most
        self._kept: OrderedDict[str, Markup] = OrderedDict()
        self._characters = 0

    async def of(self, services: Services, release: Release) -> Markup:
        """Return the README of a release, without its title; empty if it has none."""
        name = release.metadata_sha256
        found = self._kept.get(name)
        if found is not None:
            self._kept.move_to_end(name)
            return found
        text = await services.releases.readme(release)
        made = await asyncio.to_thread(render_markdown, text, drop_title=True) if text.strip() else Markup()
        self._keep(name, made)
        return made

    def _keep(self, name: str, made: Markup) -> None:
        if name in self._kept or len(made) > self._most:
            return
        self._kept[name] = made
        self._characters += len(made)
        while self._characters > self._most:
            self._characters -= len(self._kept.popitem(last=False)[1])
