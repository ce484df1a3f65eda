"""The queries of this folder as bytes, which psycopg takes without asking whether they are literals."""

from pathlib import Path

from dteg.core.queries import load_queries

_HERE = Path(__file__).parent


def _load(name: str) -> dict[str, str]:
    return load_queries(_HERE / name)


_CATALOGUE = _load("catalogue.sql")
_IMAGES = _CATALOGUE["images"].rstrip().rstrip(";")
_COLUMNS = _load("queries.sql")["columns"].rstrip().rstrip(";")

WAREHOUSE = {
    name: text.replace("{columns}", _COLUMNS).encode() for name, text in _load("queries.sql").items()
}
CAPTURE = {
    name: text.replace("{images}", _IMAGES.replace("{only}", "o.oid = ANY(wanted)")).encode()
    for name, text in _load("capture.sql").items()
}
DIGESTS = f"SELECT class, object, kind, schema, name, md5(schema || '.' || name || image::text) AS digest FROM ({_IMAGES.replace('{only}', 'true')}) AS i".encode()  # noqa: S608 - constants of this folder
IMAGES = _IMAGES.replace("{only}", "o.oid = ANY(%(objects)s::oid[])").encode()
CLUSTER_IMAGES = _CATALOGUE["cluster_images"].encode()
