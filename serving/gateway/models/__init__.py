"""Models and versions: discovery, routing, readiness."""
