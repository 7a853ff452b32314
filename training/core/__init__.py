"""Training jobs and the pipeline: load, fit, evaluate, gate, export, publish."""
