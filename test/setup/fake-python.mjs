#!/usr/bin/env node
/**
 * Stands for `python3` in the tests of the set-up: a pip that installs what lies in the folder FAKE_INDEX, and a PyTorch in
 * FAKE_TORCH. Each call is a line of FAKE_LOG. With FAKE_HANG, a download stops half-way.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const { FAKE_INDEX, FAKE_LOG, FAKE_TORCH, FAKE_HANG, TMPDIR } = process.env;
const args = process.argv.slice(2);
const after = (option) => args[args.indexOf(option) + 1];
const requirements =
  args[2] === 'install' ? readFileSync(after('--requirement'), 'utf8').trim().split('\n') : [];
const names = requirements.map((line) => line.split(' ')[0]);
appendFileSync(FAKE_LOG, `${JSON.stringify({ pid: process.pid, args, asked: names })}\n`);

if (args[0] === '-c') {
  if (FAKE_TORCH === undefined) process.exit(1);
  console.log(FAKE_TORCH);
} else {
  for (const line of requirements) install(line, after('--target'));
}

function install(line, target) {
  const [requirement, ...hashes] = line.split(' ');
  const [name, version] = requirement.split('==');
  const wheel = readdirSync(FAKE_INDEX).find((file) => file.startsWith(`${name}-${version}-`));
  if (wheel === undefined || args.includes('--index-url')) {
    fail(`ERROR: No matching distribution found for ${requirement}`);
  }
  const content = readFileSync(join(FAKE_INDEX, wheel), 'utf8');
  if (FAKE_HANG) {
    writeFileSync(join(TMPDIR, wheel), 'the first bytes');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30_000);
  }
  const digest = createHash('sha256').update(content).digest('hex');
  if (!hashes.includes(`--hash=sha256:${digest}`)) {
    fail('ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.');
  }
  for (const [file, text] of Object.entries(JSON.parse(content))) {
    mkdirSync(dirname(join(target, file)), { recursive: true });
    writeFileSync(join(target, file), text);
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
