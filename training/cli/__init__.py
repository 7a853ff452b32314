"""The training commands of `vitrine`."""
