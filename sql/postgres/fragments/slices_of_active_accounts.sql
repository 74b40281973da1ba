-- FROM and WHERE: slices that may be collected.
FROM optiinfra.slice_state
JOIN optiinfra.accounts USING (account_id)
WHERE accounts.status = 'active'
