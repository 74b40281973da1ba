-- Adds the requests of days before an instant to those of the day 1970-01-01, by account and purpose, so that their sum stays.
WITH gone AS (
    DELETE FROM optiinfra.provider_requests
    WHERE day < (%(before)s::timestamptz AT TIME ZONE 'UTC')::date AND day > 'epoch'
    RETURNING account_id, purpose, requests, cost
), added AS (
    INSERT INTO optiinfra.provider_requests AS known (account_id, day, purpose, requests, cost)
    SELECT account_id, 'epoch', purpose, sum(requests), sum(cost) FROM gone GROUP BY account_id, purpose
    ON CONFLICT (account_id, day, purpose) DO UPDATE
    SET requests = known.requests + excluded.requests, cost = known.cost + excluded.cost
)
SELECT account_id FROM gone
