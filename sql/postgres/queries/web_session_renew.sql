-- Moves the end of a session on because it is used, up to its last end.
UPDATE optiinfra.web_sessions SET expires_at = least(ends_at, now() + %(lasts)s) WHERE secret_hash = %(secret_hash)s
