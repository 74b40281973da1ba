-- Stores a budget, new or changed, and writes who did that to its history and to the audit log.
WITH saved AS (
    INSERT INTO optiinfra.budgets (budget_id, customer_id, name, definition, created_at, changed_at)
    VALUES (%(budget_id)s, %(customer_id)s, %(name)s, %(definition)s, %(now)s, %(now)s)
    ON CONFLICT (budget_id) DO UPDATE
    SET name = excluded.name, definition = excluded.definition, changed_at = excluded.changed_at
    RETURNING budget_id, customer_id, name, definition, created_at, changed_at
),

noted AS (
    INSERT INTO optiinfra.budget_changes (budget_id, customer_id, at, author, author_name, name, definition)
    VALUES (%(budget_id)s, %(customer_id)s, %(now)s, %(actor)s, %(author_name)s, %(name)s, %(definition)s)
)

SELECT * FROM saved
WHERE optiinfra.note_view(%(actor)s, %(origin)s, 'save_budget', customer_id, name, %(detail)s) IS NOT NULL
