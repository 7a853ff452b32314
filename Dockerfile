# syntax=docker/dockerfile:1
# The programs of Vitrine, one target each:
#   docker build --target server|gateway|embedded-server|sync|trainer|trainer-gpu|ray-worker|model-server|model-server-gpu .
# All but the last two and trainer-gpu build for amd64 and arm64. model-server is based on TensorFlow Serving's image,
# which exists for amd64 only: on Arm run embedded-server instead, with the same arguments.
# Base images by digest, and builds that give the same bytes again: docs/operations/supply-chain.md.
ARG PYTHON=docker.io/library/python:3.11-slim-bookworm
ARG DISTROLESS=gcr.io/distroless/python3-debian12:nonroot
ARG TENSORFLOW_SERVING=docker.io/tensorflow/serving:2.21.0
ARG TENSORFLOW_SERVING_GPU=docker.io/tensorflow/serving:2.21.0-gpu

# ---- packages from the lock files, in a folder for any Python 3.11. A changed lock rebuilds its own image only.
FROM ${PYTHON} AS build
COPY requirements/install-packages requirements/precompile /usr/local/bin/
RUN mkdir /keys

FROM build AS packages-gateway
COPY requirements/gateway.lock /requirements/
RUN --mount=type=cache,target=/root/.cache/pip install-packages gateway
FROM build AS packages-server
COPY requirements/server.lock /requirements/
RUN --mount=type=cache,target=/root/.cache/pip install-packages server
FROM build AS packages-embedded-server
COPY requirements/embedded-server.lock /requirements/
RUN --mount=type=cache,target=/root/.cache/pip install-packages embedded-server
FROM build AS packages-sync
COPY requirements/sync.lock /requirements/
RUN --mount=type=cache,target=/root/.cache/pip install-packages sync
FROM build AS packages-trainer
COPY requirements/trainer.lock /requirements/
RUN --mount=type=cache,target=/root/.cache/pip install-packages trainer
FROM build AS packages-ray-worker
COPY requirements/ray-worker.lock /requirements/
RUN --mount=type=cache,target=/root/.cache/pip install-packages ray-worker
FROM build AS packages-trainer-gpu
COPY requirements/trainer-gpu.lock /requirements/
RUN --mount=type=cache,target=/root/.cache/pip install-packages trainer-gpu

# ---- the project's own code
FROM build AS code
COPY serving /opt/vitrine/serving
RUN precompile /opt/vitrine
FROM code AS training-code
COPY training /opt/vitrine/training
RUN precompile /opt/vitrine/training

# ---- base of the small programs: Python without a shell or a package manager, unprivileged user
FROM ${DISTROLESS} AS python
ENV PYTHONPATH=/opt/vitrine PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/vitrine
USER 10001:10001

# ---- the gateway: HTTP in front of the model server, without TensorFlow
FROM python AS gateway
LABEL org.opencontainers.image.title="Vitrine gateway" \
      org.opencontainers.image.description="HTTP gateway to TensorFlow Serving for pictures, series, tables and signals"
COPY --from=packages-gateway /opt/vitrine .
COPY --from=code /opt/vitrine/serving serving
# One process for each processor of the container, within its memory limit: docs/operations/workers.md.
ENV VITRINE_WORKERS=auto
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=40s \
    CMD ["/usr/bin/python3.11", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
ENTRYPOINT ["/usr/bin/python3.11", "-m", "serving.gateway"]
CMD ["--host=0.0.0.0", "--models-config=/models/models.config", "--model-server=model-server:8500"]

# ---- everything in one process: the gateway with the embedded engine and the shipped models
FROM python AS server
LABEL org.opencontainers.image.title="Vitrine server" \
      org.opencontainers.image.description="Gateway and models in one container, for hosting platforms too" \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
COPY --from=packages-server /opt/vitrine .
COPY --from=code /opt/vitrine/serving serving
COPY exports serving/shipped/exports
COPY LICENSE NOTICE /licenses/
# A new volume on this folder belongs to the user, who can then write keys.
COPY --from=build --chown=10001:10001 /keys /keys
ENV VITRINE_HOST=0.0.0.0 VITRINE_WORKERS=auto
EXPOSE 8000 8001
HEALTHCHECK --interval=10s --timeout=3s --start-period=40s \
    CMD ["/usr/bin/python3.11", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
ENTRYPOINT ["/usr/bin/python3.11", "-m", "serving.server"]

# ---- the embedded model server, for platforms without TensorFlow Serving's image
FROM python AS embedded-server
LABEL org.opencontainers.image.title="Vitrine embedded model server" \
      org.opencontainers.image.description="TensorFlow Serving's contract on onnxruntime"
COPY --from=packages-embedded-server /opt/vitrine .
COPY --from=code /opt/vitrine/serving serving
EXPOSE 8500 8501
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["/usr/bin/python3.11", "-c", "import socket; socket.create_connection(('127.0.0.1', 8500), 2)"]
ENTRYPOINT ["/usr/bin/python3.11", "-m", "serving.model_server"]
CMD ["--port=8500", "--rest_api_port=8501", "--model_config_file=/models/models.config", \
     "--model_config_file_poll_wait_seconds=1", "--allow_version_labels_for_unavailable_models", \
     "--grpc_max_threads=200", "--enable_serialization_as_tensor_content=true"]

# ---- the sidecar that copies versions from an object store to the pod's volume
FROM python AS sync
LABEL org.opencontainers.image.title="Vitrine exports sync" \
      org.opencontainers.image.description="Copies model versions from s3:// or gs:// to a folder"
COPY --from=packages-sync /opt/vitrine .
COPY --from=code /opt/vitrine/serving serving
ENTRYPOINT ["/usr/bin/python3.11", "-m", "serving.artifacts.sync"]

# ---- training jobs
FROM ${PYTHON} AS training
LABEL org.opencontainers.image.title="Vitrine trainer" \
      org.opencontainers.image.description="Training jobs that end in a published model version"
COPY --from=training-code /opt/vitrine /opt/vitrine
# Data sets, checkpoints and caches go to a mounted volume, because the root file system is read-only.
ENV PYTHONPATH=/opt/vitrine PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 VITRINE_EXPORTS=/var/lib/vitrine/exports \
    KERAS_HOME=/var/lib/vitrine/keras MPLCONFIGDIR=/tmp/matplotlib TF_CPP_MIN_LOG_LEVEL=1
USER 10001:10001
WORKDIR /var/lib/vitrine
ENTRYPOINT ["python3", "-m", "training"]
CMD ["--help"]

FROM training AS trainer
COPY --from=packages-trainer /opt/vitrine /opt/vitrine

FROM training AS trainer-gpu
LABEL org.opencontainers.image.title="Vitrine trainer, CUDA"
COPY --from=packages-trainer-gpu /opt/vitrine /opt/vitrine
ENV TF_FORCE_GPU_ALLOW_GROWTH=true

# ---- head and workers of a Ray cluster for `vitrine score --on ray`; KubeRay starts them with bash and `ray`
FROM ${PYTHON} AS ray-worker
LABEL org.opencontainers.image.title="Vitrine Ray worker" \
      org.opencontainers.image.description="Bulk scoring on Ray Data, without TensorFlow"
COPY --from=packages-ray-worker /opt/vitrine /opt/vitrine
COPY --from=code /opt/vitrine/serving /opt/vitrine/serving
RUN printf '#!/bin/sh\nexec python3 -m ray.scripts.scripts "$@"\n' > /usr/local/bin/ray \
 && printf '#!/bin/sh\nexec python3 -m serving.cli.main "$@"\n' > /usr/local/bin/vitrine \
 && chmod +x /usr/local/bin/ray /usr/local/bin/vitrine
# Ray writes below /tmp alone.
ENV PYTHONPATH=/opt/vitrine PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp RAY_USAGE_STATS_ENABLED=0
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["vitrine"]
CMD ["--help"]

# ---- TensorFlow Serving. The server is process 1, because the image's shell script does not forward SIGTERM.
FROM ${TENSORFLOW_SERVING} AS model-server
LABEL org.opencontainers.image.title="Vitrine model server" \
      org.opencontainers.image.description="TensorFlow Serving 2.21.0, configured for small models"
# Without oneDNN a call with one small picture takes half the time, and a picture of a wrong rank causes an error instead
# of killing the process.
ENV TF_ENABLE_ONEDNN_OPTS=0
COPY k8s/base/model-server/*.config /etc/vitrine/
USER 10001:10001
EXPOSE 8500 8501
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8500"]
ENTRYPOINT ["tensorflow_model_server"]
CMD ["--port=8500", "--rest_api_port=8501", "--model_config_file=/models/models.config", \
     "--model_config_file_poll_wait_seconds=1", "--allow_version_labels_for_unavailable_models", \
     "--num_load_threads=1", "--grpc_max_threads=200", \
     "--enable_serialization_as_tensor_content=true", "--monitoring_config_file=/etc/vitrine/monitoring.config"]

FROM ${TENSORFLOW_SERVING_GPU} AS model-server-gpu
LABEL org.opencontainers.image.title="Vitrine model server, CUDA" \
      org.opencontainers.image.description="TensorFlow Serving 2.21.0 for GPUs, with batching"
ENV TF_FORCE_GPU_ALLOW_GROWTH=true
COPY k8s/base/model-server/*.config /etc/vitrine/
USER 10001:10001
EXPOSE 8500 8501
HEALTHCHECK --interval=10s --timeout=3s --start-period=300s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8500"]
ENTRYPOINT ["tensorflow_model_server"]
CMD ["--port=8500", "--rest_api_port=8501", "--model_config_file=/models/models.config", \
     "--model_config_file_poll_wait_seconds=1", "--allow_version_labels_for_unavailable_models", \
     "--num_load_threads=1", "--grpc_max_threads=200", \
     "--enable_serialization_as_tensor_content=true", "--monitoring_config_file=/etc/vitrine/monitoring.config", \
     "--enable_batching=true", "--batching_parameters_file=/etc/vitrine/batching.config"]
