"""Who may use which route: what the matrix in test_access_matrix.py holds the registry to.

Most routes need no line here. A route that wants the scope `admin` is for administrators; one that wants `publish` or
`namespace` and has `{ns}` in its path is for maintainers or owners of that namespace. All other routes are named below,
and so is every route for which that is not right: a route without a rule fails the matrix.
"""

from dataclasses import dataclass
from typing import Any

from registry.access import Role, RouteAccess, Scope

API = "/api/v1"
NAMESPACE, SLUG, VERSION = "acme", "thing-loader", "1.0.0"
# A stand-in for each name in a path.
PARAMETERS = {
    "ns": NAMESPACE, "slug": SLUG, "version": VERSION, "login": "guest", "token_id": "0" * 26, "key_id": "0" * 64,
    "id": "0" * 26, "digest": "0" * 64, "sha256": "0" * 64, "filename": "dteg_acme_thing_loader-1.0.0-py3-none-any.whl",
    "dist": "dteg-acme-thing-loader", "kind": "review", "period": "2026-01", "path": "x.css", "name": "x",
    "review": "0" * 26, "thread": "0" * 26, "reply": "0" * 26, "report": "0" * 26, "webhook": "0" * 26,
    "delivery": f"{'0' * 26}-{'0' * 26}", "target": "0" * 26, "licence": "0" * 26, "invoice": "0" * 26,
    "order": "0" * 26, "reference": "0" * 26, "provider": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """Who may use a route.

    Attributes:
        least: The least role in the namespace; None if none is needed.
        account: Whether an account is needed.
        admin: Only administrators.
        admin_too: Administrators may, also without a role.
        own: It touches what belongs to the account that asks, and nothing else: there is no other object to reach.
    """

    least: Role | None = None
    account: bool = True
    admin: bool = False
    admin_too: bool = False
    own: bool = False


EVERYBODY = Rule(account=False)
ANY_ACCOUNT = Rule()
OWN = Rule(own=True)

RULES: dict[str, Rule] = {
    # accounts, tokens
    "POST /api/v1/accounts": EVERYBODY,
    "GET /api/v1/account": OWN,
    "PATCH /api/v1/account": OWN,
    "DELETE /api/v1/account": OWN,
    "POST /api/v1/accounts/password-reset": EVERYBODY,
    "POST /api/v1/accounts/password-reset/confirm": Rule(
        account=False, own=True
    ),  # 403 for a link that is not good
    "POST /api/v1/account/email/verification": OWN,
    "POST /api/v1/accounts/email/verification/confirm": Rule(account=False, own=True),
    "POST /api/v1/oauth/token": EVERYBODY,
    "POST /api/v1/oauth/revoke": EVERYBODY,  # who knows a secret may end it
    "POST /api/v1/tokens": OWN,
    "GET /api/v1/tokens": OWN,
    "DELETE /api/v1/tokens/{token_id}": OWN,
    "GET /api/v1/usage": EVERYBODY,
    # namespaces
    "POST /api/v1/namespaces": OWN,
    "PUT /api/v1/namespaces/{ns}/members/{login}": Rule(Role.OWNER, admin_too=True),
    "DELETE /api/v1/namespaces/{ns}/members/{login}": Rule(Role.OWNER, admin_too=True),
    # downloads
    "POST /api/v1/installs": EVERYBODY,  # a receipt is signed by the installation itself
    # releases: the namespace is in the wheel, and checked after it has been read
    "POST /api/v1/releases": OWN,
    # reviews: only who has installed it, which the service checks
    "PUT /api/v1/components/{ns}/{slug}/review": OWN,
    "GET /api/v1/components/{ns}/{slug}/review": OWN,
    "DELETE /api/v1/components/{ns}/{slug}/review": OWN,
    "POST /api/v1/reviews/{review}/helpful": ANY_ACCOUNT,
    "DELETE /api/v1/reviews/{review}/helpful": OWN,
    "PUT /api/v1/reviews/{review}/reply": OWN,  # of the namespace of what is reviewed
    "DELETE /api/v1/reviews/{review}/reply": OWN,
    # discussions: everybody with an account writes; changing and locking is for the author or the namespace
    "POST /api/v1/components/{ns}/{slug}/threads": ANY_ACCOUNT,
    "PATCH /api/v1/threads/{thread}": OWN,
    "DELETE /api/v1/threads/{thread}": OWN,
    "POST /api/v1/threads/{thread}/lock": OWN,
    "DELETE /api/v1/threads/{thread}/lock": OWN,
    "POST /api/v1/threads/{thread}/replies": ANY_ACCOUNT,
    "PATCH /api/v1/replies/{reply}": OWN,
    "DELETE /api/v1/replies/{reply}": OWN,
    # webhooks: who publishes also tells others of it
    **{
        key: Rule(Role.MAINTAINER)
        for key in (
            "GET /api/v1/namespaces/{ns}/webhooks",
            "POST /api/v1/namespaces/{ns}/webhooks",
            "DELETE /api/v1/namespaces/{ns}/webhooks/{webhook}",
            "POST /api/v1/namespaces/{ns}/webhooks/{webhook}/secret",
            "POST /api/v1/namespaces/{ns}/webhooks/{webhook}/test",
            "GET /api/v1/namespaces/{ns}/webhooks/{webhook}/deliveries",
            "POST /api/v1/namespaces/{ns}/webhooks/{webhook}/deliveries/{delivery}/redeliver",
            "GET /n/{ns}/webhooks",
            "POST /n/{ns}/webhooks",
            "GET /n/{ns}/webhooks/{webhook}",
            "POST /n/{ns}/webhooks/{webhook}/delete",
            "POST /n/{ns}/webhooks/{webhook}/secret",
            "POST /n/{ns}/webhooks/{webhook}/test",
            "POST /n/{ns}/webhooks/{webhook}/deliveries/{delivery}/redeliver",
            "GET /n/{ns}/licences",  # giving and revoking, and all about money, is for owners
        )
    },
    # licences: of namespaces that one owns or organisations that one bought for, which the services check
    **dict.fromkeys(
        (
            "GET /api/v1/entitlements",
            "GET /api/v1/invoices",
            "GET /api/v1/invoices/{invoice}",
            "POST /api/v1/invoices/{invoice}/credit-notes",
            "POST /api/v1/invoices/{period}/close",
            "GET /api/v1/licences",
            "DELETE /api/v1/licences/{licence}",
            "DELETE /api/v1/licences/{licence}/seats/{login}",
            "POST /api/v1/licences/{licence}/token",
            "GET /api/v1/orders/{order}",
            "POST /api/v1/payments/test/{reference}/pay",
            "GET /api/v1/usage-records",
            "POST /api/v1/usage-records",
        ),
        OWN,
    ),
    "POST /api/v1/payments/{provider}/callback": EVERYBODY,  # signed by the provider
    # pages: each does what a route above does, for who is logged in
    **dict.fromkeys(
        (
            "GET /account",
            "GET /account/licences",
            "POST /account/licences/{licence}/token",
            "GET /invoices/{invoice}",
            "GET /invoices/{invoice}/export",
            "POST /invoices/{invoice}/credit-notes",
            "POST /account/delete",
            "POST /account/email",
            "POST /account/email/verification",
            "POST /account/namespaces",
            "POST /account/password",
            "POST /account/sessions/end",
            "POST /account/tokens",
            "POST /account/tokens/delete",
            "POST /c/{ns}/{slug}/discussions",
            "POST /c/{ns}/{slug}/discussions/{thread}",
            "POST /c/{ns}/{slug}/discussions/{thread}/delete",
            "POST /c/{ns}/{slug}/reviews",
            "POST /c/{ns}/{slug}/reviews/withdraw",
            "POST /c/{ns}/{slug}/reviews/{review}/helpful",
            "GET /publish",
            "POST /publish",
            "GET /report",
            "POST /report",
        ),
        OWN,
    ),
    **dict.fromkeys(
        (
            "POST /c/{ns}/{slug}/configuration",
            "POST /forgot",
            "POST /join",
            "POST /logout",
            "POST /reset",
            "POST /theme",
            "POST /verify",
        ),
        EVERYBODY,
    ),
    "POST /n/{ns}/members": Rule(Role.OWNER, admin_too=True),
    "POST /n/{ns}/members/remove": Rule(Role.OWNER, admin_too=True, own=True),  # the administrator was first
    "POST /login": Rule(account=False, own=True),  # 401 for a wrong password
    # reports: what one has reported oneself
    "POST /api/v1/reports": ANY_ACCOUNT,
    "GET /api/v1/reports": OWN,
    "GET /api/v1/reports/{report}": OWN,
}

# Valid bodies for routes where the smallest one that fits the OpenAPI document is not valid: nothing but rights may
# refuse a request of the matrix.
BODIES: dict[str, Any] = {
    "POST /api/v1/namespaces": {"name": "fresh"},
    "POST /api/v1/components/{ns}/{slug}/releases/{version}/rollout": {"percent": 50},
    "POST /api/v1/namespaces/{ns}/webhooks": {"url": "https://hooks.example.org/x"},
    "POST /api/v1/namespaces/{ns}/keys": {"public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
}

FORMS: dict[str, dict[str, str]] = {
    "POST /n/{ns}/keys": {"public_key": "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=", "name": "x"},
    "POST /n/{ns}/members": {"login": "guest", "role": "reader"},
    "POST /n/{ns}/members/remove": {"login": "guest"},
    "POST /n/{ns}/webhooks": {"url": "https://hooks.example.org/x", "events": "release.listed"},
    "POST /n/{ns}/invoices/close": {"period": "2020-01"},
}


def rule_of(method: str, route: RouteAccess) -> Rule | None:
    """Return who may use a route; None if nobody has said so."""
    if rule := RULES.get(f"{method} {route.path}"):
        return rule
    scope = route.access.scope if route.access else None
    if scope is Scope.ADMIN:
        return Rule(admin=True)
    if "{ns}" in route.path and scope in (Scope.PUBLISH, Scope.NAMESPACE):
        return Rule(Role.MAINTAINER if scope is Scope.PUBLISH else Role.OWNER)
    if scope is None and method in ("GET", "HEAD"):
        return EVERYBODY  # what is public to read declares so itself
    return None
