"""New releases as an Atom feed (RFC 4287)."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from registry.webhooks.models import Happened

MEDIA_TYPE = "application/atom+xml"
_ATOM = "http://www.w3.org/2005/Atom"


def atom(title: str, url: str, own_url: str, releases: Sequence[Happened]) -> bytes:
    """Return a feed.

    Args:
        title: What readers show.
        url: The registry, without a slash at the end.
        own_url: Where this feed lies.
        releases: Events of listed releases, the newest first.
    """
    ET.register_namespace("", _ATOM)
    feed = ET.Element(f"{{{_ATOM}}}feed")
    _add(feed, "id", own_url)
    _add(feed, "title", title)
    _add(feed, "updated", _time(releases[0]) if releases else "1970-01-01T00:00:00Z")
    _add(feed, "link", rel="self", href=own_url)
    for release in releases:
        component, version = (str(release.payload.get(key, "")) for key in ("component", "version"))
        entry = ET.SubElement(feed, f"{{{_ATOM}}}entry")
        _add(entry, "id", f"{url}/c/{component}#{version}")
        _add(entry, "title", f"{component} {version}")
        _add(entry, "updated", _time(release))
        _add(entry, "link", rel="alternate", href=f"{url}/c/{component}")
        _add(ET.SubElement(entry, f"{{{_ATOM}}}author"), "name", release.namespace)
        _add(entry, "summary", str(release.payload.get("summary", "")) or f"{component} {version} is listed")
    content: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return content


def _add(parent: ET.Element, name: str, text: str = "", **attributes: str) -> None:
    ET.SubElement(parent, f"{{{_ATOM}}}{name}", attributes).text = text or None


def _time(happened: Happened) -> str:
    return happened.at.isoformat(timespec="seconds").replace("+00:00", "Z")
