"""`dteg search`, `dteg info NAME`, `dteg rate`, `dteg review`: what others made, and what people say of it."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dteg.cli.components import AsJson, Registry

if TYPE_CHECKING:
    from dteg.marketplace.records import Component, Release

_MAX_TEXT = 5_000


def search(
    words: Annotated[list[str], typer.Argument(metavar="[WORDS]...", help="Default: the best of all.")] = [],  # noqa: B006
    kind: Annotated[str, typer.Option(help="extractor, processor, loader or transformer.")] = "",
    category: Annotated[str, typer.Option(help="Shelf, such as databases.")] = "",
    capability: Annotated[str, typer.Option(help="What it needs, such as network.")] = "",
    sort: Annotated[
        str, typer.Option(help="relevance, quality, downloads, rating, updated or name.")
    ] = "relevance",
    limit: Annotated[int, typer.Option(min=1, max=100, help="Components at the most.")] = 20,
    registry: Registry = "",
    as_json: AsJson = False,
) -> int:
    """Search the marketplace; small mistakes in words are forgiven."""
    from dteg.cli.transfers import print_table
    from dteg.marketplace.records import Component, plain
    from dteg.marketplace.session import open_client
    from dteg.marketplace.source import read

    wanted = {"q": " ".join(words), "kind": kind, "category": category, "capability": capability}
    with open_client(registry) as client:
        answer = client.get("/search", **wanted, sort=sort, limit=str(limit))
    if as_json:
        print(json.dumps(answer))
        return 0
    found = [read(Component, each) for each in answer["items"]]
    if suggestion := answer.get("did_you_mean"):
        print(f'did you mean "{plain(suggestion)}"?')
    if not found:
        print("nothing was found")
        return 1
    rows = [(each.id, each.newest or "-", _stars(each), each.summary) for each in found]
    print_table(("component", "version", "stars", "what it does"), rows)
    if (total := int(answer.get("total", 0))) > len(found):
        print(f"{len(found)} of {total}; more with --limit, or narrow it with more words")
    return 0


def show_component(name: str, registry: str, as_json: bool) -> int:
    """Show one component: its newest release, what it needs, and how well it is proved."""
    from dteg.core.clock import utc_now
    from dteg.core.errors import RegistryError
    from dteg.marketplace.references import parse_reference
    from dteg.marketplace.resolve import Wish, choose_release
    from dteg.marketplace.session import open_client
    from dteg.marketplace.source import RegistrySource

    reference = parse_reference(name)
    with open_client(registry) as client:
        source = RegistrySource(client)
        component = source.component(source.find(reference))
        releases = source.releases(component.id)
    wish = Wish((reference.range,), reference.exact)
    problem, chosen = "", None
    try:
        chosen = choose_release(component.id, releases, wish, utc_now())
    except RegistryError as error:
        problem = str(error)
    shown = chosen.release if chosen else None
    if as_json:
        release = shown.model_dump(mode="json") if shown else None
        print(
            json.dumps({**component.model_dump(mode="json"), "release": release, "problem": problem or None})
        )
        return 0
    _print_component(component, shown, releases)
    if problem:
        print(problem)
    elif chosen:
        here = (
            "proven with this dteg and Python"
            if chosen.proven
            else "not yet proven with this dteg and Python"
        )
        print(f"{'here':<14} {here}\n{'install':<14} dteg install {component.id}")
    return 0


def rate(
    component: Annotated[str, typer.Argument(metavar="NAME", help="An installed component.")],
    stars: Annotated[int, typer.Argument(min=1, max=5, help="1 to 5.")],
    registry: Registry = "",
) -> int:
    """Give a component stars; wants that you have installed it."""
    return _send_review(component, stars, None, registry)


def review(
    component: Annotated[str, typer.Argument(metavar="NAME", help="An installed component.")],
    stars: Annotated[int, typer.Option(min=1, max=5, help="1 to 5.")],
    text: Annotated[str, typer.Option(help="What you found.")],
    registry: Registry = "",
) -> int:
    """Review a component in words; replaces your earlier review."""
    from dteg.core.errors import ConfigError

    if not text.strip() or len(text) > _MAX_TEXT:
        raise ConfigError(f"--text: write 1 to {_MAX_TEXT} characters")
    return _send_review(component, stars, text, registry)


def _send_review(name: str, stars: int, text: str | None, registry: str) -> int:
    from dteg.core.errors import NotFoundError
    from dteg.marketplace.references import parse_reference
    from dteg.marketplace.session import open_client
    from dteg.marketplace.source import RegistrySource

    with open_client(registry) as client:
        component = RegistrySource(client).find(parse_reference(name))
        path = f"/components/{component}/review"
        if text is None:  # stars only: what was written before stays
            try:
                text = str(client.get(path).get("text") or "")
            except NotFoundError:
                text = ""
        client.call("PUT", path, json={"stars": stars, "text": text})
    print(f"{component}: {stars} of 5 stars")
    return 0


def _print_component(component: "Component", release: "Release | None", releases: list["Release"]) -> None:
    from dteg.marketplace.records import plain
    from dteg.versions import parse_version

    print(f"{component.id}: {component.summary}")
    if component.deprecation:
        replacement = plain(component.deprecation.get("replacement") or "")
        instead = f"; use {replacement}" if replacement else ""
        print(f"DEPRECATED: {plain(component.deprecation.get('reason', ''))}{instead}")
    listed = sorted(
        (each.version for each in releases if each.state == "listed"), key=parse_version, reverse=True
    )
    yanked = [each for each in releases if each.state == "yanked"]
    rows: list[tuple[str, Any]] = [
        ("kind", f"{component.kind}, {component.category}"),
        ("versions", ", ".join(listed[:8]) or "none listed"),
        ("yanked", "; ".join(f"{each.version}: {each.reason}" for each in yanked[:3])),
        (
            "rating",
            _stars(component) + (f" from {component.rating.count} reviews" if component.rating.count else ""),
        ),
        ("downloads", component.downloads.get("total", 0)),
        ("tier", component.tier + (", verified publisher" if component.verified else "")),
    ]
    if release:
        manifest = release.manifest
        gates = ", ".join(f"{name} {status}" for name, status in release.gates.items())
        rows += [
            ("release", f"{release.version}, {release.trust}, score {release.score or 0:.0f} of 100"),
            ("gates", gates),
            ("capabilities", ", ".join(sorted(manifest.capabilities.names())) or "none"),
            (
                "needs",
                ", ".join(
                    [
                        f"dteg{manifest.framework_versions}",
                        f"Python{manifest.python_versions}",
                        *manifest.dependencies,
                    ]
                ),
            ),
            ("licence", manifest.licence),
            ("author", plain(manifest.author)),
            ("file", f"{release.filename}, {release.size:,} bytes"),
            ("sha256", release.sha256),
        ]
    for name, value in rows:
        if value not in ("", None):
            print(f"{name:<14} {value}")


def _stars(component: "Component") -> str:
    mean = component.rating.mean
    return f"{mean:.1f}" if component.rating.count and mean is not None else "-"
