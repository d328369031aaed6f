/**
 * Calls of the API in a process of its own: `node fuzz-api.cjs CALLS SEED FILE [TEXT]`. Each finding is a line of JSON;
 * FILE holds the call under way, for whoever sees this process end or hang. Only calls whose description has TEXT in it
 * are made where that is given.
 */
import { openSync, writeSync } from 'node:fs';
import { types } from 'node:util';
import fc from 'fast-check';
import * as tc from 'torch-curvature';
import { make, type Plan } from './call.ts';
import { MAKERS } from './calls.ts';
import { judge } from './judge.ts';
import { type Entry, surface } from './surface.ts';

const [calls, seed, file, wanted = ''] = process.argv.slice(2) as [string, string, string, string?];
const LARGE = 1_000_000;

const plans: fc.Arbitrary<Plan> = fc.record({
  entry: fc.nat(LARGE),
  way: fc.nat(LARGE),
  edits: fc.array(fc.record({ place: fc.nat(LARGE), hostile: fc.nat(LARGE) }), { maxLength: 3, size: 'max' }),
  self: often('valid', 'disposed', 'prototype', 'other', 'undefined', 'proxy'),
  length: often('as it is', 'fewer', 'more'),
  meanwhile: often('nothing', 'detach', 'dispose', 'write'),
});

/** The first one, and now and then another. */
function often<First extends string, Other extends string>(first: First, ...others: Other[]) {
  return fc.oneof(
    { weight: 20, arbitrary: fc.constant<First | Other>(first) },
    { weight: 1, arbitrary: fc.constantFrom<First | Other>(...others) },
  );
}

let entries: Entry[] = [];
/** Those that do not meet over sockets. */
let apart: Entry[] = [];
/** Calls of the others in this process: a system may take seconds to look up who came. */
let meetings = 10;

async function allEntries(): Promise<Entry[]> {
  const instances: Record<string, object> = {};
  for (const [owner, [first]] of Object.entries(MAKERS)) instances[owner] = await first!();
  const found = surface(tc, instances);
  for (const instance of Object.values(instances))
    if (Symbol.dispose in instance) (instance as Disposable)[Symbol.dispose]();
  return found;
}

const current = openSync(file, 'w');
let [made, accepted] = [0, 0];
let under = '';
let stray: string | undefined;
for (const event of ['unhandledRejection', 'uncaughtException']) {
  process.on(event, (error: unknown) => {
    // What these functions return is of no concern to the package: a promise of theirs is the caller's to look after.
    if (/onTraceReady|onIteration/.test(under)) return;
    stray = `${event}: ${types.isNativeError(error) ? error.stack : typeof error}`;
  });
}

/** What went wrong before, each of which is told once. */
const known = new Set<string>();
const signature = (name: string, wrong: string) => `${name} ${wrong.replace(/\d+/g, '').split('\n', 1)}`;

async function tell(plan: Plan): Promise<void> {
  const meets = !apart.includes(entries[plan.entry % entries.length]!);
  if (meets) meetings -= 1;
  const call = await make(plan, meets && meetings < 0 ? apart : entries);
  if (!call.text.includes(wanted)) {
    (call.around.valid as Partial<Disposable> | undefined)?.[Symbol.dispose]?.();
    return;
  }
  made += 1;
  under = call.text;
  writeSync(current, `${call.text}\n${JSON.stringify(plan)}\n\n`, 0);
  const outcome = await judge(call, plan);
  if (outcome === 'accepted') accepted += 1;
  const wrong = (outcome === 'accepted' || outcome === 'refused' ? undefined : outcome) ?? stray;
  stray = undefined;
  if (wrong === undefined || known.has(signature(call.entry.name, wrong))) return;
  throw Object.assign(new Error(wrong), { call });
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});

async function main() {
  // A promise that never settles keeps the process waiting, and so is seen.
  const waiting = setInterval(() => {}, 1000);
  entries = await allEntries();
  apart = entries.filter(({ name }) => !name.includes('ProcessGroup'));
  for (let left = Number(calls); left > 0; ) {
    const result = await fc.check(fc.asyncProperty(plans, tell), {
      seed: Number(seed) + known.size,
      numRuns: left,
      endOnFailure: false,
    });
    left -= result.numRuns;
    if (!result.failed) break;
    const { message: wrong, call } = result.errorInstance as Error & {
      call: { text: string; entry: { name: string } };
    };
    known.add(signature(call.entry.name, wrong));
    console.log(JSON.stringify({ call: call.text, wrong, plan: result.counterexample![0] }));
  }
  console.log(`${made} ${accepted}`);
  clearInterval(waiting);
}
