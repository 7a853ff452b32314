"""Studies: one file per experiment of the courses."""
