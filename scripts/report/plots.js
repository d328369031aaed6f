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
  const plain = (value) => {
    const rounded = +value.toPrecision(4);
    return Math.abs(rounded) < 1e7 ? String(rounded) : rounded.toExponential().replace('+', '');
  };
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
  /** Marks of a logarithmic axis whose labels have room one above the other. */
  const MOST_DECADES = 16;
  // uPlot's own marks end at 1e-32 and beyond some decades in an endless loop.
  function marksOf(_, __, low, high) {
    const [from, to] = [low, high].map((each) => Math.round(Math.log10(each)));
    const stride = Math.ceil((to - from) / MOST_DECADES);
    const marks = [];
    for (let decade = from; decade <= to; decade += stride) {
      marks.push(10 ** decade);
      if (stride > 1 || decade === to) continue;
      for (let digit = 2; digit < 10; digit++) marks.push(digit * 10 ** decade);
    }
    return marks;
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
      ...(logarithmic && { splits: marksOf, filter: readable }),
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
