"""Storage behind the model registry: a local folder or an object store."""
