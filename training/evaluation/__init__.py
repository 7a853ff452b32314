"""Metrics and plots of fitted models."""
