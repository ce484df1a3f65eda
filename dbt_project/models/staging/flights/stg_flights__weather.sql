select
    origin || '-' || to_char(time_hour at time zone 'UTC', 'YYYYMMDDHH24') as weather_id,
    origin as airport_id,
    time_hour as observed_hour_at,
    temp as temperature_fahrenheit,
    dewp as dew_point_fahrenheit,
    humid as relative_humidity_percent,
    wind_dir as wind_direction_degrees,
    wind_speed as wind_speed_mph,
    wind_gust as wind_gust_mph,
    precip as precipitation_inches,
    pressure as pressure_millibars,
    visib as visibility_miles,
    _loaded_at as loaded_at
from {{ source('raw', 'weather') }}
