"""What uses a dictionary, and keeps it from being removed."""

from typing import Any

import psycopg

from dteg.core.queries import first_value

_DEPENDENCIES = """
SELECT dataset FROM _dteg.dataset_dependencies WHERE kind = 'dictionary' AND name = %s ORDER BY dataset
"""
_VIEWS = """
SELECT DISTINCT format('%%I.%%I', n.nspname, c.relname) FROM pg_depend d
JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass(format('dict.%%I', %s::text))
    AND n.nspname NOT IN ('ds_cache', 'ds')
ORDER BY 1
"""


def uses_of(connection: psycopg.Connection[Any], slug: str) -> list[str]:
    """Return the datasets and views that read a dictionary, in words."""
    found: list[str] = []
    if first_value(connection, "SELECT to_regclass('_dteg.dataset_dependencies') IS NOT NULL"):
        found += [f"the dataset {name}" for (name,) in connection.execute(_DEPENDENCIES, [slug]).fetchall()]
    found += [f"the view {name}" for (name,) in connection.execute(_VIEWS, [slug]).fetchall()]
    return found
