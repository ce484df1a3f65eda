"""The program that makes pictures, in a process of its own: `python -m dteg.charts.painter`.

One line of JSON in, `{format, spec, width, height, scale}`; one line out, `{ok}` with base64 or `{error}`. The library
brings a whole JavaScript engine: it takes seconds to begin and may take all memory, neither of which may happen to a
web server. It gets no network: nothing in a specification may be loaded.
"""

import base64
import json
import os
import signal
import sys
from typing import Any

VEGA_LITE = "6.4"
"""Version of Vega-Lite in the pictures: that of the pages, see `dteg/webkit/licences`."""


def paint(order: dict[str, Any]) -> bytes:
    """Return a PNG, an SVG, or the PNG of an SVG."""
    import vl_convert

    if order["format"] == "svg_to_png":
        return bytes(vl_convert.svg_to_png(order["svg"], scale=order["scale"], ppi=72))
    spec = order["spec"]
    # An empty list: no address may be loaded from, files included.
    if order["format"] == "svg":
        return str(vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE, allowed_base_urls=[])).encode()
    return bytes(
        vl_convert.vegalite_to_png(
            spec, vl_version=VEGA_LITE, scale=order["scale"], ppi=72, allowed_base_urls=[]
        )
    )


def main() -> None:
    """Answer until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us ends us
    # What the library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            answer = {"ok": base64.b64encode(paint(json.loads(line))).decode()}
        except ImportError:
            answer = {"error": "missing"}
        except Exception as error:  # noqa: BLE001 - the library raises plain ValueErrors with JavaScript's text
            answer = {"error": f"{error}"[:500] or type(error).__name__}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
