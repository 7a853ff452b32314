"""Compare a candidate with published versions, row by row."""
