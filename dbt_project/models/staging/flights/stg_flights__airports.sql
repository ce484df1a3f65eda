select
    faa as airport_id,
    name as airport_name,
    lat as latitude_degrees,
    lon as longitude_degrees,
    alt as altitude_feet,
    tz as utc_offset_hours,
    dst as daylight_saving_code,
    tzone as time_zone_name,
    _loaded_at as loaded_at
from {{ source('raw', 'airports') }}
