"""Deployment of training jobs."""
