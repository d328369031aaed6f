/** What native code and TypeScript both have a list of are one list: a row on each side, or neither. */
import { expect, test } from 'vitest';
import { addon } from '../../lib/addon/addon.ts';
import { ABORTED, ERROR_CODES } from '../../lib/errors.ts';
import * as api from '../../lib/index.ts';
import { MODEL_OPERATORS } from '../../lib/operators/kinds.ts';
import { LOSSES } from '../../lib/problem/losses.ts';

/** Failures that TypeScript finds by itself. */
const OWN_CODES = [
  'ERR_ACCESS_DENIED',
  'ERR_ADDON_MISSING',
  'ERR_LIBTORCH_MISSING',
  'ERR_LIBTORCH_VERSION',
  'ERR_UNTRUSTED_MODEL',
];

const sorted = (names: readonly string[]) => [...names].sort();

test('native code fails with the codes that are documented, and with no other', () => {
  expect(sorted([...addon().tables().errorCodes, ...OWN_CODES])).toEqual(
    sorted([ABORTED, ...Object.keys(ERROR_CODES)]),
  );
});

test('every loss and every operator of native code has a row here, and the other way round', () => {
  const { losses, operators } = addon().tables();
  expect(sorted(losses)).toEqual(sorted(Object.keys(LOSSES)));
  expect(sorted(operators)).toEqual(sorted(Object.keys(MODEL_OPERATORS)));
});

test('every operator and every solver of native code has a function of its name, and a twin', () => {
  const { operators, solvers } = addon().tables();
  expect(solvers.length).toBeGreaterThanOrEqual(6);
  // The estimate of a diagonal is called as the exact one is.
  const names = [...operators, ...solvers].map((name) => (name === 'stochasticDiagonal' ? 'diagonal' : name));
  for (const name of names.flatMap((name) => [name, `${name}Sync`])) {
    expect(api, name).toHaveProperty(name, expect.any(Function));
  }
});

test('the fused engine has kernels for activations that are in one table with rules', () => {
  const { activations, rules } = addon().tables();
  expect(activations).toContain('aten::gelu');
  expect(rules).toContain('aten::linear');
});
