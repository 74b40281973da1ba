-- One more line in the log.
INSERT INTO optiinfra.credential_audit_log
    (actor, origin, action, outcome, customer_id, account_id, credential_id, version, key_id, purpose, run_id, detail)
VALUES
    (
        %(actor)s,
        %(origin)s,
        %(action)s,
        %(outcome)s,
        %(customer_id)s,
        %(account_id)s,
        %(credential_id)s,
        %(version)s,
        %(key_id)s,
        %(purpose)s,
        %(run_id)s,
        %(detail)s
    )
