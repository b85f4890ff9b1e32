# Two stages on one base: the second takes the finished venv and no build tools.
# Any base with Python 3.11 or newer will do; on a bare Debian 12 Python comes from its packages.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS base
RUN python3 -c 'import ensurepip, venv' 2>/dev/null \
    || { apt-get update && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
         && rm -rf /var/lib/apt/lists/*; }

FROM base AS build
WORKDIR /build
RUN python3 -m venv /opt/homecoming
# Before the sources: a change of ours does not fetch the dependencies again.
COPY requirements.lock ./
RUN /opt/homecoming/bin/python -m pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE homecoming.py ./
COPY consumer ./consumer
COPY metrics ./metrics
COPY state ./state
RUN /opt/homecoming/bin/python -m pip install --no-cache-dir --no-deps .

FROM base
LABEL org.opencontainers.image.title="homecoming" \
      org.opencontainers.image.licenses="GPL-2.0-or-later"
ENV PATH=/opt/homecoming/bin:$PATH \
    PYTHONUNBUFFERED=1
COPY --from=build /opt/homecoming /opt/homecoming
# Relative paths of config.toml start here: certs/ and homecoming-state/ can be mounted beside it.
WORKDIR /var/lib/homecoming
COPY config.toml ./
# The volume begins as a copy of this folder, its owner included.
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/homecoming --shell /usr/sbin/nologin homecoming \
    && install -d -o homecoming -g homecoming homecoming-state
USER 10001
VOLUME /var/lib/homecoming/homecoming-state
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/live', timeout=4)"]
ENTRYPOINT ["homecoming"]
# On all addresses of the container; what of them is published is up to whoever runs it.
CMD ["consume", "--config", "config.toml", "--listen", "0.0.0.0:8000"]
