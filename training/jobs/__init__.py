"""One file for each system of the courses, readable on its own from top to bottom."""
