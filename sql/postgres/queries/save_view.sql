-- Stores a view, new or in the place of one with the same id, and writes that to the audit log with the name it had.
WITH replaced AS (
    SELECT name FROM optiinfra.saved_views WHERE view_id = %(view_id)s
)

INSERT INTO optiinfra.saved_views (view_id, customer_id, name, path, author, author_name)
VALUES (%(view_id)s, %(customer_id)s, %(name)s, %(path)s, %(author)s, %(author_name)s)
ON CONFLICT (view_id) DO UPDATE SET name = excluded.name, path = excluded.path, saved_at = now()
RETURNING
    view_id,
    customer_id,
    optiinfra.note_view(%(actor)s, %(origin)s, 'save_view', customer_id, name, (SELECT name FROM replaced)) AS name,
    path,
    author,
    author_name,
    saved_at
