-- Slices of active accounts whose source shows what was not collected; read from the index slice_state_due. A statement of its own:
-- as a parameter of slice_states.sql the condition is not known to the plan that a prepared statement ends up with, which then reads all.
SELECT
    -- include: slice_columns
-- include: slices_of_active_accounts
    AND seen_token IS NOT NULL AND seen_token IS DISTINCT FROM collected_token
    -- include: slice_filters
ORDER BY account_id, billing_period
