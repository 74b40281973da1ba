-- Accounts with their last probes; a null filter selects all.
SELECT
    account_id,
    customer_id,
    provider,
    settings,
    is_simulated,
    settings_by_operator,
    secrets_by_operator,
    status,
    created_at,
    last_probe_at,
    last_change_at,
    probe_tried_at,
    probe_not_before,
    -- include: last_error
FROM optiinfra.accounts
WHERE (%(customer_id)s::text IS NULL OR customer_id = %(customer_id)s)
    AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    AND (%(account_id)s::text IS NULL OR account_id = %(account_id)s)
    AND (%(include_disabled)s OR status = 'active')
ORDER BY account_id
