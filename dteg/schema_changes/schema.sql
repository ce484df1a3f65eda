-- What is known of changes, in the warehouse, whichever database they happened in.

-- name: v1
CREATE TABLE _dteg.schema_listeners (
    database text PRIMARY KEY,
    installation uuid NOT NULL,
    mode text NOT NULL,
    state text NOT NULL DEFAULT 'on',
    message text NOT NULL DEFAULT '',
    truncate_tables text[] NOT NULL DEFAULT '{}',
    keeps_text boolean NOT NULL DEFAULT true,
    listened_at timestamptz NOT NULL DEFAULT now(),
    looked_at timestamptz,
    snapshot_at timestamptz,
    -- Every event of a transaction below this number was delivered. A number, never compared as text.
    cursor xid8 NOT NULL DEFAULT '0',
    failures bigint NOT NULL DEFAULT 0,
    horizon_age_s double precision NOT NULL DEFAULT 0,
    blocker jsonb
);
-- Events at or above the cursor that were delivered already.
CREATE TABLE _dteg.schema_delivered (
    installation uuid NOT NULL,
    event bigint NOT NULL,
    xid xid8 NOT NULL,
    PRIMARY KEY (installation, event)
);
-- One session at a time writes here (`leader`), so ids are committed in their order and are a cursor for readers.
CREATE TABLE _dteg.schema_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    database text NOT NULL,
    installation uuid,
    event bigint,
    xid xid8,
    at timestamptz NOT NULL,
    noticed_at timestamptz NOT NULL,
    found_by text NOT NULL,
    routine boolean NOT NULL,
    who text,
    role text,
    application text,
    client text,
    command text NOT NULL,
    kind text NOT NULL,
    schema text NOT NULL,
    object text NOT NULL,
    relation oid,
    "table" text,
    renamed_from text,
    columns jsonb NOT NULL,
    before jsonb,
    after jsonb,
    ddl text NOT NULL,
    breaks jsonb NOT NULL,
    UNIQUE (installation, event)
);
CREATE INDEX schema_changes_table ON _dteg.schema_changes (database, "table", id);
CREATE INDEX schema_changes_relation ON _dteg.schema_changes (database, relation, id);
CREATE INDEX schema_changes_at ON _dteg.schema_changes (at);
-- What each object looked like when we last heard of it; database '' is the server itself.
CREATE TABLE _dteg.schema_images (
    database text NOT NULL,
    class oid NOT NULL,
    object oid NOT NULL,
    kind text NOT NULL,
    schema text NOT NULL,
    name text NOT NULL,
    image jsonb NOT NULL,
    digest text NOT NULL GENERATED ALWAYS AS (md5(schema || '.' || name || image::text)) STORED,
    PRIMARY KEY (database, class, object)
);
CREATE INDEX schema_images_name ON _dteg.schema_images (database, schema, name);
CREATE TABLE _dteg.schema_breaks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    database text NOT NULL,
    "table" text NOT NULL,
    "column" text,
    expected text,
    kind text NOT NULL,
    name text NOT NULL,
    file text NOT NULL,
    why text NOT NULL,
    change bigint NOT NULL,
    since timestamptz NOT NULL,
    mended_at timestamptz,
    mended_by text
);
CREATE UNIQUE INDEX schema_breaks_open ON _dteg.schema_breaks (database, "table", coalesce("column", ''), kind, name)
WHERE mended_at IS NULL;
