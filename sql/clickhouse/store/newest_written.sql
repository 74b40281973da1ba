-- The highest number of a generation that has rows in one of our tables (whose names match), published or not; 0 if none has.
SELECT max(generation) FROM merge(currentDatabase(), {tables:String})
