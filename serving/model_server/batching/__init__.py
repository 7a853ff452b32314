"""Dynamic batching as in TensorFlow Serving: parameters, queues, and the scheduler that runs the batches."""
