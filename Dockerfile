# One static binary and the public certificate authorities, nothing else. Built by docker and by buildah alike:
#   docker buildx build --platform linux/amd64,linux/arm64 -t <repository>:<version> .
# The base image can come from a local store: --build-arg RUST_IMAGE=…; hack/image does so where no registry can be reached.
# For a build that can be repeated to the byte, pin it by digest, and tell docker --output type=…,rewrite-timestamp=true with
# SOURCE_DATE_EPOCH=0, or buildah --timestamp 0.
ARG RUST_IMAGE=docker.io/library/rust:1.95.0-slim-bookworm

FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS build
ARG TARGETARCH
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY tests/harness tests/harness
COPY src src
# Static glibc instead of musl: its allocator is faster. Since glibc 2.34 its resolver is part of it, and needs no other file than
# the /etc/resolv.conf and /etc/hosts that every pod has.
RUN set -eu; \
    case "${TARGETARCH:-$(uname -m)}" in amd64|x86_64) cpu=x86_64 ;; arm64|aarch64) cpu=aarch64 ;; *) echo "no target for $TARGETARCH" >&2; exit 1 ;; esac; \
    target=$cpu-unknown-linux-gnu; \
    if [ "$cpu" != "$(uname -m)" ]; then \
      command -v $cpu-linux-gnu-gcc || { apt-get update; apt-get install -y --no-install-recommends "gcc-$(echo $cpu | tr _ -)-linux-gnu" \
        "libc6-dev-$(echo $cpu | sed 's/x86_64/amd64/; s/aarch64/arm64/')-cross"; }; \
      rustup target list --installed | grep -qx "$target" || rustup target add "$target"; \
      export "CC_$(echo $target | tr - _)=$cpu-linux-gnu-gcc" "CARGO_TARGET_$(echo $target | tr a-z- A-Z_)_LINKER=$cpu-linux-gnu-gcc"; \
    fi; \
    export CARGO_INCREMENTAL=0 CFLAGS="-ffile-prefix-map=${CARGO_HOME:-/root/.cargo}=/cargo" \
      RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=${CARGO_HOME:-/root/.cargo}=/cargo"; \
    cargo build --locked --release --target "$target" --bin provident-operator; \
    install -D "target/$target/release/provident-operator" /out/provident-operator; \
    install -D -m 0444 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt; \
    find /out -exec touch -h -d @0 {} +

FROM scratch
ARG VERSION=0.1.0
ARG REVISION
LABEL org.opencontainers.image.title="provident-operator" \
      org.opencontainers.image.description="Keeps OAuth 2.0 clients of the Provident API, and the Secrets that carry their credentials, as declared" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/ /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# By number, so that runAsNonRoot can tell.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/provident-operator"]
CMD ["run"]
