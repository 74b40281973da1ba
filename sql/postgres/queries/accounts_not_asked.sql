-- Active accounts that nobody tried to probe since an instant, and that no throttling provider keeps from it; those that waited longest first.
SELECT account_id, coalesce(probe_tried_at, created_at) AS since
FROM optiinfra.accounts
WHERE status = 'active' AND coalesce(probe_tried_at, created_at) < %(before)s
    AND (probe_not_before IS NULL OR probe_not_before < %(before)s)
ORDER BY since, account_id
