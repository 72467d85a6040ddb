# One image with the four programs and nothing else, for every platform that its builder has:
#
#   docker buildx build --platform linux/amd64,linux/arm64 --tag bottlerocket-update-operator:v0.1.0 .
#
# `cargo image` makes the same for this machine's platform without a builder.
FROM rust:1.95-alpine AS build
RUN apk add --no-cache musl-dev
WORKDIR /source
COPY . .
# Alpine's target is musl: linked statically, without any further word. Time zones are in the programs.
RUN cargo build --release --locked --package controller --package apiserver --package agent --package webhook \
 && mkdir /image && cd target/release && cp controller apiserver agent webhook /image

FROM scratch
LABEL org.opencontainers.image.title="bottlerocket-update-operator" \
      org.opencontainers.image.description="Rolls Bottlerocket OS updates over a Kubernetes cluster, as policies say" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
      org.opencontainers.image.version="0.1.0"
COPY --from=build /image/ /
USER 65532:65532
# Which of the programs runs is the manifest's choice.
CMD ["/controller", "--help"]
