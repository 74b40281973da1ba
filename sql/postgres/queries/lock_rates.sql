-- One change of the rates at a time, until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('optiinfra.rates', 0))
