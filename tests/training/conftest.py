"""Training tests run TensorFlow itself: it is imported before a module of ours or of Keras meets the stand-in."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from serving.tfs_api.messages import import_tensorflow

import_tensorflow()
