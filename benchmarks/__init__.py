"""Benchmarks of tinygan, run from the checkout: python -m benchmarks [NAME …]."""
