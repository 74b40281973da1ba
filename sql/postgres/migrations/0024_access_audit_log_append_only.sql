-- By statement, so that also one that would change no row is refused.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON optiinfra.access_audit_log
FOR EACH STATEMENT EXECUTE FUNCTION optiinfra.refuse_change()
