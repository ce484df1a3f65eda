"""What others have written and we carry along: unchanged, with its licence, and small enough for a page."""

import hashlib
import re

import pytest

from dteg.webkit.assets import STATIC

pytestmark = pytest.mark.unit
LICENCES = STATIC.parent / "licences"
# SHA-256 of the files as their npm packages have them: vega 6.4.0, vega-lite 6.4.3.
AS_PUBLISHED = {
    "vega.min.js": "8f6a3587cf8d4f42c7e08120e3eb05d067e746d554e39d2dcf52acc0bd5ba28f",
    "vega-lite.min.js": "35a9821df838825b05a6a73e9414b58747a1b18321583858ed903c66393a5c7e",
}
# Of vega-interpreter 2.3.2 its first line, an import, and its last two, an export, are exchanged.
INTERPRETER_BODY = "673523a62672c1626938624a0bcf36d2808bfe22d2c199a4c66864c2af977c2a"


@pytest.mark.parametrize("name", AS_PUBLISHED)
def test_files_are_as_published(name):
    assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == AS_PUBLISHED[name]


def test_the_interpreter_is_as_published_but_for_import_and_export():
    lines = (STATIC / "vega-interpreter.js").read_text().splitlines()
    body = "\n".join(lines[3:-2])
    assert hashlib.sha256(body.encode()).hexdigest() == INTERPRETER_BODY
    assert lines[2].startswith("const { ascending, isString")


def test_each_has_its_licence():
    kept = {path.name for path in LICENCES.iterdir()}
    assert {
        "vega-6.4.0.txt",
        "vega-lite-6.4.3.txt",
        "vega-interpreter-2.3.2.txt",
        "vega-parts-6.4.0.txt",
    } <= kept
    for name in ("vega-6.4.0.txt", "vega-lite-6.4.3.txt"):
        assert "Redistribution and use in source and binary forms" in (LICENCES / name).read_text()


def test_the_pictures_are_drawn_by_the_same_vega_lite():
    from dteg.charts.painter import VEGA_LITE

    assert re.search(rb'version="6\.4\.0"', (STATIC / "vega.min.js").read_bytes())
    assert any(path.name == f"vega-lite-{VEGA_LITE}.3.txt" for path in LICENCES.iterdir())
