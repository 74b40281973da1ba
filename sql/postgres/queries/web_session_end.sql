-- Ends a session.
DELETE FROM optiinfra.web_sessions WHERE secret_hash = %(secret_hash)s AND kind = 'session'
