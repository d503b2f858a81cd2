// The curves, drawn by uPlot: each is made when its first data comes, and again when the colours of the page change.

/* global uPlot */
const ALL = [];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function around(_, low, high) {
  const room = 0.08 * (high - low || 2);
  return [low - room, high + room];
}

// Times come in seconds and are shown in what suits the longest of them.
const UNITS = [[7200, 3600, "hours"], [120, 60, "minutes"], [0, 1, "seconds"]];
const TIME = "time";

export class Chart {
  // kind: points (with a mean), line, lines (two) or bars. words: {x, y} of the axes; x may be "time".
  constructor(id, kind, words) {
    this.box = document.getElementById(id);
    this.kind = kind;
    this.words = words;
    this.plot = null;
    this.data = null;
    this.unit = null;
    this.say("Nothing to draw yet.");
    ALL.push(this);
  }

  say(words) {
    const empty = document.createElement("div");
    empty.className = "empty";
    empty.textContent = words;
    this.box.replaceChildren(empty);
  }

  set(data) {
    if (!data || data[0].length < (this.kind.startsWith("line") ? 2 : 1)) return;
    const [, size, unit] = this.words.x === TIME ? UNITS.find(([least]) => data[0].at(-1) >= least) : [0, 1, this.words.x];
    this.data = size === 1 ? data : [data[0].map((x) => x / size), ...data.slice(1)];
    if (this.plot && unit === this.unit) this.plot.setData(this.data);
    else {
      this.unit = unit;
      this.make();
    }
  }

  make() {
    if (!this.data) return;
    this.plot?.destroy();
    this.box.replaceChildren();
    const axis = (label, size) => ({
      stroke: colour("--soft"),
      grid: { stroke: colour("--grid"), width: 1 },
      ticks: { show: false },
      font: "12px system-ui, sans-serif",
      labelFont: "12px system-ui, sans-serif",
      label,
      labelSize: 18,
      size,
    });
    const blue = colour("--blue");
    const series = {
      points: [
        { stroke: colour("--soft"), width: 0, paths: () => null, points: { show: true, size: 4, stroke: colour("--soft"), fill: colour("--card") } },
        { stroke: blue, width: 2.5, points: { show: false } },
      ],
      lines: [
        { stroke: blue, width: 2, points: { show: false } },
        { stroke: colour("--soft"), width: 1.5, points: { show: false } },
      ],
      line: [{ stroke: blue, width: 2, points: { show: false } }],
      bars: [{ stroke: blue, fill: blue, width: 0, paths: uPlot.paths.bars({ size: [0.8, 60] }), points: { show: false } }],
    }[this.kind];
    const whole = (_, values) => values.map((value) => (Number.isInteger(value) ? String(value) : ""));
    this.plot = new uPlot(
      {
        width: this.box.clientWidth,
        height: this.box.clientHeight,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: false, range: this.kind === "bars" ? () => [this.data[0][0] - 0.6, this.data[0].at(-1) + 0.6] : undefined },
          y: { range: this.kind === "points" || this.kind === "lines" ? around : (_, low, high) => [0, high > 0 ? high * 1.1 : 1] },
        },
        axes: [
          { ...axis(this.unit, 30), ...(this.kind === "bars" ? { values: whole } : {}) },
          axis(this.words.y, 48),
        ],
        series: [{}, ...series],
      },
      this.data,
      this.box
    );
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => ALL.forEach((chart) => chart.make()));
new ResizeObserver(() => {
  for (const chart of ALL) chart.plot?.setSize({ width: chart.box.clientWidth, height: chart.box.clientHeight });
}).observe(document.body);
