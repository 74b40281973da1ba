-- Grain: account of a customer that has due periods, is disabled, was never probed, or has a recorded instant (reached).
-- due: billing periods of active accounts whose source has uncollected data; due_since: since when each is due.
SELECT
    accounts.account_id,
    accounts.provider,
    accounts.status <> 'active' AS is_disabled,
    accounts.status = 'active' AND accounts.last_probe_at IS NULL AND slices.known = 0 AS is_unknown,
    slices.due,
    slices.due_since,
    slices.reached
FROM optiinfra.accounts
CROSS JOIN LATERAL (
    SELECT
        count(*) AS known,
        max(reached) AS reached,
        coalesce(array_agg(billing_period) FILTER (WHERE is_due), '{}') AS due,
        coalesce(array_agg(seen_at) FILTER (WHERE is_due), '{}') AS due_since
    FROM (
        SELECT
            billing_period,
            seen_at,
            reached,
            accounts.status = 'active' AND seen_token IS NOT NULL AND seen_token IS DISTINCT FROM collected_token AS is_due
        FROM optiinfra.slice_state
        WHERE slice_state.account_id = accounts.account_id
    ) AS one
) AS slices
WHERE accounts.customer_id = %(customer_id)s
    AND (
        accounts.status <> 'active'
        OR (accounts.last_probe_at IS NULL AND slices.known = 0)
        OR slices.reached IS NOT NULL
        OR slices.due <> '{}'
    )
