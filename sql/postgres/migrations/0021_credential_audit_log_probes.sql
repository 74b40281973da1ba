-- For: whether a probe of an account is in the log of today already.
CREATE INDEX credential_audit_log_probes ON optiinfra.credential_audit_log (account_id, at) WHERE purpose = 'probe'
