/**
 * Environment markers of Python packages (PEP 508): `sys_platform == 'linux' and (a < "3.12" or extra == "x")`.
 */

const TOKEN = /\s*(<=|>=|==|!=|<|>|\(|\)|'[^']*'|"[^"]*"|[\w.]+)/gy;

/**
 * @param {string} marker
 * @param {Record<string, string>} environment values of the variables
 * @returns {boolean}
 */
export function evaluateMarker(marker, environment) {
  const tokens = [...marker.matchAll(TOKEN)].map((found) => found[1]);
  let next = 0;

  const either = () => {
    let value = both();
    while (tokens[next] === 'or') {
      next += 1;
      value = both() || value;
    }
    return value;
  };
  const both = () => {
    let value = single();
    while (tokens[next] === 'and') {
      next += 1;
      value = single() && value;
    }
    return value;
  };
  const single = () => {
    if (tokens[next] !== '(') return comparison();
    next += 1;
    const value = either();
    next += 1; // the closing parenthesis
    return value;
  };
  const comparison = () => {
    const [left, operator, right] = tokens.slice(next, next + 3);
    next += 3;
    return compare(operand(left), operator, operand(right));
  };
  /** @param {string} token */
  const operand = (token) => (/^['"]/.test(token) ? token.slice(1, -1) : (environment[token] ?? ''));

  return either();
}

/**
 * @param {string} left
 * @param {string} operator
 * @param {string} right
 */
function compare(left, operator, right) {
  if (operator === '==') return left === right;
  if (operator === '!=') return left !== right;
  const order = left.localeCompare(right, 'en', { numeric: true }); // 3.9 before 3.11
  return { '<': order < 0, '<=': order <= 0, '>': order > 0, '>=': order >= 0 }[operator] ?? false;
}
