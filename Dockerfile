# Two images, each with one static binary and no shell: the operator's (target `operator`, the default) also has the public certificate
# authorities; the emulator's (target `emulator`) is for trials only. docker and buildah both build them:
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg RUST_IMAGE=<image by digest> --target operator -t <repository>:<version> .
# RUST_IMAGE is docker.io/library/rust:1.95.0-slim-bookworm@sha256:<digest>; `docker buildx imagetools inspect` shows the digest of a tag.
# A tag alone is refused, because what it names can change. hack/image passes an image of the local store where no registry can be reached.
# For a build that is reproducible to the byte, give docker --output type=…,rewrite-timestamp=true with SOURCE_DATE_EPOCH=0, or buildah
# --timestamp 0.
ARG RUST_IMAGE

FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS source
ARG RUST_IMAGE
RUN case "$RUST_IMAGE" in *@sha256:*|localhost/*) ;; *) echo "RUST_IMAGE: $RUST_IMAGE has no digest. Pass it as NAME@sha256:…" >&2; exit 1 ;; esac
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY tests/harness tests/harness
COPY src src
COPY hack/build-static hack/build-static

FROM source AS build-operator
ARG TARGETARCH
RUN hack/build-static provident-operator "${TARGETARCH:-$(uname -m)}" /out && \
    install -D -m 0444 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt && \
    find /out -exec touch -h -d @0 {} +

FROM source AS build-emulator
ARG TARGETARCH
RUN hack/build-static provident-emulator "${TARGETARCH:-$(uname -m)}" /out && find /out -exec touch -h -d @0 {} +

FROM scratch AS emulator
ARG VERSION=0.1.0
ARG REVISION
LABEL org.opencontainers.image.title="provident-emulator" \
      org.opencontainers.image.description="Emulates the Provident API for trials and tests. It is not the vendor" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build-emulator /out/ /
USER 65532:65532
EXPOSE 8090
ENTRYPOINT ["/provident-emulator"]

FROM scratch AS operator
ARG VERSION=0.1.0
ARG REVISION
LABEL org.opencontainers.image.title="provident-operator" \
      org.opencontainers.image.description="Manages OAuth 2.0 clients in the Provident API, and the Secrets with their credentials" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build-operator /out/ /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# Numeric, because runAsNonRoot cannot check a name.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/provident-operator"]
CMD ["run"]
