-- name: v1
-- Sources: what people connected, how it stands, and the tables that were found there.
CREATE TABLE _dteg.sources (
    slug text PRIMARY KEY,
    kind text NOT NULL,
    mode text NOT NULL,
    title text NOT NULL DEFAULT '',
    address text NOT NULL DEFAULT '',
    options jsonb NOT NULL DEFAULT '{}',
    patterns jsonb NOT NULL DEFAULT '[]',
    -- The URL and secret options as JSON, encrypted with a key that is not in the database.
    sealed bytea NOT NULL,
    key_id text NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    last_ok_at timestamptz,
    last_error text NOT NULL DEFAULT '',
    breaker_until timestamptz,
    relayed boolean NOT NULL DEFAULT false,
    -- Settings that keep statements over its tables right, such as a planner's method that would trust its order.
    session_settings jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    linked_at timestamptz
);
CREATE TABLE _dteg.source_tables (
    source text NOT NULL REFERENCES _dteg.sources ON DELETE CASCADE,
    schema text NOT NULL,
    name text NOT NULL,
    position integer NOT NULL,
    relation_schema text NOT NULL,
    relation_name text NOT NULL,
    -- Columns, keys and descriptions.
    facts jsonb NOT NULL,
    row_estimate bigint,
    schema_hash text NOT NULL,
    linked boolean NOT NULL,
    problem text NOT NULL DEFAULT '',
    introspected_at timestamptz NOT NULL,
    staged_at timestamptz,
    PRIMARY KEY (source, schema, name)
);
-- Called by a trigger of each foreign table whose wrapper would write.
CREATE FUNCTION _dteg.source_is_read_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table %.% belongs to a source, and sources are only read', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$
