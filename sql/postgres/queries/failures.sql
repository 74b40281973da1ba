-- Grain: a failing probe of an active account (billing_period is null), or a failing slice of one. By account, probes first, then newest
-- periods first; a null filter selects all.
SELECT accounts.customer_id, accounts.provider, account_id, billing_period, message, fault, since, retry_at, failures
FROM (
    SELECT account_id, billing_period, error AS message, fault, failed_since AS since, retry_at, failures
    FROM optiinfra.slice_state
    WHERE is_failing
    UNION ALL
    SELECT
        account_id,
        NULL,
        last_error,
        coalesce(last_error_fault, 'platform'),
        coalesce(last_error_since, probe_tried_at, created_at),
        probe_not_before,
        NULL
    FROM optiinfra.accounts
    WHERE last_error IS NOT NULL
) AS failed
JOIN optiinfra.accounts USING (account_id)
WHERE accounts.status = 'active'
    -- include: slice_filters
ORDER BY account_id, billing_period DESC NULLS FIRST
