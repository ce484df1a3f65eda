-- Credentials of the studio. Secrets are kept as SHA-256: nobody guesses 256 random bits.

-- name: v1
CREATE TABLE _dteg.studio_tokens (
    id text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    secret_hash text NOT NULL UNIQUE,
    scopes text [] NOT NULL,
    topics text [] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz
);
-- The login of a browser, by the hash of its cookie. One that was made with a token ends with it.
CREATE TABLE _dteg.studio_sessions (
    hash text PRIMARY KEY,
    token_id text REFERENCES _dteg.studio_tokens ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
REVOKE ALL ON _dteg.studio_tokens, _dteg.studio_sessions FROM public;

-- name: v2
-- Dashboards and charts may be for some roles only.
ALTER TABLE _dteg.studio_tokens ADD COLUMN roles text [] NOT NULL DEFAULT '{}';
