# The worker image for NVIDIA GPUs: every `tessera` command, with vLLM 0.32.0 for the stages that ask a language model.
# Build from the top of the checkout: docker build -f infra/docker/vllm-gpu.Dockerfile -t tessera:vllm-gpu .
# CUDA's libraries come with the wheels; the machine has the driver and NVIDIA's container toolkit.

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
# The lock, for x86-64: its gigabytes stay cached while the code changes.
COPY infra/requirements/hashed/vllm-gpu.txt infra/requirements/hashed/vllm-gpu.txt
RUN python -m venv /opt/tessera \
    && /opt/tessera/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
        -r infra/requirements/hashed/vllm-gpu.txt
COPY pyproject.toml README.md LICENSE tessera_auction.py ./
COPY schemas schemas
COPY workers workers
RUN /opt/tessera/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
# Triton compiles the launchers of its kernels when vLLM starts.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tessera \
    && install --directory --owner=tessera --group=tessera /var/cache/tessera
COPY --from=build /opt/tessera /opt/tessera
# What is compiled stays in HOME: give it a volume, and the next start is quicker. The rest can be read-only.
ENV PATH=/opt/tessera/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/var/cache/tessera \
    TORCHINDUCTOR_CACHE_DIR=/var/cache/tessera/torchinductor \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
ENTRYPOINT ["tessera"]
CMD ["--help"]
