// The texts of a Docker export.

/**
 * An image of Debian, whose C library the engine wants (musl, as in Alpine, has none of its builds). Dependencies come from
 * npm when it is built; then it needs no network.
 */
export function dockerfile({ name, contextLength }: { name: string; contextLength?: number | undefined }): string {
  const words = [`${name}=/models/model.gguf`, "--host", "0.0.0.0", "--port", "8080"];
  if (contextLength !== undefined) words.push("--context", String(contextLength));
  return `# Written by pare export docker
FROM node:22-bookworm-slim
ENV NODE_ENV=production
WORKDIR /pare
COPY package.json package-lock.json *.tgz ./
RUN npm ci --no-audit --no-fund && npm cache clean --force
COPY --chown=node:node model.gguf /models/model.gguf
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["node", "-e", "fetch('http://127.0.0.1:8080/health').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "node_modules/pare/dist/cli/main.js", "serve"]
CMD ${JSON.stringify(words)}
`;
}

/** Reached from this machine alone. Whoever changes that sets a key, too. */
export function composeFile({ name }: { name: string }): string {
  return `# Written by pare export docker
services:
  ${name.replaceAll(/[^a-z0-9_-]/g, "-")}:
    build: .
    ports:
      - "127.0.0.1:8080:8080"
    environment:
      PARE_API_KEY: "\${PARE_API_KEY:-}"
    read_only: true
    tmpfs:
      - /tmp
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    init: true
    restart: unless-stopped
`;
}
