-- Active accounts of some providers that may be probed now, those that waited longest first; null account ids select all,
-- and `is_new` those that nobody has probed.
-- What a clock recorded which was ahead by more than the skew counts as unknown.
SELECT account_id, customer_id, provider, settings, is_simulated, settings_by_operator, secrets_by_operator
FROM optiinfra.accounts
WHERE status = 'active'
    AND provider = ANY (%(providers)s::text[])
    AND (%(account_ids)s::text[] IS NULL OR account_id = ANY (%(account_ids)s::text[]))
    AND (NOT %(is_new)s OR probe_tried_at IS NULL)
    AND (probe_not_before IS NULL OR probe_not_before <= %(at)s OR probe_tried_at > %(at)s + %(skew)s::interval)
ORDER BY CASE WHEN probe_tried_at <= %(at)s + %(skew)s::interval THEN probe_tried_at END NULLS FIRST, account_id
