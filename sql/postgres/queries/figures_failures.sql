-- Grain: provider x fault. For /metrics: failing slices of active accounts, and since when the first of them has been failing.
SELECT provider, fault, count(*) AS slices, min(failed_since) AS since
-- include: slices_of_active_accounts
    AND is_failing
GROUP BY provider, fault
