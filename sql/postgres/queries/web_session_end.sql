-- Ends a session, and writes that to the audit log.
DELETE FROM optiinfra.web_sessions WHERE secret_hash = %(secret_hash)s AND kind = 'session'
RETURNING optiinfra.note_sign_in(token_id, %(origin)s, 'sign_out', %(detail)s)
