-- What was remembered of datasets at fixed times, and what is expected of them.

-- name: v1
-- One row for each time a dataset was looked at: what is the same for all points of it is kept once.
CREATE TABLE _dteg.snapshot_takes (
    dataset text NOT NULL,
    slot timestamptz NOT NULL,
    taken_at timestamptz NOT NULL,
    data_as_of timestamptz,
    stale boolean NOT NULL DEFAULT false,
    generation integer,
    points integer NOT NULL DEFAULT 0,
    rows bigint,
    problem text NOT NULL DEFAULT '',
    PRIMARY KEY (dataset, slot)
);
CREATE TABLE _dteg.snapshot_metrics (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dataset text NOT NULL,
    metric text NOT NULL,
    -- How rows of the dataset become one number: sum, min, max, mean, value or count.
    how text NOT NULL,
    UNIQUE (dataset, metric)
);
-- A series is a metric for one choice of values, such as {"country": "KZ"}; {} is all rows.
CREATE TABLE _dteg.snapshot_series (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    metric_id integer NOT NULL REFERENCES _dteg.snapshot_metrics ON DELETE CASCADE,
    dims jsonb NOT NULL,
    UNIQUE (metric_id, dims)
);
-- Narrow on purpose: about 100 bytes with its index. Times of taking and staleness are in snapshot_takes.
CREATE TABLE _dteg.snapshot_points (
    slot timestamptz NOT NULL,
    value double precision NOT NULL,
    series_id integer NOT NULL REFERENCES _dteg.snapshot_series ON DELETE CASCADE,
    PRIMARY KEY (series_id, slot)
);
CREATE TABLE _dteg.snapshot_forecasts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    series_id integer NOT NULL REFERENCES _dteg.snapshot_series ON DELETE CASCADE,
    made_at timestamptz NOT NULL,
    last_slot timestamptz,
    horizon integer NOT NULL,
    state text NOT NULL,
    forecast jsonb NOT NULL
);
CREATE INDEX snapshot_forecasts_series ON _dteg.snapshot_forecasts (series_id, made_at DESC);
-- Tables of whole rows, in the schema ds_history.
CREATE TABLE _dteg.snapshot_row_tables (
    dataset text PRIMARY KEY,
    relation text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- name: v2
-- What came of the last forecasts that were made by the clock.
CREATE TABLE _dteg.snapshot_forecast_runs (
    dataset text PRIMARY KEY,
    made_at timestamptz NOT NULL,
    last_slot timestamptz,
    state text NOT NULL,
    series integer NOT NULL DEFAULT 0,
    message text NOT NULL DEFAULT ''
);
