"""Sweeps of hyper-parameters, and studies that end in a table and a plot."""
