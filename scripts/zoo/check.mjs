/** node check.mjs FOLDER NAME…: compares models with their values; a line of JSON before and after each. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as api from 'torch-curvature';
import { compareModel, verdict } from './compare.mjs';

const [folder, ...names] = process.argv.slice(2);
const say = (record) => process.stdout.write(`${JSON.stringify(record)}\n`);

for (const name of names) {
  say({ started: name });
  const expected = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));
  try {
    const results = await compareModel(api, join(folder, `${name}.pt2`), expected);
    say({ done: name, results, verdict: verdict(results, expected.independent) });
  } catch (error) {
    say({ done: name, results: [], verdict: 'wrong', reason: String(error?.stack ?? error) });
  }
}
