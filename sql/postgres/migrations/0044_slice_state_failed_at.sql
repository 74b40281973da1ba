-- When the collection of a slice failed last: a wait that begins in the future was recorded by a clock that was ahead, and does not count.
ALTER TABLE optiinfra.slice_state ADD COLUMN failed_at timestamptz
