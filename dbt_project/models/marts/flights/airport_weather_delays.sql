with banded as (
    select
        flights.origin_airport_id as airport_id,
        flights.departure_delay_minutes,
        flights.is_cancelled,
        flights.is_departure_late_15,
        coalesce(weather.visibility_band, 'unknown') as visibility_band,
        coalesce(weather.wind_band, 'unknown') as wind_band
    from {{ ref('int_flights_classified') }} as flights
    left join {{ ref('int_weather_banded') }} as weather
        on
            flights.origin_airport_id = weather.airport_id
            and flights.scheduled_hour_at = weather.observed_hour_at
),

by_band as (
    select
        airport_id,
        visibility_band,
        wind_band,
        count(*) as flights,
        count(*) filter (where is_cancelled) as cancelled_flights,
        count(*) filter (where not is_cancelled) as departed_flights,
        avg(departure_delay_minutes)::double precision as mean_departure_delay_minutes,
        avg(is_cancelled::integer)::double precision as share_cancelled,
        avg(is_departure_late_15::integer)::double precision as share_departed_late_15
    from banded
    group by airport_id, visibility_band, wind_band
)

select
    by_band.airport_id || '-' || by_band.visibility_band || '-' || by_band.wind_band
        as airport_weather_id,
    by_band.airport_id,
    airports.airport_name,
    by_band.visibility_band,
    by_band.wind_band,
    by_band.flights,
    by_band.cancelled_flights,
    by_band.departed_flights,
    by_band.mean_departure_delay_minutes,
    by_band.share_cancelled,
    by_band.share_departed_late_15
from by_band
left join {{ ref('stg_flights__airports') }} as airports
    on by_band.airport_id = airports.airport_id
