-- Copy into the archive the publications of generations that were recorded as removed before the grace period began, whose rows are gone.
-- Those that are there already stay as they are, so this can be repeated after a run that died.
INSERT INTO archived_publications
SELECT *, {now:DateTime64(6, 'UTC')} AS archived_at
FROM publications
WHERE generation NOT IN (SELECT generation FROM archived_publications)
    AND generation IN (
        SELECT generation FROM removed_generations WHERE removed_at <= {now:DateTime64(6, 'UTC')} - toIntervalSecond({grace:UInt32})
    )
LIMIT 1 BY generation
