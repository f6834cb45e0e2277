# One image for every service: `docker run <image> node-proxy`. Bundles are one file each; the image holds Node and nothing else of ours.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /src
RUN npm install --global pnpm@12.21.0
COPY . .
RUN pnpm install --frozen-lockfile && pnpm exec turbo run build && node packages/tooling/collect-bundles.mjs /out

FROM node:24.21.0-bookworm-slim
RUN rm -rf /usr/local/lib/node_modules /opt/yarn* /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/yarn /usr/local/bin/yarnpkg /usr/local/bin/corepack
COPY --from=build /out /app
ENV NODE_ENV=production
USER 65532:65532
WORKDIR /app
# Without --enable-source-maps: the first stack that is read would cost the process 100 MiB. The bundles keep their names; maps lie beside them.
ENTRYPOINT ["node", "/app/run.mjs"]
