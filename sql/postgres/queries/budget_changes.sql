-- The changes of some budgets, the newest first.
SELECT budget_id, at, author_name, name, definition
FROM optiinfra.budget_changes
WHERE budget_changes.customer_id = %(customer_id)s AND budget_id = ANY(%(budget_ids)s)
ORDER BY id DESC
