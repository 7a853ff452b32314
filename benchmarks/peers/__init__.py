"""The servers to compare with, one file each."""
