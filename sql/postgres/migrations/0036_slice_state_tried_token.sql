-- tried_token: what the source was seen to have when the last collection began; if that fails, it becomes failed_token.
ALTER TABLE optiinfra.slice_state ADD COLUMN tried_token text
