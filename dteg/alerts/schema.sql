-- What happened and waits to be told, what is known of each matter, and what was sent.

-- name: v1
-- An occurrence reported in a transaction commits with it.
CREATE TABLE _dteg.alert_occurrences (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    matter text NOT NULL,
    state text NOT NULL,
    severity text NOT NULL,
    message text NOT NULL,
    details jsonb NOT NULL,
    at timestamptz NOT NULL,
    handled_at timestamptz
);
CREATE INDEX alert_occurrences_open ON _dteg.alert_occurrences (id) WHERE handled_at IS NULL;
CREATE INDEX alert_occurrences_at ON _dteg.alert_occurrences (at);
-- One row for each rule and thing that it is about.
CREATE TABLE _dteg.alert_matters (
    rule text NOT NULL,
    matter text NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    severity text NOT NULL,
    message text NOT NULL,
    details jsonb NOT NULL,
    occurrences bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    told_at timestamptz,
    level integer NOT NULL DEFAULT 0,
    acknowledged_at timestamptz,
    acknowledged_by text,
    resolved_at timestamptz,
    beginnings integer NOT NULL,
    counted_since timestamptz NOT NULL,
    owes_end boolean NOT NULL,
    first_told_at timestamptz,
    PRIMARY KEY (rule, matter)
);
CREATE INDEX alert_matters_open ON _dteg.alert_matters (first_at) WHERE resolved_at IS NULL OR owes_end;
CREATE TABLE _dteg.alert_deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule text NOT NULL,
    matter text NOT NULL,
    channel text NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    severity text NOT NULL,
    occurrence jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    not_before timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    error text,
    delivered_at timestamptz,
    given_up_at timestamptz
);
CREATE INDEX alert_deliveries_open ON _dteg.alert_deliveries (not_before)
WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX alert_deliveries_matter ON _dteg.alert_deliveries (rule, matter);
CREATE INDEX alert_deliveries_at ON _dteg.alert_deliveries (created_at);
