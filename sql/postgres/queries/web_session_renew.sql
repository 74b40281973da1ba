-- Moves the end of a session on because it is used, up to its last end. Both ends come nearer if a clock set them that was ahead.
UPDATE optiinfra.web_sessions
SET expires_at = least(ends_at, now() + %(lasts)s), ends_at = least(ends_at, now() + %(at_most)s) WHERE secret_hash = %(secret_hash)s
