"""Everything that Dagster runs: assets, partitions, schedules, sensors."""
