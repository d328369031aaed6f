/** A report as one HTML file that needs nothing beside it: data, styles and the plotting library are inside. */
import { library, libraryStyle, script, style } from './assets.mjs';

/** @param {import('./page.d.mts').Page} page */
export function page({ title, introduction = '', sections }) {
  const plots = sections.flatMap(({ plot }, i) => (plot ? [{ id: idOf(sections[i], i), ...plot }] : []));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<style>${libraryStyle}</style>
<style>${style}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
${introduction ? `<p>${escapeHtml(introduction)}</p>` : ''}
${sections.map(sectionHtml).join('\n')}
<script>${insideScript(library)}</script>
<script>${insideScript(script)}
drawPlots(${JSON.stringify(plots).replace(/</g, '\\u003c')});
</script>
</body>
</html>
`;
}

/** @param {import('./page.d.mts').Section} section */
function sectionHtml(section, i) {
  const { title, plot, table, notes = [] } = section;
  return `<section><h2>${escapeHtml(title)}</h2>
${plot ? `<div class="plot" id="${idOf(section, i)}"></div>` : ''}
${table ? tableHtml(table) : ''}
${notes.map((note) => `<p>${escapeHtml(note)}</p>`).join('\n')}
</section>`;
}

/** @param {import('./page.d.mts').Table} table */
function tableHtml({ head, rows }) {
  const row = (cells, tag) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(String(cell))}</${tag}>`).join('')}</tr>`;
  return `<div class="table"><table>
<thead>${row(head, 'th')}</thead>
<tbody>
${rows.map((cells) => row(cells, 'td')).join('\n')}
</tbody></table></div>`;
}

function idOf({ id }, i) {
  return id ?? `plot-${i}`;
}

/** @param {string} text */
function escapeHtml(text) {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

/** Keeps a script from ending its element by what it has in strings. */
function insideScript(text) {
  return text.replace(/<\/(script)/gi, '<\\/$1').replace(/<!--/g, '<\\!--');
}
