-- Deletes records of acts on credentials before an instant.
DELETE FROM optiinfra.credential_audit_log WHERE at < %(before)s
RETURNING id
