-- Datasets and the copies of their rows. The rows themselves are in the schema ds_cache.

-- name: v1
CREATE TABLE _dteg.datasets (
    slug text PRIMARY KEY,
    -- json, not jsonb: the order of keys is part of what somebody wrote.
    spec json NOT NULL,
    spec_hash text NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    origin text NOT NULL,
    file text NOT NULL DEFAULT '',
    broken text NOT NULL DEFAULT '',
    compiled_sql text NOT NULL DEFAULT '',
    columns json NOT NULL DEFAULT '[]',
    saved_at timestamptz NOT NULL DEFAULT now(),
    saved_by text NOT NULL DEFAULT '',
    -- Numbers of generations are never used twice, also after old rows were deleted.
    last_n integer NOT NULL DEFAULT 0,
    live_n integer
);
CREATE TABLE _dteg.dataset_dependencies (
    dataset text NOT NULL REFERENCES _dteg.datasets ON DELETE CASCADE,
    kind text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (dataset, kind, name)
);
CREATE INDEX dataset_dependencies_name ON _dteg.dataset_dependencies (kind, name);
CREATE TABLE _dteg.dataset_generations (
    dataset text NOT NULL REFERENCES _dteg.datasets ON DELETE CASCADE,
    n integer NOT NULL,
    relation text NOT NULL,
    status text NOT NULL,
    revision integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    published_at timestamptz,
    rows bigint,
    bytes bigint,
    seconds double precision,
    data_as_of timestamptz,
    error text NOT NULL DEFAULT '',
    run_id text NOT NULL DEFAULT '',
    checks json NOT NULL DEFAULT '[]',
    columns json NOT NULL DEFAULT '[]',
    compiled_sql text NOT NULL DEFAULT '',
    PRIMARY KEY (dataset, n)
);
CREATE INDEX dataset_generations_run ON _dteg.dataset_generations (run_id) WHERE run_id <> '';
-- Who inserts a row does the work of that time; everybody else finds it taken.
CREATE TABLE _dteg.dataset_claims (
    dataset text NOT NULL REFERENCES _dteg.datasets ON DELETE CASCADE,
    slot timestamptz NOT NULL,
    what text NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    claimed_by text NOT NULL DEFAULT '',
    PRIMARY KEY (dataset, slot, what)
);
