-- Deletes records of acts on customers and tokens before an instant.
DELETE FROM optiinfra.access_audit_log WHERE at < %(before)s
RETURNING id
