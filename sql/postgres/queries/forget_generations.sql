-- Deletes some records of attempts to build a generation that began before an instant. Published generations are on record in ClickHouse.
DELETE FROM optiinfra.generations
WHERE generation IN (
    SELECT generation FROM optiinfra.generations WHERE started_at < %(before)s ORDER BY generation LIMIT %(most)s
)
RETURNING generation
