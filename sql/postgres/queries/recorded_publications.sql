-- One row for a customer: the highest generation that is recorded as published, 0 if none is, and whether an attempt may publish another.
SELECT
    coalesce(max(recorded.generation), 0) AS newest,
    EXISTS (
        SELECT
        -- include: live_attempts
            AND accounts.customer_id = %(customer_id)s
    ) AS is_publishing
FROM optiinfra.slice_state AS recorded
WHERE account_id IN (SELECT account_id FROM optiinfra.accounts WHERE customer_id = %(customer_id)s)
