"""Encoded picture → tensor, shared by training and serving."""
