-- Makes those who queue collections for people wait for each other until the transaction ends: equal requests become one task.
SELECT pg_advisory_xact_lock(hashtextextended('optiinfra: requests for collections', 0))
