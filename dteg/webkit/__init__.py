"""The page kit: what registry and studio make their pages with.

No web framework is imported here: `PageKit` renders HTML, `Assets` is a plain ASGI application that an app mounts.
"""

from dteg.webkit.assets import Assets
from dteg.webkit.charts import Point, bar_chart, histogram, line_chart
from dteg.webkit.forms import FormState
from dteg.webkit.markdown import render_markdown
from dteg.webkit.pages import PageKit, Pager
from dteg.webkit.schema_forms import SchemaField, fields_of, read_config, step_yaml

__all__ = [
    "Assets",
    "FormState",
    "PageKit",
    "Pager",
    "Point",
    "SchemaField",
    "bar_chart",
    "fields_of",
    "histogram",
    "line_chart",
    "read_config",
    "render_markdown",
    "step_yaml",
]
