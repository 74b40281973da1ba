-- Adds a row to the audit log; for a probe only if no row of the same UTC day is equal, because an account is probed 96 times a day.
INSERT INTO optiinfra.credential_audit_log
    (actor, origin, action, outcome, customer_id, account_id, credential_id, version, key_id, purpose, run_id, detail)
SELECT
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
WHERE %(purpose)s::text IS DISTINCT FROM 'probe' OR NOT EXISTS (
    SELECT FROM optiinfra.credential_audit_log
    WHERE purpose = 'probe'
        AND account_id = %(account_id)s
        AND at >= date_trunc('day', clock_timestamp(), 'UTC')
        AND (actor, origin, action, outcome, credential_id, version, key_id)
        = (%(actor)s, %(origin)s, %(action)s, %(outcome)s, %(credential_id)s, %(version)s, %(key_id)s)
        AND run_id IS NOT DISTINCT FROM %(run_id)s
        AND detail IS NOT DISTINCT FROM %(detail)s
)
