/** A call as data, and the call itself. */
import { argumentsOf, MAKERS } from './calls.ts';
import { HOSTILE, hostileNames, type Surroundings } from './hostile.ts';
import type { Entry } from './surface.ts';

/** Numbers choose among what there is, whatever its count. */
export interface Plan {
  entry: number;
  /** Which of the valid calls, and of the objects to call a method on. */
  way: number;
  /** Which values of the arguments are replaced, by what. */
  edits: { place: number; hostile: number }[];
  self: 'valid' | 'disposed' | 'prototype' | 'other' | 'undefined' | 'proxy';
  length: 'as it is' | 'fewer' | 'more';
  /** Done while the call is under way. */
  meanwhile: 'nothing' | 'detach' | 'dispose' | 'write';
}

/** What a call is made with. */
export interface Made {
  /** For people. */
  text: string;
  entry: Entry;
  self: unknown;
  args: unknown[];
  around: Surroundings;
  /** Arrays that the call may not change, with what was in them; undefined where code of the caller's changes them. */
  inputs(): ReadonlyMap<ArrayBufferView, Uint8Array> | undefined;
}

/** Numbers of draws, of which more than this many would be the caller's wish and no hang. */
const WORK = new Set(['samples', 'mcSamples', 'probes', 'maxIterations', 'steps']);
const MOST_WORK = 64;

type Place = { holder: Record<string, unknown>; key: string };

/** Makes the arguments that a plan describes. */
export async function make(plan: Plan, entries: readonly Entry[]): Promise<Made> {
  const entry = entries[plan.entry % entries.length]!;
  const args = argumentsOf(entry.name, plan.way);
  const views = new Set<ArrayBufferView>();
  const disposables = new Set<{ dispose(): void }>();
  const inputs = new Map<ArrayBufferView, Uint8Array>();
  const places = placesIn(args as never);
  for (const { holder, key } of places) {
    const value = holder[key];
    if (ArrayBuffer.isView(value)) {
      views.add(value);
      if (key !== 'out') inputs.set(value, bytesOf(value));
    } else if (typeof (value as { dispose?: unknown } | null)?.dispose === 'function') {
      disposables.add(value as { dispose(): void });
    }
  }
  const makers = MAKERS[entry.owner ?? ''];
  const valid = await makers?.[plan.way % makers.length]?.();
  let touched = plan.meanwhile !== 'nothing';
  const around = {
    detachAll() {
      touched = true;
      for (const view of views) detach(view);
    },
    disposeAll() {
      for (const each of disposables) each.dispose();
      (valid as { dispose?(): void } | undefined)?.dispose?.();
    },
  };
  const edited = plan.edits.map(({ place, hostile }) => {
    const { holder, key } = places[place % Math.max(1, places.length)] ?? { holder: args as never, key: '0' };
    const names = hostileNames(holder[key]);
    const name = names[hostile % names.length]!;
    touched ||= ArrayBuffer.isView(holder[key]);
    try {
      const value = HOSTILE.get(name)!({ valid: holder[key], ...around });
      holder[key] = WORK.has(key) && typeof value === 'number' && value > MOST_WORK ? MOST_WORK : value;
    } catch {
      // An edit before has made it unwritable, or a thing that nothing can be made of.
    }
    return `${key} ← ${name}`;
  });
  if (plan.length === 'fewer') args.pop();
  if (plan.length === 'more') args.push({ nonsense: 1 });
  const rest = [plan.self, plan.length, plan.meanwhile].filter(
    (each) => !/^(valid|as it is|nothing)$/.test(each),
  );
  return {
    text: `${entry.name} [${[`way ${plan.way}`, ...edited, ...rest].join(', ')}]`,
    entry,
    self: valid && selfOf(plan.self, valid),
    args,
    around: { valid, ...around },
    inputs: () => (touched ? undefined : inputs),
  };
}

function selfOf(kind: Plan['self'], valid: object): unknown {
  switch (kind) {
    case 'valid':
      return valid;
    case 'disposed':
      (valid as { dispose?(): void }).dispose?.();
      return valid;
    case 'prototype':
      return Object.create(Object.getPrototypeOf(valid));
    case 'other':
      return new Map();
    case 'undefined':
      return undefined;
    case 'proxy':
      return new Proxy(valid, {});
  }
}

/** Every value of the arguments that is not inside an object of a class. */
function placesIn(holder: Record<string, unknown>, depth = 0): Place[] {
  return Object.keys(holder).flatMap((key) => {
    const value = holder[key];
    const prototype = typeof value === 'object' && value !== null ? Object.getPrototypeOf(value) : undefined;
    const inner = prototype === Object.prototype || prototype === Array.prototype;
    return [{ holder, key }, ...(inner && depth < 4 ? placesIn(value as never, depth + 1) : [])];
  });
}

export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength).slice();
}

function detach({ buffer }: ArrayBufferView): void {
  try {
    structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
  } catch {
    // Shared, or gone before.
  }
}
