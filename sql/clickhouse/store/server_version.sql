-- The server's version, and the folder of its data.
SELECT version() AS version, path FROM system.disks WHERE name = 'default'
