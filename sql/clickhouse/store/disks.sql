-- The disks of the server, with bytes that are free and in all. Object stores, which state no size, are left out.
SELECT name, path, free_space, total_space
FROM system.disks
WHERE total_space > 0 AND total_space < 1152921504606846976
