-- Deletes some occasions of before an instant that no message tells any more.
DELETE FROM optiinfra.alert_occasions WHERE occasion_id IN (
    SELECT o.occasion_id FROM optiinfra.alert_occasions AS o
    WHERE o.found_at < %(before)s AND NOT EXISTS (SELECT FROM optiinfra.alert_outbox AS x WHERE x.occasion_id = o.occasion_id)
    LIMIT %(most)s
) RETURNING occasion_id
