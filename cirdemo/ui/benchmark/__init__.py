"""The Benchmark tab: evaluations, their figures, failures and calibration."""
