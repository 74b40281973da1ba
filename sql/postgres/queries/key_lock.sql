-- Waits until no data key is being wrapped by a master key, and prevents it until the transaction ends.
SELECT key_id FROM optiinfra.master_keys WHERE key_id = %(key_id)s FOR UPDATE
