-- Slices of active accounts whose source has uncollected data; read from the index slice_state_due. A separate statement: the plan of
-- a prepared statement does not know the value of a parameter, so with the condition in slice_states.sql it would read all slices.
SELECT
    -- include: slice_columns
-- include: slices_of_active_accounts
    AND seen_token IS NOT NULL AND seen_token IS DISTINCT FROM collected_token
    -- include: slice_filters
ORDER BY account_id, billing_period
