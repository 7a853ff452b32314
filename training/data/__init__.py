"""Data sets, one module each, with a synthetic stand-in where the real data may be unavailable."""
