-- How far a BACKUP or RESTORE that runs in the background has come. No row: the server was started again meanwhile.
SELECT toString(status) AS status, error, query_id FROM system.backups WHERE id = {id:String}
