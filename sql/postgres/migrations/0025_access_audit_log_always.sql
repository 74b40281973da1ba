-- Also in sessions that set session_replication_role = replica, which lets ordinary triggers sleep.
ALTER TABLE optiinfra.access_audit_log ENABLE ALWAYS TRIGGER append_only
