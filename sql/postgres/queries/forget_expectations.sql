-- Removes what was expected of days that are older than `oldest`, and by then was judged again.
DELETE FROM optiinfra.expectations AS old
WHERE
    old.customer_id = %(customer_id)s
    AND (
        old.charge_date < %(oldest)s::date
        OR old.judged_at < %(oldest)s AND EXISTS (
            SELECT 1 FROM optiinfra.expectations AS newer
            WHERE newer.customer_id = old.customer_id AND newer.charge_date = old.charge_date AND newer.judged_at > old.judged_at
        )
    )
