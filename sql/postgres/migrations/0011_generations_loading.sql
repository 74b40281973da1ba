-- For: attempts that garbage collection must spare.
CREATE INDEX generations_loading ON optiinfra.generations (started_at) WHERE state = 'loading'
