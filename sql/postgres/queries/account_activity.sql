-- Accounts of a customer by id, with their probes, publications and requests so far; a null account id starts at the first.
SELECT
    accounts.account_id,
    accounts.provider,
    accounts.status,
    accounts.is_simulated,
    accounts.created_at,
    accounts.last_probe_at,
    accounts.last_change_at,
    -- include: last_error,
    accounts.probe_not_before,
    slices.last_published_at,
    slices.last_checked_at,
    coalesce(slices.known, 0) AS known_periods,
    coalesce(slices.due, 0) AS due_periods,
    coalesce(asked.requests, 0) AS requests,
    coalesce(asked.cost, 0) AS request_cost
FROM optiinfra.accounts
LEFT JOIN LATERAL (
    SELECT
        max(published_at) AS last_published_at,
        max(checked_at) AS last_checked_at,
        count(*) AS known,
        count(*) FILTER (WHERE seen_token IS NOT NULL AND seen_token IS DISTINCT FROM collected_token) AS due
    FROM optiinfra.slice_state
    WHERE slice_state.account_id = accounts.account_id
) AS slices ON true
LEFT JOIN LATERAL (
    SELECT sum(requests)::bigint AS requests, sum(cost) AS cost
    FROM optiinfra.provider_requests
    WHERE provider_requests.account_id = accounts.account_id
) AS asked ON true
WHERE accounts.customer_id = %(customer_id)s
    AND (%(provider)s::text IS NULL OR accounts.provider = %(provider)s)
    AND (%(account_id)s::text IS NULL OR accounts.account_id = %(account_id)s)
    AND (%(after)s::text IS NULL OR accounts.account_id > %(after)s)
ORDER BY accounts.account_id
LIMIT %(first)s
