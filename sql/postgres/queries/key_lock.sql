-- Wait until nothing is being wrapped by a master key, and keep it so to the end of the transaction.
SELECT key_id FROM optiinfra.master_keys WHERE key_id = %(key_id)s FOR UPDATE
