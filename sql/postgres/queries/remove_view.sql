-- Removes a saved view and writes that to the audit log.
DELETE FROM optiinfra.saved_views WHERE view_id = %(view_id)s AND customer_id = %(customer_id)s
RETURNING optiinfra.note_view(%(actor)s, %(origin)s, 'remove_view', customer_id, name, NULL)
