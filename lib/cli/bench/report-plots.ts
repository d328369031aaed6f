/** The script of the report: plain JavaScript for the browser, with `uPlot` and `sweep` in scope. */
export const PLOTS = `
(() => {
  // A batch sweep leaves P as it is, so the batch is the axis then.
  const byBatch = sweep.axis === 'batch';
  const abscissa = byBatch ? 'batch' : 'P (parameters)';
  const points = [...sweep.points].sort((a, b) => position(a) - position(b));
  function position(point) { return byBatch ? point.batch : point.parameterCount; }
  const x = points.map(position);

  const units = (steps) => (value) => {
    if (value == null) return '–';
    const [size, name] = steps.findLast(([size]) => value >= size) ?? steps[0];
    return Number((value / size).toPrecision(3)) + ' ' + name;
  };
  const time = units([[1e-3, 'µs'], [1, 'ms'], [1e3, 's']]);
  const bytes = units([[1, 'B'], [1e3, 'kB'], [1e6, 'MB'], [1e9, 'GB'], [1e12, 'TB']]);
  const count = (value) => value == null ? '–' : value.toLocaleString('en');

  const charts = [
    {
      id: 'time', label: 'minimum time', format: time,
      series: [
        { label: 'dense', color: '--dense', data: points.map((p) => p.dense?.minMs ?? null) },
        { label: 'on-the-fly', color: '--fly', data: points.map((p) => p.onTheFly.minMs) },
      ],
    },
    {
      id: 'memory', label: 'peak memory', format: bytes,
      series: [
        { label: 'dense', color: '--dense', data: points.map((p) => positive(p.dense?.peakBytes)) },
        { label: 'on-the-fly', color: '--fly', data: points.map((p) => positive(p.onTheFly.peakBytes)) },
        { label: 'J and JᵀJ alone (computed)', color: '--dense', dash: [5, 5], data: points.map((p) => p.denseEstimateBytes) },
      ],
    },
  ];
  // A logarithmic axis has no place for zero.
  function positive(value) { return value > 0 ? value : null; }

  // Whole decades, so that every axis has labeled marks.
  function decades(plot, low, high) {
    if (low == null || high == null) return [1, 10];
    const from = Math.floor(Math.log10(low));
    const to = Math.ceil(Math.log10(high));
    return [10 ** from, 10 ** Math.max(to, from + 1)];
  }
  const leadingDigit = (value) => Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9));
  const readable = (plot, marks) => {
    const wide = Math.log10(marks.at(-1) / marks[0]) > 3;
    return marks.map((mark) => ((wide ? [1] : [1, 2, 5]).includes(leadingDigit(mark)) ? mark : null));
  };

  let drawn = [];
  function draw() {
    for (const plot of drawn) plot.destroy();
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = (label, format, size) => ({
      label, stroke: color('--ink'), size,
      grid: { stroke: color('--grid'), width: 1 }, ticks: { stroke: color('--grid'), width: 1 },
      filter: readable, values: (plot, marks) => marks.map((mark) => (mark == null ? '' : format(mark))),
    });
    drawn = charts.map(({ id, label, format, series }) => {
      const parent = document.getElementById(id);
      return new uPlot({
        width: parent.clientWidth, height: 360, padding: [null, 32, null, null],
        scales: { x: { time: false, distr: 3, range: decades }, y: { distr: 3, range: decades } },
        axes: [axis(abscissa, count, 50), axis(label, format, 80)],
        series: [
          { label: abscissa, value: (plot, value) => count(value) },
          ...series.map((each) => ({
            label: each.label, stroke: color(each.color), width: 2, dash: each.dash,
            points: { show: !each.dash, size: 7, fill: color(each.color) }, value: (plot, value) => format(value),
          })),
        ],
      }, [x, ...series.map((each) => each.data)], parent);
    });
  }
  draw();
  addEventListener('resize', draw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
})();
`;
