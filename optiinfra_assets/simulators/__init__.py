"""Sources of invented data that speak like real ones, for the demo and the tests. Everything they make says "simulated"."""
