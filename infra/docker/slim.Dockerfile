# The worker image for CPUs: generation on the bundled model, scoring, settlement, and every other `tessera` command.
# Build from the top of the checkout: docker build -f infra/docker/slim.Dockerfile -t tessera:slim .

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
# The lock: a release that was replaced, or a file that is not the one that was looked at, is not installed. Only wheels,
# since what builds a source archive would be fetched without a hash.
COPY infra/requirements/hashed/worker.txt infra/requirements/hashed/worker.txt
RUN python -m venv /opt/tessera \
    && /opt/tessera/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
        -r infra/requirements/hashed/worker.txt
COPY pyproject.toml README.md LICENSE tessera_auction.py ./
COPY schemas schemas
COPY workers workers
RUN /opt/tessera/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tessera \
    && install --directory --owner=tessera --group=tessera /var/lib/tessera
COPY --from=build /opt/tessera /opt/tessera
# Nothing is written at run time (no bytecode, no caches) but settled ids, for which a volume can be mounted at
# /var/lib/tessera, so the root file system can be read-only.
ENV PATH=/opt/tessera/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TESSERA_STATE_FOLDER=/var/lib/tessera/ids
USER 10001:10001
# Exec form: the worker gets SIGTERM itself, as process 1 or from an init before it.
ENTRYPOINT ["tessera"]
CMD ["--help"]
