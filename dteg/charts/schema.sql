-- Charts, and areas that maps are drawn of.

-- name: v1
CREATE TABLE _dteg.charts (
    slug text PRIMARY KEY,
    spec jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by text NOT NULL DEFAULT ''
);
CREATE TABLE _dteg.geo_layers (
    slug text PRIMARY KEY,
    title text NOT NULL,
    -- A FeatureCollection of RFC 7946, already checked and simplified.
    features jsonb NOT NULL,
    properties text [] NOT NULL,
    bbox double precision [] NOT NULL,
    feature_count integer NOT NULL,
    vertices integer NOT NULL,
    vertices_before integer NOT NULL,
    bytes bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
