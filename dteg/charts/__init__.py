"""Charts: stored as a few plain words, drawn as Vega-Lite in browsers and as PNG or SVG on the server."""
