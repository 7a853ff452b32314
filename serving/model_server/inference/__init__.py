"""Inference on arrays: checks of a request against a signature, and the policy by which signatures run."""
