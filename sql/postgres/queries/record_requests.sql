-- Adds requests of some accounts to those of the same UTC day and purpose.
INSERT INTO optiinfra.provider_requests AS known (account_id, day, purpose, requests, cost)
SELECT account_id, (%(at)s::timestamptz AT TIME ZONE 'UTC')::date, %(purpose)s, requests, cost
FROM unnest(%(accounts)s::text[], %(requests)s::bigint[], %(costs)s::numeric[]) AS one (account_id, requests, cost)
ON CONFLICT (account_id, day, purpose) DO UPDATE
SET requests = known.requests + excluded.requests, cost = known.cost + excluded.cost
