"""What a training job is, and the pipeline that runs one: load, fit, evaluate, gate, export, publish."""
