-- Master keys that ever wrapped a data key here, with the number of secrets each wraps now, also deleted ones; oldest first.
SELECT k.key_version, k.key_id, k.first_used_at, k.retired_at, count(c.credential_id) AS credentials
FROM optiinfra.master_keys AS k
LEFT JOIN optiinfra.sealed_keys AS c USING (key_id)
WHERE %(key_id)s::text IS NULL OR k.key_id = %(key_id)s
GROUP BY k.key_version
ORDER BY k.key_version
