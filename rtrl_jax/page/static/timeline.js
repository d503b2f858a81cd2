// The stagger timeline: workers as rows, inferences as bars, and above them the ticks with what acted.
// What became of an inference shows in its form and in its colour: filled, hatched, crossed.

export const APPLIED = 0, OVERWRITTEN = 1, STALE = 2;
const LABEL = 74;
const TOP = 30;
const MOST_KEPT = 4000;

function colours() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(name).trim();
  return { ink: get("--ink"), soft: get("--soft"), grid: get("--grid"), card: get("--card"), blue: get("--blue"), orange: get("--orange"), red: get("--red") };
}

export function bar(context, x, y, width, height, status, c) {
  width = Math.max(2, width);
  if (status === APPLIED) {
    context.fillStyle = c.blue;
    context.fillRect(x, y, width, height);
    return;
  }
  const colour = status === OVERWRITTEN ? c.orange : c.red;
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.fillStyle = c.card;
  context.fill();
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.beginPath();
  if (status === OVERWRITTEN) {
    for (let at = x - height - ((x - height) % 5); at < x + width; at += 5) {
      context.moveTo(at, y + height);
      context.lineTo(at + height, y);
    }
  } else {
    context.moveTo(x, y);
    context.lineTo(x + width, y + height);
    context.moveTo(x, y + height);
    context.lineTo(x + width, y);
  }
  context.stroke();
  context.restore();
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.strokeRect(x + 0.75, y + 0.75, Math.max(1, width - 1.5), height - 1.5);
}

export function cell(context, x, y, width, height, isDefault, text, c) {
  if (isDefault) {
    context.strokeStyle = c.ink;
    context.lineWidth = 1;
    context.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 2), height - 1);
  } else {
    context.fillStyle = c.blue;
    context.fillRect(x, y, Math.max(1, width - 1), height);
  }
  if (width > 11 && text) {
    context.fillStyle = isDefault ? c.ink : c.card;
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(text, x + width / 2, y + height / 2 + 1);
  }
}

export function legend(list) {
  const entries = [
    ["its action acted", (x, c) => bar(x, 2, 2, 30, 12, APPLIED, c)],
    ["overwritten by a newer one", (x, c) => bar(x, 2, 2, 30, 12, OVERWRITTEN, c)],
    ["stale, too late to act", (x, c) => bar(x, 2, 2, 30, 12, STALE, c)],
    ["β acted: no answer was ready", (x, c) => cell(x, 9, 1, 18, 14, true, "β", c)],
  ];
  list.replaceChildren(
    ...entries.map(([words, draw]) => {
      const item = document.createElement("li");
      const swatch = document.createElement("canvas");
      swatch.width = 68;
      swatch.height = 32;
      const context = swatch.getContext("2d");
      context.scale(2, 2);
      draw(context, colours());
      item.append(swatch, words);
      return item;
    })
  );
}

export class Timeline {
  constructor(canvas) {
    this.canvas = canvas;
    this.ticks = [];
    this.decisions = [];
    this.workers = 1;
    this.elsewhere = {};
    this.tickMs = 16;
    this.actions = [];
  }

  clear() {
    this.ticks = [];
    this.decisions = [];
  }

  add(ticks, decisions) {
    this.ticks = this.ticks.concat(ticks).slice(-MOST_KEPT);
    this.decisions = this.decisions.concat(decisions).slice(-MOST_KEPT);
  }

  get row() {
    return Math.max(4, Math.min(22, Math.floor(440 / this.workers)));
  }

  // Draws what happened between two instants, in ms of the run.
  draw(from, to) {
    const ratio = window.devicePixelRatio || 1;
    const width = this.canvas.clientWidth;
    const height = TOP + this.workers * this.row + 24;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      this.canvas.style.height = `${height}px`;
    }
    const context = this.canvas.getContext("2d");
    const c = colours();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const x = (at) => LABEL + ((at - from) / (to - from)) * (width - LABEL);
    const y = (worker) => TOP + worker * this.row;
    context.save();
    context.beginPath();
    context.rect(LABEL, 0, width - LABEL, height);
    context.clip();
    const at = new Map();
    const span = (this.tickMs / (to - from)) * (width - LABEL);
    for (const [index, [tick, when, , worker, action]] of this.ticks.entries()) {
      at.set(tick, when);
      const following = this.ticks[index + 1];
      const until = following && following[0] === tick + 1 ? following[1] : when + this.tickMs;
      if (until < from || when > to) continue;
      if (span > 3) {
        context.fillStyle = c.grid;
        context.fillRect(x(when), TOP - 4, 1, this.workers * this.row + 4);
      }
      cell(context, x(when), 4, x(until) - x(when), 18, worker < 0, worker < 0 ? "β" : span > 22 ? String(action) : "", c);
    }
    const high = Math.max(2, this.row - 5);
    for (const [worker, start, end, , status, applied, , trunkEnd, headStart] of this.decisions) {
      const acts = status === APPLIED ? at.get(applied) : undefined;
      if (Math.max(end, acts ?? end) < from || start > to) continue;
      if (acts !== undefined && this.workers <= 12) {
        context.strokeStyle = c.soft;
        context.lineWidth = 1;
        context.setLineDash([1, 3]);
        context.beginPath();
        context.moveTo(x(end), y(worker) + high / 2);
        context.lineTo(x(acts), y(worker) + high / 2);
        context.lineTo(x(acts), 22);
        context.stroke();
        context.setLineDash([]);
      }
      // With a late head: the trunk, a line for the wait, and the head, which would be too small to see.
      bar(context, x(start), y(worker), x(trunkEnd) - x(start), high, status, c);
      if (headStart > trunkEnd) {
        context.fillStyle = c.soft;
        context.fillRect(x(trunkEnd), y(worker) + high / 2 - 0.5, x(headStart) - x(trunkEnd), 1);
        bar(context, x(headStart), y(worker), Math.max(3, x(end) - x(headStart)), high, status, c);
      }
    }
    context.restore();
    context.fillStyle = c.soft;
    context.font = "12px system-ui, sans-serif";
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText("acts", 0, 14);
    const every = Math.max(1, Math.ceil(15 / this.row));
    for (let worker = 0; worker < this.workers; worker += every) {
      const name = `worker ${worker}`;
      context.fillText(this.elsewhere[name] ? `${name} on ${this.elsewhere[name]}` : name, 0, y(worker) + high / 2, LABEL - 4);
    }
    this.axis(context, from, to, x, TOP + this.workers * this.row + 10, c);
  }

  axis(context, from, to, x, y, c) {
    const steps = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000];
    const step = steps.find((one) => (to - from) / one <= 9) || (to - from) / 5;
    context.fillStyle = c.soft;
    context.textAlign = "center";
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
      if (at < 0 || x(at) < LABEL + 16 || x(at) > this.canvas.clientWidth - 20) continue;
      context.fillText(`${(at / 1000).toFixed(step < 100 ? 2 : step < 1000 ? 1 : 0)} s`, x(at), y);
    }
  }
}
