/** A server of curvature products: `npm run example:server`. README.md beside this file tells what it answers. */
import { configure } from 'torch-curvature';
import { createApp } from './app.ts';
import { loadRegistry } from './registry.ts';
import { readSettings } from './settings.ts';

const settings = readSettings(process.env);
const { HOST, PORT, MODELS, SHUTDOWN_TIMEOUT, CONCURRENCY, MAX_QUEUE, MEMORY_LIMIT } = settings;

configure({ concurrency: CONCURRENCY, maxQueue: MAX_QUEUE, memoryLimit: MEMORY_LIMIT });
const app = createApp(await loadRegistry(MODELS), {
  bodyLimit: settings.BODY_LIMIT,
  requestTimeout: settings.REQUEST_TIMEOUT,
  logger: { level: process.env.LOG_LEVEL ?? 'warn' },
});
console.log(`listening on ${await app.listen({ host: HOST, port: PORT })}`);

/** No new requests; those that run may end, until their time is over and their connections are cut. */
async function shutDown() {
  const timer = setTimeout(() => app.server.closeAllConnections(), SHUTDOWN_TIMEOUT);
  await app.close();
  clearTimeout(timer);
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, shutDown);
