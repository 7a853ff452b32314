"""The Open Inference Protocol v2 (KServe, Triton, …): tensors in and out, by HTTP or gRPC.

``infer.py`` answers inference requests. ``model_reports.py`` makes all other documents; ``http_routes.py`` returns them
as JSON, ``grpc_routes.py`` as messages.
"""
