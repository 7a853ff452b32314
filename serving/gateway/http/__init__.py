"""HTTP around the inference requests: middleware, authentication, rate limits, admission, bodies and responses."""
