-- For: what is due, over all accounts, in every tick of the schedule.
CREATE INDEX slice_state_due ON optiinfra.slice_state (account_id, billing_period)
WHERE seen_token IS NOT NULL AND seen_token IS DISTINCT FROM collected_token
