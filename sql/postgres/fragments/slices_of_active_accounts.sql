-- FROM and WHERE: slices that may be collected.
-- Included by: slice_states.sql, due_slices.sql, slices_to_collect.sql, figures_slices.sql. Parameters: none.
FROM optiinfra.slice_state
JOIN optiinfra.accounts USING (account_id)
WHERE accounts.status = 'active'
