-- Due slices that no task collects or will collect: the seen token differs from the collected one or a failure stands, no wait after a
-- failure with the same token is left, and no task has the slice open, except this task itself as long as no run took the slice.
-- A wait that a clock recorded which was ahead by more than the skew is over.
SELECT accounts.customer_id, accounts.provider, account_id, billing_period, seen_token, line_items
-- include: slices_of_active_accounts
    AND accounts.provider = ANY (%(providers)s::text[])
    AND (%(account_ids)s::text[] IS NULL OR account_id = ANY (%(account_ids)s::text[]))
    AND seen_token IS NOT NULL AND (seen_token IS DISTINCT FROM collected_token OR is_failing)
    AND (failed_token IS DISTINCT FROM seen_token OR retry_at <= %(at)s OR failed_at > %(at)s + %(skew)s::interval)
    AND NOT EXISTS (
        SELECT FROM optiinfra.collection_history AS history
        WHERE history.account_id = slice_state.account_id
            AND history.billing_period = slice_state.billing_period
            AND history.ended_at IS NULL
            AND NOT (history.task_id = %(task_id)s AND history.run_id IS NULL)
    )
ORDER BY account_id, billing_period
