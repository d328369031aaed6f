import { link, mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const HEARTBEAT_MS = 2_000;
const STALE_MS = 60_000;
/** How long half a lock is believed to be on its way, rather than left by a process killed while it wrote. */
const WRITING_MS = 2_000;
const POLL_MS = 200;
/** How long what a dead process started may take to end: `supervise.mjs`. */
const ENDING_MS = 1_500;

/**
 * Runs `work` while holding the lock `file`, so that other processes doing the same wait. A lock whose process ended, or
 * that has not been touched for a minute, is taken over.
 * @template T
 * @param {string} file
 * @param {() => Promise<T>} work
 * @param {() => void} [onWait] called once when another process holds the lock
 * @returns {Promise<T>}
 */
export async function withLock(file, work, onWait) {
  await mkdir(dirname(file), { recursive: true });
  const token = JSON.stringify({ pid: process.pid, host: hostname(), started: Date.now() });
  let waited = false;
  while (!(await create(file, token))) {
    if (await takeAway(file)) continue;
    if (!waited) onWait?.();
    waited = true;
    await sleep(POLL_MS);
  }
  const heartbeat = setInterval(() => touch(file), HEARTBEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    if ((await content(file)) === token) await rm(file, { force: true });
  }
}

/**
 * @param {string} file
 * @param {string} token
 */
async function create(file, token) {
  try {
    await writeFile(file, token, { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    await rm(file, { force: true }).catch(() => {}); // a full disk leaves it empty
    throw error;
  }
}

/**
 * Removes a stale lock. Returns whether it is worth trying again at once.
 * @param {string} file
 */
async function takeAway(file) {
  const before = await content(file);
  if (before === undefined) return true;
  if (!(await isStale(file, before))) return false;
  const aside = `${file}.${process.pid}`;
  try {
    await rename(file, aside);
  } catch {
    return true;
  }
  // Between the look and the rename another process may have done the same and made a lock of its own: give it back.
  if ((await content(aside)) !== before) await link(aside, file).catch(() => {});
  await rm(aside, { force: true });
  await sleep(ENDING_MS);
  return true;
}

/**
 * @param {string} file
 * @param {string} token
 */
async function isStale(file, token) {
  const age = await stat(file).then(
    (status) => Date.now() - status.mtimeMs,
    () => 0,
  );
  if (age > STALE_MS) return true;
  try {
    const { pid, host } = JSON.parse(token);
    return host === hostname() && !isAlive(pid);
  } catch {
    return age > WRITING_MS;
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** @param {string} file */
function content(file) {
  return readFile(file, 'utf8').catch(() => undefined);
}

/** @param {string} file */
function touch(file) {
  const now = new Date();
  return utimes(file, now, now).catch(() => {});
}
