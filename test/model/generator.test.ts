import { expect, it } from 'vitest';
import { Generator } from '../../lib/index.ts';

it("draws PyTorch's numbers", () => {
  // torch.manual_seed(0); torch.randn(3); torch.rand(2)
  const generator = new Generator(0);
  const { data, shape } = generator.randn([3]);
  expect(shape).toEqual([3]);
  expect([...data].map((value) => value.toFixed(4))).toEqual(['1.5410', '-0.2934', '-2.1788']);
  expect([...generator.uniform([2]).data].every((value) => value >= 0 && value < 1)).toBe(true);
});

it('keeps streams apart', () => {
  const [a, b] = [new Generator(7), new Generator(7)];
  const first = a.randn([20], { dtype: 'float64' });
  expect(b.randn([20], { dtype: 'float64' })).toEqual(first);
  expect(a.randn([20], { dtype: 'float64' })).not.toEqual(first);
});

it.each([
  [() => new Generator(-1), RangeError],
  [() => new Generator(1.5), RangeError],
  [() => new Generator(2n ** 64n), RangeError],
  [() => new Generator('0' as never), TypeError],
  [() => new Generator(0).randn([-1]), RangeError],
  [() => new Generator(0).randn(3 as never), TypeError],
  [() => new Generator(0).randn([2 ** 40, 2 ** 40]), RangeError],
  [() => new Generator(0).randn([2], { dtype: 'float16' as never }), RangeError],
  [() => new Generator(0).uniform([2], { low: 1, high: 0 }), RangeError],
])('refuses %s', (call, kind) => {
  expect(call).toThrow(kind);
  expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});
