"""Who may use which route of the studio: what the matrix in test_access_matrix.py holds it to.

What only reads wants `read`, everything else `write`, whatever the route itself says. A route that wants more or
something else is named here.
"""

from dteg.tokens.models import Scope

NOBODY = None
# Patterns of `METHOD path`, the first that fits counts.
RULES: tuple[tuple[str, Scope | None], ...] = (
    (r"GET /(healthz|readyz)", NOBODY),
    (r"(GET|POST) /login", NOBODY),
    (r"POST /(logout|theme)", NOBODY),
    (r"\w+ (/api/v1)?/tokens(/.*)?", Scope.ADMIN),
    (r"POST /api/v1/login-links", Scope.ADMIN),
    # What cannot be taken back, or reaches beyond one table.
    (r"\w+ (/api/v1)?/backups/(prune|rebuild|[^/]+/restore)", Scope.ADMIN),
    (r"GET /pruning|POST (/api/v1)?/pruning|POST /api/v1/schema-changes/prune", Scope.ADMIN),
    (r"DELETE /api/v1/tables/[^/]+|\w+ /tables/[^/]+/delete", Scope.ADMIN),
    (r"DELETE /api/v1/dictionaries/[^/]+|\w+ /dictionaries/[^/]+/delete", Scope.ADMIN),
    # What reaches other machines with a password, or takes a dataset and its history away.
    (
        r"POST /api/v1/sources(/test)?|\w+ /sources/new|\w+ /sources/[^/]+/(change|remove)|DELETE /api/v1/sources/[^/]+",
        Scope.ADMIN,
    ),
    (
        r"\w+ /datasets/[^/]+/remove|DELETE /api/v1/(datasets|snapshots)/[^/]+|POST /api/v1/snapshots/prune",
        Scope.ADMIN,
    ),
    (r"GET /api/v1/sources/[^/]+/drift|GET (/api/v1)?/normalize(/.*)?", Scope.WRITE),
    (r"GET /dictionaries/[^/]+/(import|import/[^/]+|settings)", Scope.WRITE),
    (r"(DELETE /api/v1/topics/[^/]+|POST /api/v1/topics-prune|\w+ /topics/[^/]+/delete)", Scope.ADMIN),
    # Whoever may read may try the builder out, but not save.
    (r"GET /datasets/new|POST /datasets/builder/(check|schedule|spec|tables|yaml)", Scope.READ),
    # Pages that ask, before a form that changes something.
    (r"GET /.*/(new|upload|upload/[^/]+|remove|stop|delete)", Scope.WRITE),
    (r"GET /(charts|dashboards)/(choose|[^/]+/edit)", Scope.WRITE),
    (r"GET /api/v1/topics/[^/]+/(messages|events|dead-letters)", Scope.SUBSCRIBE),
    (r"POST /api/v1/topics/[^/]+/groups/[^/]+/(fetch|ack|nack|extend|release)", Scope.SUBSCRIBE),
    (r"PUT /api/v1/topics/[^/]+/groups/[^/]+", Scope.SUBSCRIBE),
    (r"POST (/api/v1)?/topics/[^/]+/(messages|publish)", Scope.PUBLISH),
)
# A stand-in for each name in a path; others are "1".
PARAMETERS = {"token_id": "0" * 12}
