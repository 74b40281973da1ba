-- The budgets of a customer by name, or the one of an id; removed ones are left out.
SELECT budget_id, customer_id, name, definition, created_at, changed_at
FROM optiinfra.budgets
WHERE
    budgets.customer_id = %(customer_id)s AND removed_at IS NULL
    AND (%(budget_id)s::text IS NULL OR budget_id = %(budget_id)s)
    AND (%(after)s::text IS NULL OR (name, budget_id) > (%(after)s, %(after_id)s))
ORDER BY name, budget_id
LIMIT %(most)s
