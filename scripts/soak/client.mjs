import { connect } from 'node:net';

/** Requests to the server, as whoever uses it would make them, and as nobody should. */
export class Client {
  /** @param {string} url */
  constructor(url) {
    this.url = url;
  }

  /**
   * @param {string} path
   * @param {string} body
   * @param {AbortSignal} [signal]
   */
  async post(path, body, signal) {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(this.url + path, { method: 'POST', headers, body, signal });
    return { status: response.status, headers: response.headers, json: await response.json() };
  }

  /** @param {string} path */
  async get(path) {
    const response = await fetch(this.url + path);
    return { status: response.status, text: await response.text() };
  }

  /**
   * Promises a body, sends the half of it, and hangs up.
   * @param {string} path
   * @param {string} body
   */
  async hangUp(path, body) {
    const { hostname, port } = new URL(this.url);
    const socket = connect(Number(port), hostname);
    const head = `POST ${path} HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: application/json\r\n`;
    await new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.write(`${head}content-length: ${body.length}\r\n\r\n${body.slice(0, body.length / 2)}`, resolve);
    });
    socket.destroy();
  }

  /** The gauges of the server, by name. */
  async gauges() {
    const { text } = await this.get('/metrics');
    const lines = text.split('\n').map((line) => /^(\w+) (\S+)$/.exec(line));
    return Object.fromEntries(lines.flatMap((line) => (line ? [[line[1], Number(line[2])]] : [])));
  }
}
