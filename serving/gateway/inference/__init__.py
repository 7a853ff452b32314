"""Inference: validation, dynamic batching, prediction, shadow traffic."""
