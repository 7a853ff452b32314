"""Training: jobs that end in a published model version under exports/."""
