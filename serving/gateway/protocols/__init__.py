"""The APIs for inference requests, one module each; ``dispatch.py`` chooses one by path and body."""
