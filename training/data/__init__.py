"""Data sets, one module each.

A synthetic stand-in replaces real data that may be unavailable.
"""
