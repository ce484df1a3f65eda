with by_month as (
    select
        carrier_id,
        flight_month,
        count(*) as flights,
        count(*) filter (where is_cancelled) as cancelled_flights,
        count(*) filter (where is_arrived) as arrived_flights,
        count(*) filter (where is_arrival_unrecorded) as arrival_unrecorded_flights,
        avg(departure_delay_minutes)::double precision as mean_departure_delay_minutes,
        avg(arrival_delay_minutes)::double precision as mean_arrival_delay_minutes,
        avg(is_cancelled::integer)::double precision as share_cancelled,
        avg(is_arrival_late_15::integer)::double precision as share_late_15
    from {{ ref('int_flights_classified') }}
    group by carrier_id, flight_month
),

compared as (
    select
        *,
        lag(flight_month) over by_carrier as previous_flight_month,
        lag(mean_arrival_delay_minutes) over by_carrier as previous_mean_arrival_delay_minutes,
        rank() over (partition by flight_month order by mean_arrival_delay_minutes desc nulls last)
            as delay_rank
    from by_month
    window by_carrier as (partition by carrier_id order by flight_month)
)

select
    compared.carrier_id || '-' || to_char(compared.flight_month, 'YYYY-MM') as carrier_month_id,
    compared.carrier_id,
    airlines.carrier_name,
    compared.flight_month,
    compared.flights,
    compared.cancelled_flights,
    compared.arrived_flights,
    compared.arrival_unrecorded_flights,
    compared.mean_departure_delay_minutes,
    compared.mean_arrival_delay_minutes,
    -- A carrier can pause for months; only the calendar month before is a fair comparison.
    case
        when compared.previous_flight_month = compared.flight_month - interval '1 month'
            then compared.mean_arrival_delay_minutes - compared.previous_mean_arrival_delay_minutes
    end as mean_arrival_delay_change_minutes,
    compared.share_cancelled,
    compared.share_late_15,
    case when compared.arrived_flights > 0 then compared.delay_rank end as arrival_delay_rank
from compared
left join {{ ref('stg_flights__airlines') }} as airlines
    on compared.carrier_id = airlines.carrier_id
