# The analytics server, the example bot and what prepares the other containers. Small: without the
# embedded engine, because the store is a server here.
FROM python:3.13.16-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/otel-chat && python -m venv /opt/builder
COPY requirements ./requirements
# No resolver: the lock files are whole
RUN /opt/otel-chat/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement requirements/image.lock \
    && /opt/builder/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement requirements/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY otel_chat ./otel_chat
COPY docs/runbooks ./docs/runbooks
RUN /opt/builder/bin/python -m build --no-isolation --wheel --outdir /tmp/wheel \
    && /opt/otel-chat/bin/pip install --no-cache-dir --no-deps /tmp/wheel/*.whl

FROM python:3.13.16-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home otel-chat
COPY --from=build /opt/otel-chat /opt/otel-chat
COPY tools /app/tools
WORKDIR /app
ENV PATH=/opt/otel-chat/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 8400
CMD ["otel-chat", "serve"]
