-- Removes a budget, of which the history stays, and writes who did that to it and to the audit log.
WITH removed AS (
    UPDATE optiinfra.budgets SET removed_at = %(now)s
    WHERE budget_id = %(budget_id)s AND budgets.customer_id = %(customer_id)s AND removed_at IS NULL
    RETURNING budget_id, customer_id, name
)

INSERT INTO optiinfra.budget_changes (budget_id, customer_id, at, author, author_name, name)
SELECT budget_id, customer_id, %(now)s, %(actor)s, %(author_name)s, name FROM removed
WHERE optiinfra.note_view(%(actor)s, %(origin)s, 'remove_budget', customer_id, name, NULL) IS NOT NULL
