-- Select list: why an account cannot be read, or else why the newest of its failing billing periods could not be collected.
coalesce(
    last_error,
    (
        SELECT billing_period || ': ' || error
        FROM optiinfra.slice_state AS failing (failing_account_id)
        WHERE failing_account_id = account_id AND is_failing
        ORDER BY billing_period DESC
        LIMIT 1
    )
) AS last_error
