-- Slices of active accounts; a null filter lets everything through.
-- Includes: slice_columns, slices_of_active_accounts, slice_filters.
SELECT
    -- include: slice_columns
-- include: slices_of_active_accounts
    -- include: slice_filters
ORDER BY account_id, billing_period
