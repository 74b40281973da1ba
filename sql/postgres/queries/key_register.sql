-- Registers a master key. Checking before the insert keeps key versions without gaps.
INSERT INTO optiinfra.master_keys (key_id)
SELECT %(key_id)s
WHERE NOT EXISTS (SELECT FROM optiinfra.master_keys WHERE key_id = %(key_id)s)
ON CONFLICT (key_id) DO NOTHING
