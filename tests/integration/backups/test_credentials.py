"""What a restore of the warehouse itself does to the credentials that lie in it."""

from urllib.parse import urlsplit

import pytest

from dteg.backups.models import NewBackup, RestoreOrder
from dteg.backups.service import Backups
from dteg.core.errors import NotFoundError
from dteg.tokens.models import NewToken, Scope
from dteg.tokens.service import Tokens


def test_no_revoked_token_comes_back(project, postgres_url):
    """Seen red without `carry_over`: the token revoked since the backup is found again."""
    warehouse = urlsplit(postgres_url).path[1:]
    tokens, backups = Tokens.of(project), Backups.of(project)
    revoked = tokens.create(NewToken(name="revoked", scopes=[Scope.READ]))
    kept = tokens.create(NewToken(name="kept", scopes=[Scope.READ]))
    cookie = tokens.open_session(kept.id)
    backup = backups.create(NewBackup(database=warehouse))
    tokens.revoke("revoked")
    later = tokens.create(NewToken(name="later", scopes=[Scope.READ]))

    backups.restore(RestoreOrder(id=backup.id, into=warehouse, swap=True))

    assert [each.name for each in tokens.list()] == ["later", "kept"]
    assert tokens.find(revoked.token) is None
    assert tokens.find(kept.token).name == tokens.find_session(cookie)[1].name == "kept"
    assert tokens.find(later.token).name == "later"
    with pytest.raises(NotFoundError):
        tokens.revoke("revoked")
