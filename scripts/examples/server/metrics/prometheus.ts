/** The text format of Prometheus, as far as it is needed here. */

type Labels = Readonly<Record<string, string | number>>;

function line(name: string, labels: Labels, value: number): string {
  const inside = Object.entries(labels).map(([key, label]) => `${key}=${JSON.stringify(String(label))}`);
  return `${name}${inside.length > 0 ? `{${inside.join(',')}}` : ''} ${value}\n`;
}

const head = (name: string, type: string, help: string) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;

/** A value that is read when it is asked for. */
export function gauge(name: string, help: string, value: number): string {
  return head(name, 'gauge', help) + line(name, {}, value);
}

/** How often something happened. */
export class Counter {
  readonly #values = new Map<string, { labels: Labels; count: number }>();

  constructor(
    readonly name: string,
    readonly help: string,
  ) {}

  add(labels: Labels): void {
    const key = JSON.stringify(labels);
    const value = this.#values.get(key) ?? { labels, count: 0 };
    value.count++;
    this.#values.set(key, value);
  }

  text(): string {
    const lines = Array.from(this.#values.values(), ({ labels, count }) => line(this.name, labels, count));
    return head(this.name, 'counter', this.help) + lines.join('');
  }
}

/** Upper bounds in seconds. */
const BOUNDS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30];

/** How long something took, in seconds. */
export class Histogram {
  readonly #values = new Map<string, { labels: Labels; within: number[]; count: number; sum: number }>();

  constructor(
    readonly name: string,
    readonly help: string,
  ) {}

  observe(labels: Labels, seconds: number): void {
    const key = JSON.stringify(labels);
    const value = this.#values.get(key) ?? { labels, within: BOUNDS.map(() => 0), count: 0, sum: 0 };
    for (const [i, bound] of BOUNDS.entries()) if (seconds <= bound) value.within[i]!++;
    value.count++;
    value.sum += seconds;
    this.#values.set(key, value);
  }

  text(): string {
    const lines = Array.from(this.#values.values(), ({ labels, within, count, sum }) => [
      ...BOUNDS.map((le, i) => line(`${this.name}_bucket`, { ...labels, le }, within[i]!)),
      line(`${this.name}_bucket`, { ...labels, le: '+Inf' }, count),
      line(`${this.name}_sum`, labels, sum),
      line(`${this.name}_count`, labels, count),
    ]);
    return head(this.name, 'histogram', this.help) + lines.flat().join('');
  }
}
