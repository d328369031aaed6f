/** Draws the plots of a report. Runs in the browser, with `uPlot` in scope; `page.d.mts` says what a plot is. */
globalThis.drawPlots = (plots) => {
  const units = (steps) => (value) => {
    const [size, name] = steps.findLast(([size]) => value >= size) ?? steps[0];
    return `${Number((value / size).toPrecision(3))} ${name}`;
  };
  const formats = {
    ms: units([
      [1e-3, 'µs'],
      [1, 'ms'],
      [1e3, 's'],
    ]),
    bytes: units([
      [1, 'B'],
      [1e3, 'kB'],
      [1e6, 'MB'],
      [1e9, 'GB'],
      [1e12, 'TB'],
    ]),
    count: (value) => value.toLocaleString('en'),
  };
  const plain = (value) => String(+value.toPrecision(4));
  const formatOf = ({ unit }) => {
    const format = formats[unit] ?? plain;
    return (value) => (value == null ? '–' : format(value));
  };

  // Whole decades, so that every logarithmic axis has labeled marks.
  function decades(_, low, high) {
    if (low == null || high == null) return [1, 10];
    const from = Math.floor(Math.log10(low));
    const to = Math.ceil(Math.log10(high));
    return [10 ** from, 10 ** Math.max(to, from + 1)];
  }
  const leadingDigit = (value) => Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9));
  function readable(_, marks) {
    const wide = Math.log10(marks.at(-1) / marks[0]) > 3;
    return marks.map((mark) => ((wide ? [1] : [1, 2, 5]).includes(leadingDigit(mark)) ? mark : null));
  }
  const scale = ({ logarithmic }) => (logarithmic ? { distr: 3, range: decades } : {});

  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(`--${name}`).trim();
  const palette = ['blue', 'orange', 'green'];

  function axis({ label, logarithmic, unit }, size) {
    const format = formatOf({ unit });
    return {
      label,
      stroke: color('ink'),
      size,
      grid: { stroke: color('grid'), width: 1 },
      ticks: { stroke: color('grid'), width: 1 },
      ...(logarithmic && { filter: readable }),
      values: (_, marks) => marks.map((mark) => (mark == null ? '' : format(mark))),
    };
  }

  function curveOf({ label, color: name, dashed, dots }, i, value) {
    const stroke = color(name ?? palette[i % palette.length]);
    return {
      label,
      value,
      stroke,
      width: dots === 'only' ? 0 : 2,
      ...(dashed && { dash: [6, 4] }),
      points: dots ? { show: true, size: dots === 'only' ? 8 : 7, fill: stroke } : { show: false },
    };
  }

  let drawn = [];
  function draw() {
    for (const plot of drawn) plot.destroy();
    drawn = plots.map(({ id, x, y, curves }) => {
      const parent = document.getElementById(id);
      const value = (axis) => (_, each) => formatOf(axis)(each);
      return new uPlot(
        {
          width: parent.clientWidth,
          height: 360,
          padding: [null, 32, null, null],
          scales: { x: { time: false, ...scale(x) }, y: scale(y) },
          axes: [axis(x, 50), axis(y, 80)],
          series: [
            { label: x.label, value: value(x) },
            ...curves.map((curve, i) => curveOf(curve, i, value(y))),
          ],
        },
        uPlot.join(curves.map((curve) => [curve.x, curve.y])),
        parent,
      );
    });
  }
  draw();
  addEventListener('resize', draw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
};
