/**
 * Metrics of products for OpenTelemetry: how long they wait and compute, by kind and engine, their FLOPs, and what the
 * process holds. A server exports them by a reader of its choice (Prometheus, OTLP) instead of printing them.
 *
 *     npm run example:open-telemetry [-- --products 20 --json FILE]
 */
import { writeFileSync } from 'node:fs';
import {
  AggregationTemporality,
  type DataPoint,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { configure, Generator, Model, matvecOnTheFly, nn, warmUp } from 'torch-curvature';
import { parseOptions, wholeNumber } from './shared/cli.ts';
import { meterProducts } from './shared/product-metrics.ts';

const options = parseOptions({ products: '20', json: '' });
const count = wholeNumber(options.products, 'products');

const model = Model.sequential([nn.linear(8, 64), nn.tanh(), nn.linear(64, 64), nn.tanh(), nn.linear(64, 1)]);
const generator = new Generator(0);
const problem = { model, params: model.init({ generator }), x: generator.randn([512, 8]) };
const v = generator.randn([model.parameterCount]).data;
await warmUp(problem);

const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const provider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] });
const end = meterProducts(provider.getMeter('torch-curvature'));

// As a server under load: one product at a time, half of the requests may wait, the others are refused.
configure({ concurrency: 1, maxQueue: Math.floor(count / 2) });
const outcomes = await Promise.allSettled(
  Array.from({ length: count }, (_, i) =>
    matvecOnTheFly(problem, v, { engine: i % 2 === 0 ? 'fused' : 'autograd' }),
  ),
);
await provider.forceFlush();
end();
await provider.shutdown();

const metrics = exporter
  .getMetrics()
  .at(-1)!
  .scopeMetrics.flatMap((scope) => scope.metrics);
for (const { descriptor, dataPoints } of metrics) {
  for (const { attributes, value } of dataPoints as DataPoint<number | Histogram>[]) {
    const labels = Object.entries(attributes).map(([name, label]) => `${name}=${label}`);
    const shown =
      typeof value === 'number' ? value : `${value.count} times, ${value.sum!.toPrecision(3)} in all`;
    console.log(`${descriptor.name} {${labels.join(', ')}}: ${shown} ${descriptor.unit}`);
  }
}
if (options.json !== '') {
  const done = outcomes.filter(({ status }) => status === 'fulfilled').length;
  const values = metrics.map(({ descriptor: { name }, dataPoints }) => ({ name, dataPoints }));
  writeFileSync(options.json, JSON.stringify({ done, refused: count - done, metrics: values }));
}
