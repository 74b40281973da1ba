-- Slices of active accounts; a null filter lets everything through.
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
    AND (%(customer_id)s::text IS NULL OR accounts.customer_id = %(customer_id)s)
    AND (%(provider)s::text IS NULL OR accounts.provider = %(provider)s)
    AND (%(account_id)s::text IS NULL OR account_id = %(account_id)s)
ORDER BY account_id, billing_period
