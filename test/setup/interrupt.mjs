/**
 * Preloaded into a part of the set-up: its change number STEP to the file system does not happen. FAULT says what does:
 * `SIGKILL`, or an error of that code. Either leaves what is written half-written. The change is named on standard error.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const CHANGES = ['mkdir', 'mkdtemp', 'writeFile', 'copyFile', 'rename', 'rm', 'link'];
const { STEP, FAULT } = process.env;
let step = 0;

for (const name of CHANGES) {
  const original = fs.promises[name];
  fs.promises[name] = async (...args) => {
    step += 1;
    if (step !== Number(STEP)) return original(...args);
    fs.writeSync(2, `interrupted at ${name} ${args[0]}\n`);
    half(name, args);
    if (FAULT === 'SIGKILL') process.kill(process.pid, 'SIGKILL');
    throw Object.assign(new Error(`${FAULT}: refused, ${name} '${args[0]}'`), { code: FAULT, path: args[0] });
  };
}
syncBuiltinESMExports();

function half(name, [path, content]) {
  if (name === 'writeFile') fs.writeFileSync(path, content.slice(0, content.length / 2));
  if (name === 'copyFile') fs.writeFileSync(content, fs.readFileSync(path).subarray(0, 100));
}
