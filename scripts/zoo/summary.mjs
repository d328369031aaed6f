/** What a run found, as text. */
import Table from 'cli-table3';
import { TOLERANCE } from './compare.mjs';

export const VERDICTS = ['right', 'partly', 'refused', 'wrong', 'crashed', 'not exportable'];

/** Counts of each verdict by family, and of all. */
export function counts(records) {
  const families = [...new Set(records.map(({ family }) => family))];
  const count = (some) => VERDICTS.map((verdict) => some.filter((each) => each.verdict === verdict).length);
  return [
    ...families.map((family) => {
      const some = records.filter((each) => each.family === family);
      return { family, total: some.length, counts: count(some) };
    }),
    { family: 'all', total: records.length, counts: count(records) },
  ];
}

/** The refusals of a record that a user would see, each once. */
export function refusals({ results = [] }) {
  const texts = results.flatMap(({ product, refused }) =>
    refused === undefined ? [] : [{ product, text: `${refused.code}: ${refused.message}` }],
  );
  return [...new Set(texts.map(({ text }) => text))].map((text) => ({
    text,
    products: texts.filter((each) => each.text === text).map(({ product }) => product),
  }));
}

/** The products of a record whose numbers are wrong. */
export function faults({ results = [] }) {
  return results.filter(({ error }) => error !== undefined && !(error <= TOLERANCE));
}

export function summary(records) {
  const lines = [];
  for (const record of records) {
    const { name, verdict, reason, crashed, failed } = record;
    if (verdict === 'right') continue;
    lines.push(`${name}: ${verdict} ${reason ?? crashed ?? failed ?? ''}`.trimEnd());
    for (const { product, error } of faults(record))
      lines.push(`    WRONG ${product}: ${error?.toExponential(1)}`);
    if (verdict === 'right') continue;
    for (const { text, products } of refusals(record)) {
      lines.push(`    ${products.length > 3 ? `${products.length} products` : products.join(', ')}: ${text}`);
    }
  }
  const table = new Table({
    head: ['family', 'models', ...VERDICTS],
    style: { head: [], border: [] },
    colAligns: ['left', ...Array(VERDICTS.length + 1).fill('right')],
  });
  for (const { family, total, counts: each } of counts(records)) table.push([family, total, ...each]);
  lines.push(table.toString());
  const bad = records.filter(({ verdict }) => verdict === 'wrong' || verdict === 'crashed').length;
  return { text: lines.join('\n'), bad };
}
