"""Metrics, tracing, logging and drift of the gateway."""
