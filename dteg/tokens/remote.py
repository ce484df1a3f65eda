"""Tokens over HTTP."""

from dteg.studio_client import StudioClient, quoted
from dteg.tokens.models import MadeToken, NewToken, Token


class RemoteTokens:
    """What `Tokens` does, asked of a studio.

    Args:
        client: Talks with it.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def create(self, new: NewToken) -> MadeToken:
        """Make a token; its secret is in the answer and nowhere else."""
        return MadeToken.model_validate(self._client.post("/tokens", new.model_dump(mode="json")))

    def list(self) -> list[Token]:
        """Return all tokens, the newest first."""
        found = [Token.model_validate(each) for each in self._client.items("/tokens")]
        return sorted(found, key=lambda token: token.created_at, reverse=True)

    def revoke(self, name: str) -> Token:
        """End a token."""
        return Token.model_validate(self._client.delete(f"/tokens/{quoted(name)}"))
