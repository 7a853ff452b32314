"""The models: Source, Loader, Manager and ServerCore, named as in TensorFlow Serving."""
