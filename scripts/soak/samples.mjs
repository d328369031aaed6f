/** What the server says of itself while it is under load, and afterwards. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds between two looks, and until everything that was left should have ended. */
const INTERVAL = 1000;
const REST = 10_000;

export class Samples {
  /** @type {{ memory: number, delay: number }[]} */
  list = [];
  #client;
  #before;
  #timer;

  constructor(client, before) {
    this.#client = client;
    this.#before = before;
    this.#timer = setInterval(() => this.#look().catch(() => {}), INTERVAL);
  }

  /** @param {import('./client.mjs').Client} client */
  static async start(client) {
    return new Samples(client, await client.gauges());
  }

  async #look() {
    const gauges = await this.#client.gauges();
    this.list.push({
      memory: gauges.process_resident_memory_bytes,
      delay: gauges.nodejs_eventloop_delay_p99_seconds,
    });
  }

  /** What is still held, runs or waits when nobody asks for anything any more. */
  async end() {
    clearInterval(this.#timer);
    const rest = async () => {
      const {
        curvature_running: running,
        curvature_queued: queued,
        curvature_held_bytes: bytes,
      } = await this.#client.gauges();
      return { running, queued, bytes: bytes - this.#before.curvature_held_bytes };
    };
    const end = performance.now() + REST;
    let now = await rest();
    while ((now.running > 0 || now.queued > 0 || now.bytes > 0) && performance.now() < end) {
      await sleep(100);
      now = await rest();
    }
    return now;
  }
}
