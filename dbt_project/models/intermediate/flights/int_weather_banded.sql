with plausible as (
    select
        weather_id,
        airport_id,
        observed_hour_at,
        visibility_miles,
        -- 200 mph is beyond any sustained wind near New York; one reading says 1,048.
        case when wind_speed_mph < 200 then wind_speed_mph end as wind_speed_mph
    from {{ ref('stg_flights__weather') }}
)

select
    weather_id,
    airport_id,
    observed_hour_at,
    visibility_miles,
    wind_speed_mph,
    case
        when visibility_miles < 1 then 'very_low'
        when visibility_miles < 3 then 'low'
        when visibility_miles <= 5 then 'marginal'
        when visibility_miles > 5 then 'good'
        else 'unknown'
    end as visibility_band,
    case
        when wind_speed_mph < 10 then 'light'
        when wind_speed_mph < 20 then 'moderate'
        when wind_speed_mph >= 20 then 'strong'
        else 'unknown'
    end as wind_band
from plausible
