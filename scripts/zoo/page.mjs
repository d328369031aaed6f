/** scripts/docs/zoo.md: what of public model code works. */
import { TOLERANCE } from './compare.mjs';
import { counts, refusals, VERDICTS } from './summary.mjs';

/** On one line, without the paths of a build. */
const cell = (text) =>
  String(text)
    .replace(/ at "[^"]+":\d+/g, '')
    .replaceAll('|', '\\|')
    .replaceAll('\n', ' ');
const row = (cells) => `| ${cells.map(cell).join(' | ')} |`;
const table = (header, rows) => [row(header), row(header.map(() => '---')), ...rows.map(row)].join('\n');

export function zooPage(records) {
  const details = records.map((record) => {
    const {
      name,
      parameters = '',
      dynamic,
      exportedRows,
      independent,
      verdict,
      failed,
      crashed,
      oracle = '',
    } = record;
    const batch = dynamic === undefined ? '' : dynamic ? 'any' : exportedRows;
    const words =
      failed ??
      crashed ??
      (verdict === 'right' && independent ? '' : (refusals(record).map(({ text }) => text)[0] ?? ''));
    return [
      `\`${name}\``,
      parameters,
      batch,
      independent === false ? 'no' : '',
      verdict,
      oracle.startsWith('forward mode') ? '' : oracle,
      words,
    ];
  });
  const families = [...new Set(records.map(({ family }) => family))];
  return `# Public model code

\`npm run zoo\` writes this page. Each model has random weights and is exported by \`torch.export\` in float64 and \`eval()\`; what this
package computes is compared with \`torch.func\`: forward, J v, Jᵀu, JᵀJ v (in one shot, linearized once, by autograd, whole and in chunks of
two rows), JJᵀu, the dense products, and for mean squared error and cross-entropy the value, the gradient, and the products of the
Gauss–Newton matrix and the Hessian. A relative difference above ${TOLERANCE} is wrong.

- right: every product. Where rows depend on one another, what would cut them apart is refused, which counts as right.
- partly: some products are refused, the others are right.
- refused: the model is, with the words of the last column.
- not exportable: PyTorch itself cannot export the model or differentiate it by torch.func, for the reason in the last column.

Conversions to float32 in a model's code are to float64 here, so that all is in one precision. "Batch" is the number of rows that a file
is for (it runs any multiple of it), or any. The oracle of J v is forward mode, checked by double backward, unless said otherwise.

${table(
  ['family', 'models', ...VERDICTS],
  counts(records).map(({ family, total, counts: each }) => [family, total, ...each]),
)}

${families
  .map(
    (family) => `## ${family}

${table(
  ['model', 'parameters', 'batch', 'rows independent', 'verdict', 'oracle, where not forward mode', 'words'],
  details.filter((_, index) => records[index].family === family),
)}
`,
  )
  .join('\n')}`;
}
