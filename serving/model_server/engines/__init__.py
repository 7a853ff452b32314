"""Engines that run signatures: onnxruntime, TensorFlow, TensorFlow Lite."""
