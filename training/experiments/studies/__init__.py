"""Experiments of the courses, one file each."""
