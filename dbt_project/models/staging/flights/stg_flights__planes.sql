select
    tailnum as plane_id,
    year as built_year,
    type as plane_type,
    manufacturer,
    model,
    engines as engine_count,
    seats as seat_count,
    speed as cruising_speed_mph,
    engine as engine_type,
    _loaded_at as loaded_at
from {{ source('raw', 'planes') }}
