"""Training jobs: one file per system of the courses, readable from top to bottom."""
