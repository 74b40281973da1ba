-- For: the log of an account, newest first, in pages.
CREATE INDEX credential_audit_log_by_account ON optiinfra.credential_audit_log (account_id, id DESC)
