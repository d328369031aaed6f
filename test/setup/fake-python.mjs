#!/usr/bin/env node
/**
 * Stands for `python3` in the tests of the set-up: a pip that serves the wheels of the folder FAKE_INDEX, and a PyTorch in
 * FAKE_TORCH. Each call is a line of FAKE_LOG. With FAKE_HANG, a download stops half-way.
 */
import { appendFileSync, copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const { FAKE_INDEX, FAKE_LOG, FAKE_TORCH, FAKE_HANG } = process.env;
const args = process.argv.slice(2);
appendFileSync(FAKE_LOG, `${JSON.stringify({ pid: process.pid, args })}\n`);

if (args[0] === '-c') {
  if (FAKE_TORCH === undefined) process.exit(1);
  console.log(FAKE_TORCH);
} else if (args[2] === 'download') {
  download(args[args.indexOf('--dest') + 1]);
}

function download(folder) {
  mkdirSync(folder, { recursive: true });
  const hasOtherIndex = args.includes('--index-url');
  for (const requirement of args.filter((arg) => arg.includes('=='))) {
    const [name, version] = requirement.split('==');
    const wheel = readdirSync(FAKE_INDEX).find((file) =>
      file.startsWith(`${name.replaceAll('-', '_')}-${version}-`),
    );
    if (wheel === undefined || hasOtherIndex) {
      console.error(`ERROR: No matching distribution found for ${requirement}`);
      process.exit(1);
    }
    if (FAKE_HANG) {
      writeFileSync(join(folder, wheel), 'the first bytes');
      setTimeout(() => {}, 30_000);
      return;
    }
    copyFileSync(join(FAKE_INDEX, wheel), join(folder, wheel));
  }
}
