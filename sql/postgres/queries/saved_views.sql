-- The saved views of a customer, by name.
SELECT view_id, customer_id, name, path, author, author_name, saved_at
FROM optiinfra.saved_views
WHERE customer_id = %(customer_id)s
ORDER BY lower(name), name
