"""What learns: jobs that end in a published version under exports/."""
