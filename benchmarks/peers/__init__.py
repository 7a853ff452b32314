"""The other servers of the side-by-side measurement, one file each: POST /predict with a PNG, JSON answers."""
