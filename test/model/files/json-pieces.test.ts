/** JSON in pieces is JSON: what `JSON.parse` makes of it, and refused where that refuses. */
import { isDeepStrictEqual } from 'node:util';
import { expect, it } from 'vitest';
import { parseInPieces } from '../../../lib/model/files/json-pieces.ts';
import { Reading } from '../../../lib/model/files/reading.ts';
import { someOf } from '../../support/counts.ts';

const parse = (text: string) => parseInPieces(Buffer.from(text), new Reading());

/** A generator of whole numbers below `most`. */
function randomOf(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * most);
  };
}

function anyValue(random: (most: number) => number, depth: number): unknown {
  switch (random(depth === 0 ? 5 : 8)) {
    case 0:
      return random(2 ** 31) / 7;
    case 1:
      return ['', 'plain', '"quoted"', 'back\\slash\\', '{[,:]}', 'ünï©ødé 𝕁', '\u2028\n'][random(7)];
    case 2:
      return [null, true, false][random(3)];
    case 3:
      return 'x'.repeat(random(3000));
    case 4:
      return [{}, [], -0.5e-7][random(3)];
    case 5:
    case 6:
      return Array.from({ length: random(40) }, () => anyValue(random, depth - 1));
    default:
      return Object.fromEntries(
        Array.from({ length: random(40) }, (_, i) => [
          `${anyValue(random, 0)} ${i}`,
          anyValue(random, depth - 1),
        ]),
      );
  }
}

it.each(someOf([1, 2, 3, 4, 5, 6]))('gives what JSON.parse gives (seed %i)', async (seed) => {
  const random = randomOf(seed);
  const value = Array.from({ length: 30 }, () => anyValue(random, 3));
  for (const indent of [0, 1]) {
    const text = JSON.stringify(seed % 2 === 0 ? value : { value, other: value }, null, indent);
    expect(text.length).toBeGreaterThan(100_000);
    expect(isDeepStrictEqual(await parse(`\n ${text}\t`), JSON.parse(text))).toBe(true);
  }
});

it('keeps a member that is called __proto__ a member', async () => {
  const text = `{"__proto__":[${'1,'.repeat(50_000)}1],"a":{"__proto__":2}}`;
  const value = (await parse(text)) as object;
  expect(Object.keys(value)).toEqual(['__proto__', 'a']);
  expect(JSON.stringify(value)).toBe(text);
});

it('refuses what JSON.parse refuses', async () => {
  const large = `[${'1,'.repeat(50_000)}1]`;
  for (const wrong of [
    `${large}]`,
    `${large}1`,
    `[${large}`,
    `[${large},]`,
    `[,${large}]`,
    `[${large},,${large}]`,
    `[1,,${large}]`,
    `[1 ${large}]`,
    `[${large} 1]`,
    `[${'1,'.repeat(50_000)}]`,
    `[${'1,'.repeat(50_000)}1}`,
    `{"a":${large},}`,
    `{"a":${large} "b":1}`,
    `{"a" ${large}}`,
    `{a:${large}}`,
    `{"a\n":${large}}`,
    `{${large}}`,
    `["${'x'.repeat(100_000)}]`,
    `[${'+1,'.repeat(50_000)}1]`,
    `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
    'x'.repeat(100_000),
  ]) {
    await expect(parse(wrong)).rejects.toThrow(SyntaxError);
  }
});

it('agrees with JSON.parse on damaged texts', async () => {
  const random = randomOf(7);
  const text = JSON.stringify({ value: Array.from({ length: 30 }, () => anyValue(random, 2)) });
  const outcome = async (read: () => unknown) => {
    try {
      return JSON.stringify(await read());
    } catch (error) {
      return (error as Error).name;
    }
  };
  for (let i = 0; i < 60; i++) {
    const at = random(text.length);
    const damaged = text.slice(0, at) + '"\\,:[]{}x 1'[random(11)] + text.slice(at + random(2));
    expect(await outcome(() => parse(damaged))).toBe(await outcome(() => JSON.parse(damaged)));
  }
});
