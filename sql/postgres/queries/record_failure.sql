-- Records that the collection of a slice failed at an instant, as often in a row as it is now, and when the schedule tries it again: at
-- once the first time if first_pause is zero, else after a pause that doubles up to longest_pause, and not before until. The schedule does
-- not wait if a probe sees another token than the one that the collection started with.
UPDATE optiinfra.slice_state AS failed
SET error = %(error)s,
    fault = %(fault)s,
    failed_since = CASE WHEN failures = 0 THEN %(at)s ELSE failed_since END,
    failures = failures + 1,
    failed_at = %(at)s,
    failed_token = CASE WHEN pause.next > %(at)s THEN tried_token END,
    retry_at = pause.next
FROM (
    SELECT
        account_id AS of_account,
        billing_period AS of_period,
        greatest(
            %(until)s::timestamptz,
            %(at)s::timestamptz + CASE
                WHEN failures = 0 THEN %(first_pause)s::interval
                ELSE least(%(pause)s::interval * power(2, least(failures, 20)), %(longest_pause)s::interval)
            END
        ) AS next
    FROM optiinfra.slice_state
    WHERE account_id = %(account_id)s AND billing_period = %(billing_period)s
    FOR UPDATE
) AS pause
WHERE account_id = pause.of_account AND billing_period = pause.of_period
