-- Adds to the audit log that the secrets of a channel were opened, or why not; once a UTC day for each actor, process and outcome.
INSERT INTO optiinfra.credential_audit_log (
    actor, origin, action, outcome, purpose, customer_id, account_id, credential_id, version, key_id, detail
)
SELECT
    %(actor)s, %(origin)s, 'reveal', %(outcome)s, %(purpose)s, %(customer_id)s, %(account_id)s, %(credential_id)s, %(version)s,
    %(key_id)s, %(detail)s
WHERE NOT EXISTS (
    SELECT FROM optiinfra.credential_audit_log AS said
    WHERE said.account_id = %(account_id)s AND said.at >= date_trunc('day', clock_timestamp(), 'UTC')
        AND (said.actor, said.origin, said.action, said.outcome, said.purpose, said.key_id)
        = (%(actor)s, %(origin)s, 'reveal', %(outcome)s, %(purpose)s, %(key_id)s)
        AND said.detail IS NOT DISTINCT FROM %(detail)s
)
