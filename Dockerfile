# Two stages: the first has a compiler and the development dependencies, the second only what runs.
# `.ci/dockerfile-steps.mjs` runs these very steps without Docker; it knows the instructions that are used here.

FROM node:20-bookworm-slim AS build
WORKDIR /app
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 make g++ \
 && rm -rf /var/lib/apt/lists/*
COPY package.json package-lock.json ./
# No dependency runs a script of its own; without its native module @discordjs/opus only gives way to the WASM codec.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY native ./native
COPY src ./src
# The addon gives way to TypeScript where it can't be built; in the image it has to be there.
RUN node native/build.mjs && test -f native/build/Release/reelay.node
RUN npm run build
RUN npm prune --ignore-scripts --omit=dev --no-audit --no-fund

FROM node:20-bookworm-slim
ENV NODE_ENV=production
COPY --from=build /app/package.json /app/package.json
COPY --from=build /app/node_modules /app/node_modules
COPY --from=build /app/native/build/Release/reelay.node /app/native/build/Release/reelay.node
COPY --from=build /app/dist /app/dist
# What `reelay call` and `reelay bot` say unless told otherwise.
COPY --from=build /app/src/simulators/speech /app/src/simulators/speech
RUN ln -s /app/dist/cli/reelay.cjs /usr/local/bin/reelay && chmod +x /app/dist/cli/reelay.cjs
RUN mkdir -p /data/spool /data/recordings && chown -R node:node /data
# Relative paths of a daemon without configuration file are below /data.
WORKDIR /data
# The control port has to be published to be reached at all; without a key it still answers loopback peers only.
ENV REELAY_SPOOL_DIR=/data/spool REELAY_CONTROL_HOST=0.0.0.0
USER node
VOLUME /data
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.REELAY_MEDIA_PORT ?? 8080}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["reelay", "serve"]
