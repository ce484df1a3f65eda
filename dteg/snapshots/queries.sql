-- What snapshots read and write.

-- name: lock
-- One at a time takes a slot of a dataset.
SELECT pg_advisory_xact_lock(hashtextextended('dteg snapshot ' || %(dataset)s, 0));

-- name: take
SELECT dataset, slot, taken_at, data_as_of, stale, generation, points, rows, problem
FROM _dteg.snapshot_takes WHERE dataset = %(dataset)s AND slot = %(slot)s;

-- name: takes
SELECT dataset, slot, taken_at, data_as_of, stale, generation, points, rows, problem
FROM _dteg.snapshot_takes WHERE dataset = %(dataset)s ORDER BY slot DESC LIMIT %(limit)s;

-- name: save_take
INSERT INTO _dteg.snapshot_takes (dataset, slot, taken_at, data_as_of, stale, generation, points, rows, problem)
VALUES (%(dataset)s, %(slot)s, %(taken_at)s, %(data_as_of)s, %(stale)s, %(generation)s, %(points)s, %(rows)s, %(problem)s)
ON CONFLICT (dataset, slot) DO UPDATE SET
    taken_at = excluded.taken_at, data_as_of = excluded.data_as_of, stale = excluded.stale,
    generation = excluded.generation, points = excluded.points, rows = excluded.rows, problem = excluded.problem;

-- name: save_metrics
INSERT INTO _dteg.snapshot_metrics (dataset, metric, how)
SELECT %(dataset)s, metric, how FROM unnest(%(metrics)s::text[], %(hows)s::text[]) AS given (metric, how)
ON CONFLICT (dataset, metric) DO UPDATE SET how = excluded.how
RETURNING id, metric;

-- name: save_series
-- Looked for first: an insert that conflicts would use up a number of the identity each time.
INSERT INTO _dteg.snapshot_series (metric_id, dims)
SELECT DISTINCT given.metric_id, given.dims
FROM unnest(%(metrics)s::integer[], %(dims)s::jsonb[]) AS given (metric_id, dims)
WHERE NOT EXISTS (
    SELECT FROM _dteg.snapshot_series s WHERE s.metric_id = given.metric_id AND s.dims = given.dims
)
ON CONFLICT (metric_id, dims) DO NOTHING;

-- name: save_points
INSERT INTO _dteg.snapshot_points (slot, value, series_id)
SELECT given.slot, given.value, s.id
FROM unnest(%(metrics)s::integer[], %(dims)s::jsonb[], %(slots)s::timestamptz[], %(values)s::float8[])
    AS given (metric_id, dims, slot, value)
JOIN _dteg.snapshot_series s ON s.metric_id = given.metric_id AND s.dims = given.dims
ON CONFLICT (series_id, slot) DO UPDATE SET value = excluded.value;

-- name: drop_points
-- Of a slot that is taken again: a series that has no value now keeps none.
DELETE FROM _dteg.snapshot_points p
USING _dteg.snapshot_series s JOIN _dteg.snapshot_metrics m ON m.id = s.metric_id
WHERE p.series_id = s.id AND m.dataset = %(dataset)s AND p.slot = %(slot)s;

-- name: metrics
SELECT m.metric AS name, m.how, count(s.id)::int AS series
FROM _dteg.snapshot_metrics m LEFT JOIN _dteg.snapshot_series s ON s.metric_id = m.id
WHERE m.dataset = %(dataset)s GROUP BY m.id ORDER BY m.id;

-- name: series
SELECT m.dataset, m.metric, s.dims AS by, p.points, p.first_slot, p.last_slot, last.value AS last_value
FROM _dteg.snapshot_metrics m
JOIN _dteg.snapshot_series s ON s.metric_id = m.id
JOIN LATERAL (
    SELECT count(*)::int AS points, min(slot) AS first_slot, max(slot) AS last_slot
    FROM _dteg.snapshot_points WHERE series_id = s.id
) p ON p.points > 0
JOIN _dteg.snapshot_points last ON last.series_id = s.id AND last.slot = p.last_slot
WHERE m.dataset = %(dataset)s AND (%(metric)s = '' OR m.metric = %(metric)s)
ORDER BY m.id, s.dims <> '{}', abs(last.value) DESC, s.id LIMIT %(limit)s;

-- name: series_id
SELECT s.id FROM _dteg.snapshot_series s JOIN _dteg.snapshot_metrics m ON m.id = s.metric_id
WHERE m.dataset = %(dataset)s AND m.metric = %(metric)s AND s.dims = %(dims)s::jsonb;

-- name: series_ids
SELECT s.id, m.metric, s.dims FROM _dteg.snapshot_series s JOIN _dteg.snapshot_metrics m ON m.id = s.metric_id
WHERE m.dataset = %(dataset)s AND EXISTS (SELECT FROM _dteg.snapshot_points p WHERE p.series_id = s.id)
ORDER BY m.id, s.dims <> '{}', s.id LIMIT %(limit)s;

-- name: points
-- The newest, oldest first.
SELECT slot, value, stale, taken_at, data_as_of FROM (
    SELECT p.slot, p.value, coalesce(t.stale, false) AS stale, t.taken_at, t.data_as_of
    FROM _dteg.snapshot_points p LEFT JOIN _dteg.snapshot_takes t ON t.dataset = %(dataset)s AND t.slot = p.slot
    WHERE p.series_id = %(series)s AND p.slot >= %(since)s AND p.slot <= %(until)s
    ORDER BY p.slot DESC LIMIT %(limit)s
) newest ORDER BY slot;

-- name: recent
-- The newest points of many series in one go: a limit for each.
SELECT s.id, array_agg(p.slot ORDER BY p.slot) AS slots, array_agg(p.value ORDER BY p.slot) AS values
FROM unnest(%(series)s::integer[]) AS s (id)
CROSS JOIN LATERAL (
    SELECT q.slot, q.value FROM _dteg.snapshot_points q
    WHERE q.series_id = s.id AND q.slot > %(since)s AND q.slot <> ALL(%(stale)s) ORDER BY q.slot DESC LIMIT %(limit)s
) p
GROUP BY s.id;

-- name: stale_slots
SELECT slot FROM _dteg.snapshot_takes WHERE dataset = %(dataset)s AND stale AND slot > %(since)s;

-- name: save_forecast
INSERT INTO _dteg.snapshot_forecasts (series_id, made_at, last_slot, horizon, state, forecast)
VALUES (%(series)s, %(made_at)s, %(last_slot)s, %(horizon)s, %(state)s, %(forecast)s);

-- name: forecasts
-- The newest forecast of each series.
SELECT m.dataset, m.metric, s.dims AS by, f.forecast
FROM _dteg.snapshot_metrics m
JOIN _dteg.snapshot_series s ON s.metric_id = m.id
CROSS JOIN LATERAL (
    SELECT forecast FROM _dteg.snapshot_forecasts WHERE series_id = s.id ORDER BY made_at DESC, id DESC LIMIT 1
) f
WHERE m.dataset = %(dataset)s AND (%(series)s::integer IS NULL OR s.id = %(series)s)
ORDER BY m.id, s.dims <> '{}', s.id;

-- name: forecasts_due
-- Datasets with a snapshot newer than what was forecast of them by the clock: once a day, and while there is no forecast
-- once an hour.
SELECT t.dataset, t.slot
FROM (SELECT dataset, max(slot) AS slot FROM _dteg.snapshot_takes WHERE NOT stale GROUP BY dataset) t
LEFT JOIN _dteg.snapshot_forecast_runs r ON r.dataset = t.dataset
WHERE r.dataset IS NULL
    OR r.last_slot < t.slot AND r.made_at < CASE WHEN r.state IN ('made', 'plain') THEN %(today)s ELSE %(an_hour_ago)s END
    OR r.state = 'failed' AND r.made_at < %(an_hour_ago)s
ORDER BY t.dataset;

-- name: last_take
SELECT max(slot) AS slot FROM _dteg.snapshot_takes WHERE dataset = %(dataset)s AND NOT stale;

-- name: save_forecast_run
INSERT INTO _dteg.snapshot_forecast_runs (dataset, made_at, last_slot, state, series, message)
VALUES (%(dataset)s, %(made_at)s, %(last_slot)s, %(state)s, %(series)s, %(message)s)
ON CONFLICT (dataset) DO UPDATE SET made_at = excluded.made_at, last_slot = excluded.last_slot, state = excluded.state,
    series = excluded.series, message = excluded.message;

-- name: forecast_run
SELECT dataset, made_at, last_slot, state, series, message FROM _dteg.snapshot_forecast_runs
WHERE dataset = %(dataset)s;

-- name: forget_forecast_run
DELETE FROM _dteg.snapshot_forecast_runs WHERE dataset = %(dataset)s;

-- name: known_datasets
SELECT dataset, max(slot) AS last_slot FROM _dteg.snapshot_takes GROUP BY dataset
UNION SELECT dataset, NULL FROM _dteg.snapshot_metrics m
WHERE NOT EXISTS (SELECT FROM _dteg.snapshot_takes t WHERE t.dataset = m.dataset);

-- name: thin_points
-- Older than `raw`: only the last of each day stays. Older than `daily`: none.
DELETE FROM _dteg.snapshot_points p
USING _dteg.snapshot_series s, _dteg.snapshot_metrics m
WHERE p.series_id = s.id AND m.id = s.metric_id AND m.dataset = %(dataset)s AND p.slot < %(raw_before)s
  AND (
    p.slot < %(daily_before)s
    OR EXISTS (
        SELECT FROM _dteg.snapshot_points later
        WHERE later.series_id = p.series_id AND later.slot > p.slot
          AND later.slot < (date_trunc('day', p.slot AT TIME ZONE %(zone)s) + interval '1 day') AT TIME ZONE %(zone)s
    )
  );

-- name: drop_takes
DELETE FROM _dteg.snapshot_takes t WHERE t.dataset = %(dataset)s AND t.slot < %(raw_before)s
  AND NOT EXISTS (
    SELECT FROM _dteg.snapshot_points p JOIN _dteg.snapshot_series s ON s.id = p.series_id
    JOIN _dteg.snapshot_metrics m ON m.id = s.metric_id WHERE m.dataset = t.dataset AND p.slot = t.slot
  );

-- name: drop_forecasts
-- The newest of each series always stays.
DELETE FROM _dteg.snapshot_forecasts f
USING _dteg.snapshot_series s, _dteg.snapshot_metrics m
WHERE f.series_id = s.id AND m.id = s.metric_id AND m.dataset = %(dataset)s AND f.made_at < %(raw_before)s
  AND EXISTS (SELECT FROM _dteg.snapshot_forecasts n WHERE n.series_id = f.series_id AND n.made_at > f.made_at);

-- name: drop_empty_series
DELETE FROM _dteg.snapshot_series s USING _dteg.snapshot_metrics m
WHERE m.id = s.metric_id AND m.dataset = %(dataset)s
  AND NOT EXISTS (SELECT FROM _dteg.snapshot_points p WHERE p.series_id = s.id);

-- name: forget_metrics
DELETE FROM _dteg.snapshot_metrics WHERE dataset = %(dataset)s;

-- name: forget_takes
DELETE FROM _dteg.snapshot_takes WHERE dataset = %(dataset)s;

-- name: series_at
-- The series that have a point at a time.
SELECT s.id, m.metric, s.dims FROM _dteg.snapshot_metrics m
JOIN _dteg.snapshot_series s ON s.metric_id = m.id
JOIN _dteg.snapshot_points p ON p.series_id = s.id AND p.slot = %(slot)s
WHERE m.dataset = %(dataset)s ORDER BY s.dims <> '{}', s.id LIMIT %(limit)s;

-- name: columns_of
-- Columns of a relation with their whole types.
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = to_regclass(%(relation)s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum;

-- name: row_tables
SELECT dataset, relation FROM _dteg.snapshot_row_tables WHERE %(dataset)s = '' OR dataset = %(dataset)s;

-- name: save_row_table
INSERT INTO _dteg.snapshot_row_tables (dataset, relation) VALUES (%(dataset)s, %(relation)s)
ON CONFLICT (dataset) DO NOTHING;

-- name: forget_row_table
DELETE FROM _dteg.snapshot_row_tables WHERE dataset = %(dataset)s;

-- name: partitions
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass(%(relation)s) ORDER BY c.relname;

-- name: row_snapshots
SELECT dataset, slot, rows FROM _dteg.snapshot_takes
WHERE dataset = %(dataset)s AND rows IS NOT NULL AND slot >= %(since)s ORDER BY slot DESC LIMIT %(limit)s;
