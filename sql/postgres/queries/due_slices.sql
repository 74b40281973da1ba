-- Slices of active accounts whose source shows what was not collected; read from the index slice_state_due.
SELECT
    accounts.customer_id,
    accounts.provider,
    account_id,
    billing_period,
    seen_token,
    seen_at,
    collected_token,
    checked_at,
    generation,
    published_at
FROM optiinfra.slice_state
JOIN optiinfra.accounts USING (account_id)
WHERE accounts.status = 'active'
    AND seen_token IS NOT NULL AND seen_token IS DISTINCT FROM collected_token
    AND (%(customer_id)s::text IS NULL OR accounts.customer_id = %(customer_id)s)
    AND (%(provider)s::text IS NULL OR accounts.provider = %(provider)s)
    AND (%(account_id)s::text IS NULL OR account_id = %(account_id)s)
ORDER BY account_id, billing_period
