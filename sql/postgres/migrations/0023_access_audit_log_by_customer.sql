-- For: the log of a customer, newest first, in pages.
CREATE INDEX access_audit_log_by_customer ON optiinfra.access_audit_log (customer_id, id DESC)
