select
    -- Readable and unique: carrier, flight number and scheduled hour of departure in UTC.
    carrier || '-' || flight || '-' || to_char(time_hour at time zone 'UTC', 'YYYYMMDDHH24')
        as flight_id,
    carrier as carrier_id,
    flight as flight_number,
    tailnum as plane_id,
    origin as origin_airport_id,
    dest as destination_airport_id,
    make_date(year::integer, month::integer, day::integer) as flight_date,
    time_hour as scheduled_hour_at,
    time_hour + minute * interval '1 minute' as scheduled_departure_at,
    time_hour + (minute + dep_delay) * interval '1 minute' as departed_at,
    sched_arr_time as scheduled_arrival_clock_hhmm,
    arr_time as arrival_clock_hhmm,
    dep_delay as departure_delay_minutes,
    arr_delay as arrival_delay_minutes,
    air_time as air_time_minutes,
    distance as distance_miles,
    dep_time is null as is_cancelled,
    _loaded_at as loaded_at
from {{ source('raw', 'flights') }}
