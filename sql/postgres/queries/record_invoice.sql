-- Writes to the audit log that somebody recorded an invoice of an account; detail says which.
SELECT optiinfra.note_view(%(actor)s, %(origin)s, 'record_invoice', %(customer_id)s, %(account_id)s, %(detail)s) AS name
