"""READMEs as HTML: made once for each content, and not more of them kept than allowed."""

import asyncio
from types import SimpleNamespace

import pytest

from registry.pages.readmes import Readmes

pytestmark = pytest.mark.unit


class Texts:
    """What `services.releases` answers."""

    def __init__(self, **texts: str) -> None:
        self.texts, self.read = texts, []

    async def readme(self, release: SimpleNamespace) -> str:
        self.read.append(release.metadata_sha256)
        return self.texts[release.metadata_sha256]


def show(readmes: Readmes, texts: Texts, name: str) -> str:
    services, release = SimpleNamespace(releases=texts), SimpleNamespace(metadata_sha256=name)
    return str(asyncio.run(readmes.of(services, release)))


def test_a_readme_is_made_once_and_harmless():
    readmes, texts = Readmes(), Texts(a="# Title\n\nIs *good* <script>bad()</script>", none="  \n")
    first = show(readmes, texts, "a")
    assert "<em>good</em>" in first
    assert "Title" not in first
    assert "<script>" not in first
    assert show(readmes, texts, "a") == first
    assert show(readmes, texts, "none") == show(readmes, texts, "none") == ""
    assert texts.read == ["a", "none"]


def test_what_was_shown_longest_ago_makes_room():
    texts = Texts(**{name: name * 50 for name in "abc"}, long="x" * 500)
    readmes = Readmes(most=130)  # two of them, each with a paragraph around it
    for name in ("a", "b", "a", "c", "a", "b", "long", "long"):
        assert name * 50 in show(readmes, texts, name) or name == "long"
    assert texts.read == ["a", "b", "c", "b", "long", "long"]
    assert readmes._characters == sum(map(len, readmes._kept.values())) <= 130
