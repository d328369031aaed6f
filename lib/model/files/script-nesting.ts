/**
 * How deeply the code of a TorchScript archive nests. libtorch reads it by functions that call themselves, without a
 * limit: code that nests deeply enough ends the process.
 */
import { damaged } from './failure.ts';
import type { Reading } from './reading.ts';

/** Brackets inside one another, and levels of indentation. Code that PyTorch writes stays far below. */
const DEEPEST = 100;
/** Operators, calls and attributes in one expression between two commas. */
const LONGEST_CHAIN = 1000;

const OPENING = new Set('([{');
const CLOSING = new Set(')]}');
const WORDS =
  /(?:\b(?:not|and|or|if|else|in|is|for)\b|[-+*/%@~<>=.&|^!]+|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|#.*|[()[\]{},\n]|[^\S\n]+|\w+|.)/gu;

/** @throws TorchCurvatureError `ERR_MODEL_LOAD` for code that nests deeper than code that PyTorch writes */
export async function checkNesting(code: string, name: string, reading: Reading): Promise<void> {
  const refuse = () => damaged(`${name} nests its code more deeply than PyTorch writes it`);
  // PyTorch writes none, and where such a string ends is told in more than one way.
  if (/"""|'''/.test(code)) throw damaged(`${name} has a string of a kind that PyTorch does not write`);
  const deepest = reading.nesting(DEEPEST);
  let depth = 0;
  let chain = 0;
  let beginning = true;
  let seen = 0;
  for (const [token] of code.matchAll(WORDS)) {
    if (++seen % 1024 === 0) await reading.pass();
    if (token === '\n') {
      beginning = true;
      if (depth === 0) chain = 0;
    } else if (token === ',') {
      chain = 0;
    } else if (/^\s/.test(token)) {
      if (beginning && token.length > 2 * deepest) throw refuse();
      continue;
    } else if (OPENING.has(token)) {
      depth += 1;
      chain += 1;
    } else if (CLOSING.has(token)) {
      depth = Math.max(0, depth - 1);
    } else if (/^(?:\W|(?:not|and|or|if|else|in|is|for)$)/u.test(token) && !/^["'#]/.test(token)) {
      chain += token.length > 3 && !/^\w/.test(token) ? token.length : 1;
    }
    beginning &&= token === '\n';
    if (depth > deepest || chain > LONGEST_CHAIN) throw refuse();
  }
}
