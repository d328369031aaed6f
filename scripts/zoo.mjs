/**
 * Public model code against torch.func: exports each model of scripts/zoo/models with random weights in float64, and
 * compares every product with PyTorch's. Writes scripts/docs/zoo.md unless --only is given.
 *
 *     npm run zoo -- [--only NAME …] [--family NAME …] [--jobs 1] [--fresh] [--list] [--json FILE]
 *
 * Exports are kept in the cache; --fresh makes them again. Exit code 1 where a number is wrong or a process crashed.
 */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { cacheFolder } from './peers/python.mjs';
import { runOver } from './zoo/batch.mjs';
import { zooPage } from './zoo/page.mjs';
import { pythonOfTheZoo } from './zoo/python.mjs';
import { summary } from './zoo/summary.mjs';

const HERE = import.meta.dirname;
const EXPORT = join(HERE, 'zoo', 'export.py');
const CHECK = join(HERE, 'zoo', 'check.mjs');
const PAGE = join(HERE, 'docs', 'zoo.md');
const EXPORT_SECONDS = 240;
const CHECK_SECONDS = 180;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    family: { type: 'string', multiple: true },
    jobs: { type: 'string', default: '1' },
    fresh: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const jobs = Number(values.jobs);
if (!Number.isInteger(jobs) || jobs < 1) fail(`--jobs should be a positive whole number, got ${values.jobs}`);

const python = await pythonOfTheZoo();
if (python === undefined) {
  console.error('Name a Python that has them: PYTHON=… npm run zoo');
  process.exit(1);
}
const folder = join(cacheFolder(), 'zoo');
await mkdir(folder, { recursive: true });

const { models, missing } = await listed();
for (const [family, why] of Object.entries(missing)) console.error(`Left out: ${family} (${why})`);
const chosen = choose();
if (values.list) {
  for (const { name, family } of chosen) console.log(`${name}\t${family}`);
  process.exit(0);
}

await exportMissing();
const records = await check();
const { text, bad } = summary(records);
console.log(text);
if (values.json !== undefined) {
  await mkdir(dirname(values.json), { recursive: true });
  await writeFile(values.json, `${JSON.stringify(records, null, 2)}\n`);
}
if (values.only === undefined && values.family === undefined) {
  await writeFile(PAGE, zooPage(records));
  console.log(`Written: ${PAGE}`);
}
process.exitCode = bad > 0 ? 1 : 0;

async function listed() {
  const { stdout } = await promisify(execFile)(python, [EXPORT, '--list'], { maxBuffer: 2 ** 26 });
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

function choose() {
  const { only, family } = values;
  const unknown =
    only?.find((name) => !models.some((each) => each.name === name)) ??
    family?.find((name) => !models.some((each) => each.family === name));
  if (unknown !== undefined) fail(`There is no '${unknown}'; --list shows the models and their families`);
  return models.filter(
    (each) => (only?.includes(each.name) ?? true) && (family?.includes(each.family) ?? true),
  );
}

async function exportMissing() {
  const file = (name) => join(folder, `${name}.json`);
  const names = chosen.map(({ name }) => name).filter((name) => values.fresh || !existsSync(file(name)));
  const crashes = [];
  let count = 0;
  await Promise.all(names.map((name) => rm(file(name), { force: true })));
  await runOver([python, EXPORT, folder], names, {
    jobs,
    seconds: EXPORT_SECONDS,
    onDone({ done, failed, crashed }) {
      count += 1;
      console.log(
        `[${count}/${names.length}] exported ${done}${failed || crashed ? `: ${failed ?? crashed}` : ''}`,
      );
      if (crashed !== undefined) crashes.push(writeFile(file(done), JSON.stringify({ failed: crashed })));
    },
  });
  await Promise.all(crashes);
}

/** One record per model: what it is, and what became of it. */
async function check() {
  const stored = new Map();
  for (const { name, family } of chosen) {
    const { failed, dynamic, exportedRows, rows, independent, names, oracle } = await expectedOf(name);
    const parameters = names?.reduce((sum, [, shape]) => sum + shape.reduce((a, b) => a * b, 1), 0);
    stored.set(name, { name, family, failed, dynamic, exportedRows, rows, independent, parameters, oracle });
  }
  const names = [...stored.values()].filter(({ failed }) => failed === undefined).map(({ name }) => name);
  let count = 0;
  await runOver([process.execPath, CHECK, folder], names, {
    jobs,
    seconds: CHECK_SECONDS,
    onDone({ done, ...outcome }) {
      count += 1;
      const verdict = outcome.crashed === undefined ? outcome.verdict : 'crashed';
      Object.assign(stored.get(done), outcome, { verdict });
      if (verdict !== 'right') console.log(`[${count}/${names.length}] ${done}: ${verdict}`);
    },
  });
  return [...stored.values()].map((each) => ({ ...each, verdict: each.verdict ?? 'not exportable' }));
}

async function expectedOf(name) {
  return JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8'));
}

function fail(message) {
  console.error(message);
  process.exit(2);
}
