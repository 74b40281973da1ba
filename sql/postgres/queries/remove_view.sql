-- Removes a saved view and writes that to the audit log.
WITH removed AS (
    DELETE FROM optiinfra.saved_views
    WHERE view_id = %(view_id)s AND customer_id = %(customer_id)s
    RETURNING customer_id, name
)

INSERT INTO optiinfra.access_audit_log (actor, origin, action, customer_id, name)
SELECT %(actor)s, %(origin)s, 'remove_view', customer_id, name FROM removed
