"""The processes of Dagster, on one machine or on many: webserver, daemon, code location, runs, and the tables that they share.

What is here imports nothing of `embedded`, and takes Dagster's own settings from the ``dagster.yaml`` in DAGSTER_HOME.
"""
