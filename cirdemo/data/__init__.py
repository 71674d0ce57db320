"""Datasets: drawn worlds, benchmarks, folders."""
