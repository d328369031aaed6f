export const STYLE = `
:root { --ink: #1b1f24; --paper: #ffffff; --grid: #d8dde3; --dense: #c2410c; --fly: #0369a1; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --paper: #14171a; --grid: #343a41; --dense: #fb923c; --fly: #38bdf8; }
}
body { margin: 2rem auto; max-width: 66rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.1rem; margin-bottom: 0.25rem; }
.plot { width: 100%; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.table th, .table td { padding: 0.25rem 0.6rem; border-bottom: 1px solid var(--grid); text-align: right;
  white-space: nowrap; font-size: 0.875rem; }
.u-legend { color: var(--ink); }
.u-legend .u-marker { border-radius: 2px; }
`;
