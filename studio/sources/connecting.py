"""How a form says where a database is: host, user and password apart, or a URL; and what it keeps between two sendings.

A password is never shown again. So that nobody has to write it twice, after a test or a mistake elsewhere, the page
carries the URL sealed with the key of the sources; it is good for an hour, and for the same server and user only.
"""

import base64
import binascii
import json
import time
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from dteg.core.errors import ConfigError
from dteg.sources.kinds import SourceKind
from dteg.sources.vault import Vault

PARTS = ("host", "port", "database", "user")
PASSWORD, URL, SEALED = "password", "url", "sealed"
_KEPT_S = 3600
# No source can have this name: what is sealed here opens for none.
_BOUND_TO = "form of a new source"


def default_port(kind: SourceKind) -> int | None:
    """Return the port at which servers of a kind listen; None for a kind that is no server of databases."""
    return None if "http" in kind.schemes or not kind.url else urlsplit(kind.url).port


def url_of(kind: SourceKind, form: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the URL that a form says, or what is wrong by field; "" if it says none."""
    if form.get(URL):
        return form[URL], {}
    known = _opened(form.get(SEALED, ""))
    wrote_parts = any(form.get(name) for name in (*PARTS, PASSWORD))
    if default_port(kind) is None or (not wrote_parts and (known or form.get("replace"))):
        return known, {}
    errors = {}
    if not form.get("host"):
        errors["host"] = "Host: fill this in."
    if not form.get("database"):
        errors["database"] = "Database: fill this in."
    if form.get("port") and not (form["port"].isdecimal() and 0 < int(form["port"]) < 65536):
        errors["port"] = "Port: write a whole number up to 65535."
    if errors:
        return "", errors
    if not form.get(PASSWORD) and known:
        kept = _url(kind, form, unquote(urlsplit(known).password or ""))
        # Whoever changes the server must know the password: it is not sent to another one.
        if kept == known:
            return known, {}
        return "", {PASSWORD: "Password: write it again for the changed server."}
    return _url(kind, form, form.get(PASSWORD, "")), {}


def seal(url: str) -> str:
    """Return a URL as a page carries it; "" for none."""
    if not url or url.startswith("secret://"):
        return ""
    sealed, key_id = Vault().seal(_BOUND_TO, {URL: url, "until": str(int(time.time()) + _KEPT_S)})
    return f"{key_id}.{base64.urlsafe_b64encode(sealed).decode()}"


def _opened(text: str) -> str:
    key_id, _, sealed = text.partition(".")
    if not sealed:
        return ""
    try:
        values = Vault().open(_BOUND_TO, base64.urlsafe_b64decode(sealed), key_id)
    except (ConfigError, binascii.Error, json.JSONDecodeError, ValueError):
        return ""
    return values[URL] if int(values["until"]) > time.time() else ""


def _url(kind: SourceKind, form: Mapping[str, str], password: str) -> str:
    user = quote(form.get("user", ""), safe="")
    login = f"{user}:{quote(password, safe='')}@" if password else f"{user}@" if user else ""
    host = form["host"].strip("[]")
    host = f"[{host}]" if ":" in host else quote(host, safe="")
    port = form.get("port") or default_port(kind)
    return f"{kind.schemes[0]}://{login}{host}:{port}/{quote(form['database'], safe='')}"
