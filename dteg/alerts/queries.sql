-- What the alerts read and write.

-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended('dteg alerts', 0));

-- name: has_work
-- Whether a round of deliveries would find anything, for who asks every few seconds.
SELECT
    EXISTS (SELECT FROM _dteg.alert_occurrences WHERE handled_at IS NULL)
    OR EXISTS (SELECT FROM _dteg.alert_matters WHERE resolved_at IS NULL OR owes_end)
    OR EXISTS (
        SELECT FROM _dteg.alert_deliveries
        WHERE delivered_at IS NULL AND given_up_at IS NULL AND not_before <= %(now)s
    );

-- name: unhandled
SELECT id, kind, subject, matter AS dedupe_key, state, severity, message, details, at
FROM _dteg.alert_occurrences WHERE handled_at IS NULL ORDER BY id LIMIT %(limit)s;

-- name: handled
UPDATE _dteg.alert_occurrences SET handled_at = %(now)s WHERE id = ANY(%(ids)s);

-- name: matter
-- Locked, so that nobody acknowledges it between this and `save`.
SELECT rule, matter, kind, subject, severity, message, details, occurrences, first_at, last_at, told_at, level,
    acknowledged_at, acknowledged_by, resolved_at, beginnings, counted_since, owes_end, first_told_at
FROM _dteg.alert_matters WHERE rule = %(rule)s AND matter = %(matter)s FOR UPDATE;

-- name: save
INSERT INTO _dteg.alert_matters
    (rule, matter, kind, subject, severity, message, details, occurrences, first_at, last_at, told_at, level,
    acknowledged_at, acknowledged_by, resolved_at, beginnings, counted_since, owes_end, first_told_at)
VALUES (%(rule)s, %(matter)s, %(kind)s, %(subject)s, %(severity)s, %(message)s, %(details)s, %(occurrences)s,
    %(first_at)s, %(last_at)s, %(told_at)s, %(level)s, %(acknowledged_at)s, %(acknowledged_by)s, %(resolved_at)s,
    %(beginnings)s, %(counted_since)s, %(owes_end)s, %(first_told_at)s)
ON CONFLICT (rule, matter) DO UPDATE SET
    kind = excluded.kind, subject = excluded.subject, severity = excluded.severity, message = excluded.message,
    details = excluded.details, occurrences = excluded.occurrences, first_at = excluded.first_at,
    last_at = excluded.last_at, told_at = excluded.told_at, level = excluded.level,
    acknowledged_at = excluded.acknowledged_at, acknowledged_by = excluded.acknowledged_by,
    resolved_at = excluded.resolved_at, beginnings = excluded.beginnings, counted_since = excluded.counted_since,
    owes_end = excluded.owes_end, first_told_at = excluded.first_told_at;

-- name: forget_rules
-- A rule that is gone, or off, tells nothing more of what it was about.
UPDATE _dteg.alert_matters SET resolved_at = coalesce(resolved_at, %(now)s), owes_end = false
WHERE (resolved_at IS NULL OR owes_end) AND NOT rule = ANY(%(rules)s);

-- name: cancel
-- What was not sent need not be sent any more: all of a matter, or what one channel was to hear of it.
UPDATE _dteg.alert_deliveries SET given_up_at = %(now)s, error = %(why)s
WHERE rule = %(rule)s AND matter = %(matter)s AND delivered_at IS NULL AND given_up_at IS NULL
    AND (%(channel)s::text IS NULL OR channel = %(channel)s);

-- name: channels_told
SELECT DISTINCT channel FROM _dteg.alert_deliveries
WHERE rule = %(rule)s AND matter = %(matter)s AND created_at >= %(since)s AND delivered_at IS NOT NULL
ORDER BY channel;

-- name: unsettled
SELECT rule, matter, kind, subject, severity, message, details, occurrences, first_at, last_at, told_at, level,
    acknowledged_at, acknowledged_by, resolved_at, beginnings, counted_since, owes_end, first_told_at
FROM _dteg.alert_matters WHERE resolved_at IS NULL OR owes_end ORDER BY first_at, rule, matter FOR UPDATE;

-- name: open
SELECT rule, matter, kind, subject, severity, message, details, occurrences, first_at, last_at, told_at, level,
    acknowledged_at, acknowledged_by, resolved_at, beginnings, counted_since, owes_end, first_told_at
FROM _dteg.alert_matters WHERE resolved_at IS NULL ORDER BY first_at, rule, matter LIMIT %(limit)s;

-- name: acknowledge
UPDATE _dteg.alert_matters
SET acknowledged_at = coalesce(acknowledged_at, %(now)s), acknowledged_by = coalesce(acknowledged_by, %(by)s)
WHERE rule = %(rule)s AND matter = %(matter)s AND resolved_at IS NULL
RETURNING 1;

-- name: enqueue
INSERT INTO _dteg.alert_deliveries
    (rule, matter, channel, title, body, severity, occurrence, created_at, not_before)
VALUES (%(rule)s, %(matter)s, %(channel)s, %(title)s, %(body)s, %(severity)s, %(occurrence)s, %(now)s, %(not_before)s);

-- name: due
-- Some of each channel, so that one with many waiting starves no other; first what was never tried, so that a message
-- which its channel does not take holds up no other.
SELECT id, rule, matter, channel, title, body, severity, occurrence, attempts
FROM (
    SELECT *, row_number() OVER (PARTITION BY channel ORDER BY attempts, id) AS place
    FROM _dteg.alert_deliveries
    WHERE delivered_at IS NULL AND given_up_at IS NULL AND not_before <= %(now)s
) AS waiting
WHERE place <= %(limit)s ORDER BY channel, place;

-- name: delivered
UPDATE _dteg.alert_deliveries
SET delivered_at = %(now)s, attempts = attempts + 1, error = NULL, given_up_at = NULL
WHERE id = %(id)s;

-- name: failed
UPDATE _dteg.alert_deliveries SET attempts = attempts + 1, error = %(error)s, not_before = %(not_before)s,
    given_up_at = %(given_up_at)s
WHERE id = %(id)s AND delivered_at IS NULL AND given_up_at IS NULL;

-- name: postpone
-- What waits behind a message that failed waits too, but does not count as tried.
UPDATE _dteg.alert_deliveries SET not_before = %(not_before)s
WHERE channel = %(channel)s AND delivered_at IS NULL AND given_up_at IS NULL AND not_before < %(not_before)s;

-- name: log
SELECT id, rule, matter, channel, title, body, severity, created_at, not_before, attempts, error, delivered_at,
    given_up_at
FROM _dteg.alert_deliveries WHERE %(before)s::bigint IS NULL OR id < %(before)s ORDER BY id DESC LIMIT %(limit)s;

-- name: forget
WITH old_matters AS (
    DELETE FROM _dteg.alert_matters WHERE resolved_at < %(before)s AND NOT owes_end
), old_deliveries AS (
    DELETE FROM _dteg.alert_deliveries
    WHERE created_at < %(before)s AND (delivered_at IS NOT NULL OR given_up_at IS NOT NULL)
)
DELETE FROM _dteg.alert_occurrences WHERE at < %(before)s AND handled_at IS NOT NULL;
