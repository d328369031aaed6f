import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { openPromise } from 'yauzl';
import { SetupError } from './failure.mjs';
import { progress } from './progress.mjs';
import { BRING_YOUR_OWN } from './python.mjs';

/** @typedef {import('yauzl').Entry} Entry */

/** What a build and a run need of PyTorch's and NVIDIA's wheels. */
const NEEDED = [
  /^torch\/(include|share\/cmake)\//,
  /^torch\/version\.py$/,
  /^torch\/lib\/[^/]*\.(so(\.\d+)*|dylib|dll|lib)$/,
  /^nvidia\/.*\/include\//,
  /^nvidia\/.*\/lib\/[^/]*\.so(\.\d+)*$/,
];
/** Libraries of PyTorch that serve Python or its own tests. */
const NOT_NEEDED = /^torch\/lib\/lib(torch_python|shm|.*_test|backend_with_compiler|aoti_custom_ops)\./;

/**
 * Refuses a wheel that is not one of the pinned ones.
 * @param {string} wheel
 * @param {import('./releases.mjs').Release} release
 */
export async function verifyChecksum(wheel, release) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(wheel), hash);
  const digest = hash.digest('hex');
  const name = basename(wheel);
  if (release.wheels[name]?.includes(digest)) return;
  const nvidia =
    release.variant === 'cpu' && /^Requires-Dist: (nvidia|cuda)-/m.test(await readMetadata(wheel));
  throw new SetupError(
    nvidia
      ? `pip served a CUDA build of PyTorch (${name}) where the CPU build was wanted. ` +
          `TORCH_CURVATURE_VARIANT=cuda takes the CUDA build. ${BRING_YOUR_OWN}`
      : `The checksum of ${name} is not one that is known.\n  got      ${digest}\n` +
          `  expected ${release.wheels[name]?.join(' or ') ?? `one of ${Object.keys(release.wheels).join(', ')}`}\n` +
          `The download may be damaged or altered; try again. ${BRING_YOUR_OWN}`,
  );
}

/**
 * The wheel's METADATA file.
 * @param {string} wheel
 */
export function readMetadata(wheel) {
  return withWheel(wheel, (zip, entries) => readText(zip, find(entries, /\.dist-info\/METADATA$/, wheel)));
}

/**
 * Unpacks what is needed of a wheel, each file checked against the digests in the wheel's RECORD.
 * @param {string} wheel
 * @param {string} folder
 * @returns {Promise<Record<string, number>>} the files and their sizes
 */
export function unpackWheel(wheel, folder) {
  return withWheel(wheel, async (zip, entries) => {
    const record = parseRecord(await readText(zip, find(entries, /\.dist-info\/RECORD$/, wheel)));
    const chosen = entries.filter(({ fileName }) => isNeeded(fileName));
    const bar = progress(`Unpacking ${basename(wheel)}`, sum(chosen));
    /** @type {Record<string, number>} */
    const files = {};
    try {
      for (const entry of chosen) {
        const target = join(folder, entry.fileName);
        await mkdir(dirname(target), { recursive: true });
        const digest = await unpackEntry(zip, entry, target, bar.advance);
        if (record.get(entry.fileName) !== digest) {
          throw new SetupError(
            `${basename(wheel)} is damaged: ${entry.fileName} differs from its RECORD. Try again.`,
          );
        }
        files[entry.fileName] = entry.uncompressedSize;
      }
    } finally {
      bar.stop();
    }
    return files;
  });
}

/** @param {string} name */
function isNeeded(name) {
  return !name.endsWith('/') && NEEDED.some((pattern) => pattern.test(name)) && !NOT_NEEDED.test(name);
}

/**
 * @template T
 * @param {string} wheel
 * @param {(zip: import('yauzl').ZipFile, entries: Entry[]) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function withWheel(wheel, work) {
  let zip;
  try {
    zip = await openPromise(wheel, { autoClose: false });
    const entries = [];
    for await (const entry of zip.eachEntry()) entries.push(entry);
    return await work(zip, entries);
  } catch (error) {
    if (error instanceof SetupError) throw error;
    throw new SetupError(`${basename(wheel)} cannot be read: ${error.message}. Try again.`);
  } finally {
    zip?.close();
  }
}

/**
 * @param {import('yauzl').ZipFile} zip
 * @param {Entry} entry
 * @param {string} target
 * @param {(bytes: number) => void} advance
 */
async function unpackEntry(zip, entry, target, advance) {
  const hash = createHash('sha256');
  const tap = new Transform({
    transform(chunk, _encoding, done) {
      hash.update(chunk);
      advance(chunk.length);
      done(null, chunk);
    },
  });
  await pipeline(await zip.openReadStreamPromise(entry), tap, createWriteStream(target));
  return hash.digest('base64url');
}

/**
 * File → digest, of lines `name,sha256=digest,size`.
 * @param {string} text
 */
function parseRecord(text) {
  const record = new Map();
  for (const line of text.split(/\r?\n/)) {
    const found = /^"?(.+?)"?,sha256=([\w-]+),\d*$/.exec(line);
    if (found) record.set(found[1], found[2]);
  }
  return record;
}

/**
 * @param {Entry[]} entries
 * @param {RegExp} pattern
 * @param {string} wheel
 */
function find(entries, pattern, wheel) {
  const entry = entries.find(({ fileName }) => pattern.test(fileName));
  if (entry) return entry;
  throw new SetupError(`${basename(wheel)} is not a wheel: it has no ${pattern.source}.`);
}

/**
 * @param {import('yauzl').ZipFile} zip
 * @param {Entry} entry
 */
async function readText(zip, entry) {
  const chunks = [];
  for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** @param {Entry[]} entries */
function sum(entries) {
  return entries.reduce((total, { uncompressedSize }) => total + uncompressedSize, 0);
}
