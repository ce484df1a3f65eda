-- Topics in PostgreSQL. What publishers commit waits in `topic_inbox`; the sequencer moves it to `topic_messages` and
-- gives the offsets. Numbers from a sequence are given before the commit, so a reader that remembers the last number it
-- saw passes over what commits later with a smaller one. Here only what is committed gets an offset, under a lock that
-- lasts until that offset is committed too: nothing can appear behind a reader.
--
-- The steps are functions: each is one round trip, its statements see what the lock before them waited for, and SQL of
-- others (triggers) can publish too: SELECT _dteg.topic_publish('orders', '{k}', '{"{}"}', ARRAY['hello'::bytea]);

-- name: v1
CREATE TABLE _dteg.topics (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    settings jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    first_offset bigint NOT NULL DEFAULT 0,
    next_offset bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE _dteg.topic_inbox (
    topic_id integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    key text NOT NULL,
    headers jsonb NOT NULL,
    payload bytea NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic_id, id)
);

CREATE TABLE _dteg.topic_messages (
    topic_id integer NOT NULL,
    "offset" bigint NOT NULL,
    key text NOT NULL,
    headers jsonb NOT NULL,
    payload bytea NOT NULL,
    published_at timestamptz NOT NULL,
    PRIMARY KEY (topic_id, "offset")
);

CREATE TABLE _dteg.topic_groups (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic_id integer NOT NULL REFERENCES _dteg.topics ON DELETE CASCADE,
    name text NOT NULL,
    next_offset bigint NOT NULL,
    missed bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (topic_id, name)
) WITH (fillfactor = 50);

CREATE TABLE _dteg.topic_dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic_id integer NOT NULL,
    group_id integer NOT NULL REFERENCES _dteg.topic_groups ON DELETE CASCADE,
    "offset" bigint NOT NULL,
    key text NOT NULL,
    headers jsonb NOT NULL,
    payload bytea NOT NULL,
    published_at timestamptz NOT NULL,
    attempts integer NOT NULL,
    error text NOT NULL,
    died_at timestamptz NOT NULL,
    replaying boolean NOT NULL DEFAULT false,
    UNIQUE (group_id, "offset")
);
CREATE INDEX topic_dead_letters_topic ON _dteg.topic_dead_letters (topic_id, id);

-- What is handed out and not done: `lease` names the delivery, 0 while it waits for another one; `due_at` is the end of
-- that lease or wait.
CREATE TABLE _dteg.topic_deliveries (
    group_id integer NOT NULL,
    "offset" bigint NOT NULL,
    attempts integer NOT NULL,
    lease bigint NOT NULL,
    due_at timestamptz NOT NULL,
    dead_letter_id bigint,
    PRIMARY KEY (group_id, "offset")
);
CREATE INDEX topic_deliveries_due ON _dteg.topic_deliveries (group_id, due_at);
CREATE SEQUENCE _dteg.topic_leases;

-- Commits that notify wait for each other in the whole cluster, so a topic notifies 20 times a second at most. When it
-- did so last is the value of a sequence, which alone is seen by all sessions at once. Readers look again within
-- that time by themselves after each notice.
CREATE FUNCTION _dteg.topic_wake(p_topic integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_wakes regclass := format('_dteg.topic_wakes_%s', p_topic)::regclass;
    v_now bigint := extract(epoch FROM clock_timestamp()) * 1000;
BEGIN
    IF v_now - coalesce(pg_sequence_last_value(v_wakes), 0) NOT BETWEEN 0 AND 50 THEN
        PERFORM setval(v_wakes, v_now);
        PERFORM pg_notify('dteg_topics', p_topic::text);
    END IF;
END $$;

CREATE FUNCTION _dteg.topic_publish(p_topic text, p_keys text[], p_headers jsonb[], p_payloads bytea[])
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_topic integer;
    v_limit integer;
    v_bad record;
    v_bytes bigint;
BEGIN
    SELECT t.id, (t.settings ->> 'max_payload_bytes')::integer INTO v_topic, v_limit
    FROM _dteg.topics AS t WHERE t.name = p_topic FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no topic %', p_topic USING ERRCODE = 'DT404';
    END IF;
    SELECT x.n, octet_length(x.payload) AS size INTO v_bad
    FROM unnest(p_payloads) WITH ORDINALITY AS x (payload, n) WHERE octet_length(x.payload) > v_limit LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'message % has % bytes, topic % takes %', v_bad.n, v_bad.size, p_topic, v_limit
            USING ERRCODE = 'DT413', DETAIL = format('%s %s %s', v_bad.n, v_bad.size, v_limit);
    END IF;
    INSERT INTO _dteg.topic_inbox (topic_id, key, headers, payload)
    SELECT v_topic, x.key, x.headers, x.payload
    FROM unnest(p_keys, p_headers, p_payloads) WITH ORDINALITY AS x (key, headers, payload, n) ORDER BY x.n;
    SELECT coalesce(sum(octet_length(payload)), 0) INTO v_bytes FROM unnest(p_payloads) AS x (payload);
    PERFORM _dteg.topic_wake(v_topic);
    RETURN v_bytes;
END $$;

CREATE FUNCTION _dteg.topic_sequence(p_topic integer, p_limit integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_next bigint;
    v_count bigint;
    v_bytes bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM _dteg.topic_inbox WHERE topic_id = p_topic) THEN
        RETURN;
    END IF;
    SELECT next_offset INTO v_next FROM _dteg.topics WHERE id = p_topic FOR NO KEY UPDATE;
    WITH taken AS (
        DELETE FROM _dteg.topic_inbox AS i
        WHERE i.topic_id = p_topic AND i.id = ANY (
            ARRAY(SELECT id FROM _dteg.topic_inbox WHERE topic_id = p_topic ORDER BY id LIMIT p_limit)
        )
        RETURNING i.id, i.key, i.headers, i.payload, i.published_at
    ), stored AS (
        INSERT INTO _dteg.topic_messages (topic_id, "offset", key, headers, payload, published_at)
        SELECT p_topic, v_next + row_number() OVER (ORDER BY id) - 1, key, headers, payload, published_at
        FROM taken
        RETURNING octet_length(payload) AS size
    )
    SELECT count(*), coalesce(sum(size), 0) INTO v_count, v_bytes FROM stored;
    UPDATE _dteg.topics SET next_offset = next_offset + v_count, bytes = bytes + v_bytes
    WHERE id = p_topic AND v_count > 0;
END $$;

-- A message that a group gives up becomes a dead letter.
CREATE FUNCTION _dteg.topic_bury(p_group integer, p_offset bigint, p_error text) RETURNS void LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM _dteg.topic_deliveries WHERE group_id = p_group AND "offset" = p_offset
        RETURNING attempts, dead_letter_id
    )
    INSERT INTO _dteg.topic_dead_letters AS l
        (topic_id, group_id, "offset", key, headers, payload, published_at, attempts, error, died_at)
    SELECT g.topic_id, p_group, p_offset, coalesce(o.key, m.key), coalesce(o.headers, m.headers),
        coalesce(o.payload, m.payload), coalesce(o.published_at, m.published_at), gone.attempts, p_error,
        clock_timestamp()
    FROM gone
    INNER JOIN _dteg.topic_groups AS g ON g.id = p_group
    LEFT JOIN _dteg.topic_dead_letters AS o ON o.id = gone.dead_letter_id
    LEFT JOIN _dteg.topic_messages AS m ON m.topic_id = g.topic_id AND m."offset" = p_offset
    WHERE o.id IS NOT NULL OR m.topic_id IS NOT NULL
    ON CONFLICT (group_id, "offset") DO UPDATE
    SET attempts = l.attempts + excluded.attempts, error = excluded.error, died_at = excluded.died_at,
        replaying = false;
$$;

-- Hand messages to a member: first what its group has to try again, then what is new.
CREATE FUNCTION _dteg.topic_fetch(p_group integer, p_limit integer, p_lease_s double precision)
RETURNS TABLE (
    "offset" bigint, key text, headers jsonb, payload bytea, published_at timestamptz,
    attempt integer, lease bigint, lease_until timestamptz
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz;
    v_until timestamptz;
    v_topic integer;
    v_max integer;
    v_lease bigint;
    v_first bigint;
    v_next bigint;
    v_last bigint;
    v_offsets bigint[] := '{}';
    v_suspect record;
BEGIN
    SELECT g.topic_id, (t.settings ->> 'max_attempts')::integer INTO v_topic, v_max
    FROM _dteg.topic_groups AS g INNER JOIN _dteg.topics AS t ON t.id = g.topic_id WHERE g.id = p_group;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the group is gone' USING ERRCODE = 'DT404';
    END IF;
    PERFORM _dteg.topic_sequence(v_topic, 10000);
    v_now := clock_timestamp();
    v_until := v_now + make_interval(secs => p_lease_s);
    v_lease := nextval('_dteg.topic_leases');

    -- Whoever had these died, perhaps of one of them: each goes out alone, so that it takes no others with it and
    -- only the guilty one uses up its attempts.
    LOOP
        SELECT d."offset", d.attempts INTO v_suspect FROM _dteg.topic_deliveries AS d
        WHERE d.group_id = p_group AND d.due_at <= v_now AND d.lease <> 0
        ORDER BY d.due_at, d."offset" LIMIT 1 FOR UPDATE SKIP LOCKED;
        EXIT WHEN NOT FOUND;
        IF v_suspect.attempts >= v_max THEN
            PERFORM _dteg.topic_bury(p_group, v_suspect."offset", 'no answer before the lease ran out');
            CONTINUE;
        END IF;
        v_offsets := ARRAY[v_suspect."offset"];
        EXIT;
    END LOOP;

    IF v_offsets = '{}' THEN
        v_offsets := ARRAY(
            SELECT d."offset" FROM _dteg.topic_deliveries AS d
            WHERE d.group_id = p_group AND d.due_at <= v_now AND d.lease = 0
            ORDER BY d.due_at, d."offset" LIMIT p_limit FOR UPDATE SKIP LOCKED
        );
    END IF;
    IF v_offsets <> '{}' THEN
        RETURN QUERY
        UPDATE _dteg.topic_deliveries AS d SET attempts = d.attempts + 1, lease = v_lease, due_at = v_until
        FROM unnest(v_offsets) AS o (n)
        LEFT JOIN _dteg.topic_dead_letters AS l ON l.group_id = p_group AND l."offset" = o.n
        LEFT JOIN _dteg.topic_messages AS m ON m.topic_id = v_topic AND m."offset" = o.n
        WHERE d.group_id = p_group AND d."offset" = o.n AND (m.topic_id IS NOT NULL OR l.id IS NOT NULL)
        RETURNING d."offset", coalesce(m.key, l.key), coalesce(m.headers, l.headers),
            coalesce(m.payload, l.payload), coalesce(m.published_at, l.published_at), d.attempts, d.lease, d.due_at;
        IF FOUND THEN
            RETURN;
        END IF;
        -- Retention deleted the messages while they were handed out.
        DELETE FROM _dteg.topic_deliveries AS d WHERE d.group_id = p_group AND d."offset" = ANY (v_offsets);
        UPDATE _dteg.topic_groups AS g SET missed = g.missed + cardinality(v_offsets) WHERE g.id = p_group;
    END IF;

    SELECT g.next_offset INTO v_next FROM _dteg.topic_groups AS g WHERE g.id = p_group FOR NO KEY UPDATE;
    SELECT greatest(t.first_offset, v_next), least(greatest(t.first_offset, v_next) + p_limit, t.next_offset) - 1
    INTO v_first, v_last FROM _dteg.topics AS t WHERE t.id = v_topic;
    RETURN QUERY
    WITH noted AS (
        INSERT INTO _dteg.topic_deliveries (group_id, "offset", attempts, lease, due_at)
        SELECT p_group, m."offset", 1, v_lease, v_until FROM _dteg.topic_messages AS m
        WHERE m.topic_id = v_topic AND m."offset" BETWEEN v_first AND v_last
        ON CONFLICT DO NOTHING  -- a dead letter that is replayed now
        RETURNING "offset"
    )
    SELECT m."offset", m.key, m.headers, m.payload, m.published_at, 1, v_lease, v_until
    FROM _dteg.topic_messages AS m INNER JOIN noted AS n ON n."offset" = m."offset"
    WHERE m.topic_id = v_topic AND m."offset" BETWEEN v_first AND v_last;
    UPDATE _dteg.topic_groups AS g SET
        next_offset = greatest(v_first, v_last + 1), missed = g.missed + v_first - v_next, last_seen_at = v_now
    WHERE g.id = p_group AND (v_last >= v_first OR v_first > v_next OR g.last_seen_at < v_now - interval '5 s');
END $$;

CREATE FUNCTION _dteg.topic_ack(p_group integer, p_offsets bigint[], p_leases bigint[])
RETURNS bigint LANGUAGE sql AS $$
    WITH done AS (
        DELETE FROM _dteg.topic_deliveries AS d USING unnest(p_offsets, p_leases) AS a (n, lease)
        WHERE d.group_id = p_group AND d."offset" = a.n AND d.lease = a.lease
        RETURNING d.dead_letter_id
    ), buried AS (
        DELETE FROM _dteg.topic_dead_letters AS l USING done WHERE l.id = done.dead_letter_id
    )
    SELECT count(*) FROM done;
$$;

CREATE FUNCTION _dteg.topic_nack(
    p_group integer, p_offset bigint, p_lease bigint, p_error text, p_retry_s double precision
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_attempts integer;
    v_settings jsonb;
BEGIN
    SELECT d.attempts, t.settings INTO v_attempts, v_settings
    FROM _dteg.topic_deliveries AS d
    INNER JOIN _dteg.topic_groups AS g ON g.id = d.group_id
    INNER JOIN _dteg.topics AS t ON t.id = g.topic_id
    WHERE d.group_id = p_group AND d."offset" = p_offset AND d.lease = p_lease FOR UPDATE OF d;
    IF NOT FOUND THEN
        RETURN 'stale';
    END IF;
    IF v_attempts >= (v_settings ->> 'max_attempts')::integer THEN
        PERFORM _dteg.topic_bury(p_group, p_offset, p_error);
        RETURN 'dead';
    END IF;
    UPDATE _dteg.topic_deliveries SET lease = 0, due_at = clock_timestamp() + make_interval(secs => coalesce(
        p_retry_s,
        least((v_settings ->> 'retry_max_s')::double precision,
            (v_settings ->> 'retry_base_s')::double precision * 2 ^ least(v_attempts - 1, 60))))
    WHERE group_id = p_group AND "offset" = p_offset;
    RETURN 'retry';
END $$;

-- One step of retention: the oldest messages go, at most `p_limit`. What groups had not got is counted as missed, also
-- what waited for another attempt.
CREATE FUNCTION _dteg.topic_prune(p_topic integer, p_limit integer, OUT messages bigint, OUT bytes bigint)
LANGUAGE plpgsql AS $$
DECLARE
    v_topic record;
    v_keep bigint;
BEGIN
    SELECT t.* INTO v_topic FROM _dteg.topics AS t WHERE t.id = p_topic FOR NO KEY UPDATE;
    WITH oldest AS (
        SELECT m."offset", octet_length(m.payload) AS size, m.published_at FROM _dteg.topic_messages AS m
        WHERE m.topic_id = p_topic ORDER BY m."offset" LIMIT p_limit
    ), summed AS (
        SELECT o.*, coalesce(sum(o.size) OVER (ORDER BY o."offset" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
            AS older FROM oldest AS o
    )
    SELECT coalesce(
        min(s."offset") FILTER (
            WHERE s.published_at >= clock_timestamp() - make_interval(secs => (v_topic.settings ->> 'retention_s')::integer)
            AND v_topic.bytes - s.older <= (v_topic.settings ->> 'retention_bytes')::bigint
        ),
        max(s."offset") + 1, v_topic.first_offset
    ) INTO v_keep FROM summed AS s;
    WITH gone AS (
        DELETE FROM _dteg.topic_messages AS m WHERE m.topic_id = p_topic AND m."offset" < v_keep
        RETURNING octet_length(m.payload) AS size
    )
    SELECT count(*), coalesce(sum(size), 0) INTO messages, bytes FROM gone;
    IF messages > 0 THEN
        UPDATE _dteg.topics AS t SET first_offset = v_keep, bytes = t.bytes - topic_prune.bytes WHERE t.id = p_topic;
        WITH gone AS (
            DELETE FROM _dteg.topic_deliveries AS d USING _dteg.topic_groups AS g
            WHERE g.topic_id = p_topic AND d.group_id = g.id AND d."offset" < v_keep AND d.dead_letter_id IS NULL
            RETURNING g.id
        )
        UPDATE _dteg.topic_groups AS g SET missed = g.missed + c.n
        FROM (SELECT id, count(*) AS n FROM gone GROUP BY id) AS c WHERE g.id = c.id;
    END IF;
END $$;
