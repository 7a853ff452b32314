"""FastAPI routes that are not inference: models, drift, health, the OpenAPI document and the page."""
