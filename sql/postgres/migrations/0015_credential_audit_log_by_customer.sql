-- For: the log of a customer, newest first, in pages.
CREATE INDEX credential_audit_log_by_customer ON optiinfra.credential_audit_log (customer_id, id DESC)
