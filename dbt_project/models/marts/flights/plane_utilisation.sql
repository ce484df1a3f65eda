with by_plane as (
    select
        plane_id,
        count(*) as flights,
        count(*) filter (where not is_cancelled) as departed_flights,
        -- Distance is flown only by flights known to have arrived, as air time is.
        coalesce(sum(distance_miles) filter (where is_arrived), 0)::bigint as flown_miles,
        coalesce(sum(air_time_minutes), 0)::double precision / 60 as air_time_hours,
        avg(arrival_delay_minutes)::double precision as mean_arrival_delay_minutes
    from {{ ref('int_flights_classified') }}
    where plane_id is not null
    group by plane_id
)

select
    by_plane.plane_id,
    planes.plane_id is not null as is_registered,
    planes.manufacturer,
    planes.model,
    planes.built_year,
    planes.seat_count,
    by_plane.flights,
    by_plane.departed_flights,
    by_plane.flown_miles,
    by_plane.air_time_hours,
    by_plane.mean_arrival_delay_minutes
from by_plane
left join {{ ref('stg_flights__planes') }} as planes
    on by_plane.plane_id = planes.plane_id
