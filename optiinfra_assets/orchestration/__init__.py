"""Everything that Dagster runs: assets, checks, partitions, schedules, sensors."""
