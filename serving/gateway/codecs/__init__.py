"""From a request's body to tensors: by content type (``payload.py``), then by what the verb takes."""
