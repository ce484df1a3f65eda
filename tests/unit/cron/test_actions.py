"""Actions of cron jobs as they are written."""

import pytest

from dteg.core.errors import ConfigError
from dteg.cron.actions import action_text, parse_action


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("backup shop", {"kind": "backup", "database": "shop", "to": "", "encrypt": False}),
        (
            "backup 'my shop' --encrypt --to s3://b/f",
            {"kind": "backup", "database": "my shop", "to": "s3://b/f", "encrypt": True},
        ),
        (
            "backup secret://env/SHOP",
            {"kind": "backup", "database": "secret://env/SHOP", "to": "", "encrypt": False},
        ),
        ("run pipeline flights", {"kind": "run_pipeline", "pipeline": "flights"}),
        ("refresh dataset sales", {"kind": "refresh_dataset", "dataset": "sales"}),
        ("metadata warehouse", {"kind": "metadata", "name": "warehouse"}),
        ("prune", {"kind": "prune", "older_than": "30d"}),
        ("prune --older-than=2w", {"kind": "prune", "older_than": "2w"}),
        ("verify backups", {"kind": "verify_backups"}),
    ],
)
def test_action_is_read_and_written_back(text, values):
    action = parse_action(text)
    assert action.model_dump() == values
    assert parse_action(action_text(action)) == action
    assert parse_action(action.words()) == action


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs an action"),
        ("bakup shop", 'did you mean "backup"'),
        ("backup", "write backup DATABASE"),
        ("backup a b", "write backup DATABASE"),
        ("backup shop --encript", 'did you mean "--encrypt"'),
        ("backup shop --to", "--to needs a value"),
        ("backup shop --encrypt=yes", "unknown option"),
        ("run pipeline", "write run pipeline NAME"),
        ("run flights", "'run flights' is no action of a cron job; write run pipeline NAME$"),
        ("prune --older-than 0d", "would remove everything"),
        ("prune --older-than soon", "not a duration"),
        ("backup 'shop", "cannot be split"),
        ("verify backups now", "write verify backups"),
    ],
)
def test_action_that_is_none_says_what_to_write(text, said):
    with pytest.raises(ConfigError, match=said):
        parse_action(text)


def test_password_is_neither_taken_nor_repeated():
    for text in ("backup postgres://me:hunter2@host/db", "backup postgres://me:hunter2@host/db too many"):
        with pytest.raises(ConfigError) as caught:
            parse_action(text)
        assert "hunter2" not in str(caught.value)
