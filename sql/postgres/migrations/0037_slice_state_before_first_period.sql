-- Billing periods before the first that is accepted were stored when an account was connected, and were due for ever.
DELETE FROM optiinfra.slice_state WHERE billing_period < '2020-01' AND collected_token IS NULL AND generation IS NULL
