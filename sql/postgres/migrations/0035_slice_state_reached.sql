-- reached: the UTC instant that the last successful collection was complete to, whether or not it published something; equal content
-- publishes nothing, and an account that stands still would seem to fall behind.
ALTER TABLE optiinfra.slice_state ADD COLUMN reached timestamptz
