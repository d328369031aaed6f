/** Programs of users: both products of a small network, which have to agree. */
const NAMES = 'Generator, Model, matvecDense, matvecOnTheFly, nn';

const PRODUCTS = `
async function products() {
  const model = Model.sequential([nn.linear(2, 8), nn.tanh(), nn.linear(8, 1)]);
  const generator = new Generator(0);
  const problem = { model, params: model.init({ generator }), x: generator.randn([16, 2]) };
  const v = generator.randn([model.parameterCount]).data;
  const [a, b] = await Promise.all([matvecOnTheFly(problem, v), matvecDense(problem, v)]);
  const difference = Math.max(...a.map((value, i) => Math.abs(value - b[i])));
  return a.length + ' ' + (difference < 1e-4 ? 'agree' : difference);
}
`;

/** What the programs print. */
export const OUTPUT = '33 agree\n';

const PRINT = 'products().then((text) => console.log(text));\n';

export const ESM = `import { ${NAMES} } from 'torch-curvature';${PRODUCTS}${PRINT}`;
export const CJS = `const { ${NAMES} } = require('torch-curvature');${PRODUCTS}${PRINT}`;

export const JEST = `const { ${NAMES} } = require('torch-curvature');${PRODUCTS}
test('products agree', async () => {
  expect(await products()).toBe('33 agree');
});
test('errors are errors', async () => {
  await expect(matvecOnTheFly({ model: Model.sequential([nn.tanh()]) }, 3)).rejects.toThrow(/^params should be/);
});
`;
