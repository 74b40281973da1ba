-- Records that the invoices of an account and period were asked for, and why that failed; a null error says that the source answered.
INSERT INTO optiinfra.invoice_checks (account_id, billing_period, tried_at, checked_at, error)
VALUES (%(account_id)s, %(billing_period)s, %(at)s, CASE WHEN %(error)s::text IS NULL THEN %(at)s::timestamptz END, %(error)s)
ON CONFLICT ON CONSTRAINT invoice_checks_pkey DO UPDATE
SET tried_at = excluded.tried_at, checked_at = coalesce(excluded.checked_at, invoice_checks.checked_at), error = excluded.error
