"""From a fitted model to a version directory, and its check."""
