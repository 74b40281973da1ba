-- When the invoices of each account and period were asked for; null account ids select all.
SELECT account_id, billing_period, tried_at, checked_at, error
FROM optiinfra.invoice_checks
WHERE %(account_ids)s::text[] IS NULL OR account_id = ANY (%(account_ids)s)
