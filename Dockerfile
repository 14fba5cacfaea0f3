# syntax=docker/dockerfile:1
# Based on plain Debian, so that the image can be rebuilt from packages anywhere.
# A package index of your own: docker build --secret id=pip.conf,src=…
FROM debian:trixie-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# /build makes the programs, /app gets them: only wheels that the lock names by hash, and no pip.
RUN python3 -m venv /build && python3 -m venv --without-pip /app
COPY requirements.lock ./
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    /build/bin/pip --python /app install --no-cache-dir --disable-pip-version-check --only-binary :all: \
    --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY recorder recorder
COPY storage storage
COPY api api
# Then what only building needed goes, and the ffmpeg that Debian keeps mended instead.
RUN PIP="/build/bin/pip --python /app --disable-pip-version-check" \
    && $PIP install --no-cache-dir --no-build-isolation --no-deps --no-index . \
    && $PIP uninstall --yes --quiet editables hatchling pathspec pluggy tomlkit trove-classifiers \
    && $PIP check \
    && rm -f /app/lib/python3*/site-packages/imageio_ffmpeg/binaries/ffmpeg*

FROM debian:trixie-slim
LABEL org.opencontainers.image.title="recorder" \
      org.opencontainers.image.description="Records calls only after a yes, keeps them sealed for 90 days, and makes them gone, provably" \
      org.opencontainers.image.licenses="Apache-2.0"
# Debian's ffmpeg asks for a screen's drivers, which nothing here ever loads: 200 MB.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates ffmpeg python3 \
    && dpkg --purge --force-depends libgl1-mesa-dri mesa-libgallium libllvm19 libz3-4 \
    && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin recorder \
    && install -d -o recorder -g recorder -m 0700 /data
COPY --from=build /app /app
# Nothing is written but /data, and what a library may want in /tmp: run it with a read-only root.
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    RECORDER_DATA_DIR=/data RECORDER_HTTP__HOST=0.0.0.0
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["recorder", "health"]
ENTRYPOINT ["recorder"]
CMD ["serve"]
