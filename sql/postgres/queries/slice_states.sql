-- Slices of active accounts; a null filter selects all.
SELECT
    -- include: slice_columns
-- include: slices_of_active_accounts
    -- include: slice_filters
ORDER BY account_id, billing_period
