# The executable, the C library that it is linked to, and nothing else: no shell, no package manager.
#
#   docker build -t penstock .
#   docker run --read-only -p 8080:8080 -v ./proxy.config.json:/etc/penstock/proxy.config.json:ro penstock
#
# podman keeps the health check with --format docker only.
FROM docker.io/oven/bun:1.4.5 AS build
WORKDIR /src
COPY . .
RUN bun install --frozen-lockfile && bun run build
# ldd names the loader and the libraries, whatever the machine.
# A new volume at /var/lib/penstock gets the owner and the mode of the folder there.
RUN mkdir -p /image/etc/penstock && mkdir -m 700 -p /state/lib/penstock \
  && cp dist/penstock /image/penstock \
  && ldd dist/penstock | grep -o '/[^ ]*' | xargs -I FILE cp --parents -L FILE /image

FROM scratch
COPY --from=build /image /
COPY --from=build --chown=65534:65534 /state /var
# The configuration is looked for here.
WORKDIR /etc/penstock
USER 65534:65534
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s CMD ["/penstock", "healthcheck"]
# SIGTERM drains. `docker stop` kills after ten seconds: give it --time of more than "timeouts.drain" and "lameDuck".
ENTRYPOINT ["/penstock"]
