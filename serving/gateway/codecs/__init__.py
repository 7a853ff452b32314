"""Bytes to arrays and arrays to bytes, one format for each module; ``body.py`` chooses by content type."""
