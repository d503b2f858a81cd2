// The page of a run, in progress or ended: takes in messages and hands them to the screens, the figures, the timeline and the charts.

import { connect, painter } from "./wire.js";
import { Timeline, legend } from "./timeline.js";
import { Chart } from "./charts.js";

const $ = (id) => document.getElementById(id);
const ANOTHER_ORIGIN_MS = 5000;
const BEHIND_MS = 250; // the timeline runs so far behind, so that what it shows has been judged
const paint = { picture: painter($("picture")), observation: painter($("observation")) };
const timeline = new Timeline($("timeline"));
const charts = {
  returns: new Chart("returns", "points", { x: "time", y: "return" }),
  progress: new Chart("progress", "line", { x: "time", y: "wins" }),
  delays: new Chart("delays", "bars", { x: "ticks", y: "actions" }),
  inaction: new Chart("inaction", "line", { x: "time", y: "%" }),
  values: new Chart("values", "lines", { x: "updates", y: "Q" }),
  inactive: new Chart("inactive", "line", { x: "updates", y: "%" }),
};
const state = { hello: null, paused: false, ended: false, offset: null, window: null };

const number = (value, digits = 1) =>
  value === null || value === undefined ? "–" : value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits });
const short = (value) => (value === null ? "–" : value.toLocaleString("en", { maximumSignificantDigits: 3 }));
const percent = (share) => (share > 0 && share < 0.001 ? "less than 0.1 %" : `${number(100 * share, share < 0.1 ? 1 : 0)} %`);

function notice(words) {
  $("notice").textContent = words || "";
  $("notice").hidden = !words;
}

function greet(message) {
  state.hello = message;
  state.offset = null;
  const live = message.mode === "live";
  document.title = `${message.environment} – rtrl_jax`;
  $("title").textContent = message.environment;
  const way = message.interaction === "async"
    ? `${message.workers} inference worker${message.workers === 1 ? "" : "s"}, ${message.stagger}`
    : "one process that thinks, then acts";
  const parts = [live ? "live" : `the run ${message.name}, from its records`, way, `${number(message.rate_hz, 2)} ticks a second`];
  if (message.emulated) parts.push(`inference emulated: ${message.emulated} ms`);
  if (message.elsewhere["learner 0"]) parts.push(`learners on ${message.elsewhere["learner 0"]}`);
  $("subtitle").textContent = parts.join(" · ");
  $("controls").hidden = !live;
  $("game").hidden = !live;
  document.querySelector(".top").classList.toggle("numeric", !message.images);
  document.querySelector(".screens").hidden = !message.images && !message.pictures;
  $("picture-figure").hidden = !message.pictures;
  $("observation-figure").hidden = !message.images;
  $("numbers").hidden = message.images;
  $("foot").textContent = live
    ? "Figures are of the last five seconds. Pausing freezes this page only: the world never pauses."
    : "Figures are of the whole run. A run keeps no pictures; --video films it.";
  $("going").textContent = live ? "How it is going" : "How it went";
  timeline.clear();
  timeline.workers = message.workers;
  timeline.elsewhere = message.elsewhere;
  timeline.tickMs = 1000 / message.rate_hz;
  timeline.actions = message.actions;
  notice("");
  figures(message);
  if (live) {
    timeline.add(message.ticks, message.decisions);
    keepTime(message.now);
    return;
  }
  $("scrub").hidden = false;
  $("slider").min = message.first_tick;
  $("slider").max = message.last_tick;
  $("slider").value = Math.min(message.last_tick, message.first_tick + 100);
  ask();
}

function keepTime(now) {
  const offset = performance.now() - now;
  // The quickest message tells best. Until the run begins its clock has another origin.
  const moved = state.offset === null || Math.abs(offset - state.offset) > ANOTHER_ORIGIN_MS;
  state.offset = moved ? offset : Math.min(offset, state.offset + 0.5);
}

function figures(message) {
  const f = message.figures;
  if (!f) return;
  const live = state.hello.mode === "live";
  const rows = [
    ["ticks a second", number(f.measured_rate_hz, 2), ""],
    ["lateness, p99", number(f.lateness_ms.p99, 2), "ms"],
    ["inaction", f.inaction === null ? "–" : percent(f.inaction), ""],
    ["delay", number(f.delay.mean, 1), "ticks"],
    ["inference time τ_θ", number(f.inference.tau_network_ms, 1), "ms"],
    ["updates a second", state.hello.learns ? number(f.learning.updates_per_s, 1) : "–", ""],
    ["gradient staleness", state.hello.learns ? number(f.learning.delay_mean, 2) : "–", "updates"],
    ["exploratory actions", f.inference.exploratory === null ? "–" : percent(f.inference.exploratory), ""],
    ["overwritten or stale", String(f.inference.overwritten + f.inference.stale), `of ${f.inference.applied + f.inference.overwritten + f.inference.stale}`],
    ["ticks so far", number(f.all_ticks, 0), ""],
    ["updates so far", number(f.all_updates, 0), ""],
    ["episodes", number(f.episodes.count, 0), ""],
    ["return of this one", number(f.episodes.return_so_far, Number.isInteger(f.episodes.return_so_far) ? 0 : 1), ""],
  ];
  if (f.inference.told_all !== null)
    rows.splice(5, 0, ["late head knew all", percent(f.inference.told_all), `head ${number(f.inference.head_p50_ms, 2)} ms`]);
  if (!live) rows.splice(rows.findIndex(([name]) => name === "ticks so far"), 1, ["ticks", number(f.all_ticks, 0), ""], ["late ticks", number(f.late_ticks, 0), ""]);
  if (state.hello.learns) {
    const of = f.learning;
    rows.push(
      ["mean Q", short(of.q), `target ${short(of.target_q)}`],
      ["mean |TD error|", short(of.td_error), ""],
      ["gradient norm", short(of.gradient_norm), ""],
      ["inactive units", of.inactive === null ? "–" : percent(of.inactive), ""]
    );
  }
  if (message.progress) rows.push(["encounters won", number(f.progress.wins, 0), `of ${f.progress.wins + f.progress.losses}`]);
  $("figures").replaceChildren(
    ...rows.map(([name, value, unit]) => {
      const row = document.createElement("div");
      const term = document.createElement("dt");
      const detail = document.createElement("dd");
      const small = document.createElement("small");
      term.textContent = name;
      small.textContent = unit === "" || value === "–" ? "" : ` ${unit}`;
      detail.append(value, small);
      row.append(term, detail);
      return row;
    })
  );
  if (f.inaction !== null) {
    const age = f.delay.mean === null ? "" : ` An action came ${number(f.delay.mean, 1)} ticks after the observation it answers.`;
    $("finding").textContent = `β, the default action, filled ${percent(f.inaction)} of the ticks because no answer was ready.${age}`;
  }
  charts.returns.set(message.returns && [message.returns.x, message.returns.y, message.returns.mean]);
  charts.delays.set([message.delays.x, message.delays.y]);
  charts.inaction.set([message.inaction.x, message.inaction.y]);
  $("learning").hidden = !state.hello.learns;
  if (state.hello.learns) {
    charts.values.set([message.values.x, message.values.y, message.values.target]);
    charts.inactive.set([message.inactive.x, message.inactive.y]);
  }
  $("progress-card").hidden = !message.progress;
  if (message.progress) charts.progress.set([message.progress.x, message.progress.y]);
}

function frame(message, pictures) {
  keepTime(message.now);
  timeline.add(message.ticks, message.decisions);
  if (state.paused) return;
  notice(message.waiting ? "The run is getting ready: its processes warm up." : "");
  if (message.picture) paint.picture(pictures[message.picture - 1]);
  if (message.observation) paint.observation(pictures[message.observation - 1]);
  if (message.numbers) $("numbers").textContent = `The agent sees the numbers ${message.numbers.map((n) => n?.toFixed(3) ?? "–").join(", ")}`;
  figures(message);
}

function hear(message, pictures) {
  if (message.type === "hello") greet(message);
  else if (message.type === "frame") frame(message, pictures);
  else if (message.type === "window") {
    timeline.clear();
    timeline.add(message.ticks, message.decisions);
    state.window = [message.from, message.to];
    const first = message.ticks[0][0];
    $("scrub-label").textContent = `ticks ${number(first, 0)} to ${number(first + message.ticks.length - 1, 0)}`;
    timeline.draw(...state.window);
  } else if (message.type === "ended") {
    state.ended = true;
    wire.over();
    $("pause").disabled = $("stop").disabled = true;
    notice("The run has ended. Its summary is in the terminal; launch/watch.py shows its records.");
  }
}

const wire = connect(hear, notice);
if (innerWidth < 720) $("zoom").value = 30;
legend($("legend"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => legend($("legend")));

function ask() {
  wire.send({ type: "window", first: Number($("slider").value), ticks: Number($("zoom").value) });
}

$("slider").addEventListener("input", ask);
$("zoom").addEventListener("input", () => state.hello?.mode === "finished" && ask());
addEventListener("resize", () => state.window && timeline.draw(...state.window));

$("pause").addEventListener("click", () => {
  state.paused = !state.paused;
  $("pause").textContent = state.paused ? "Go on" : "Pause display";
  notice(state.paused ? "This page is paused. The world is not: the agent goes on playing." : "");
});

let sure = null;
$("stop").addEventListener("click", () => {
  if (sure === null) {
    $("stop").textContent = "Really stop it?";
    $("stop").classList.add("sure");
    sure = setTimeout(forget, 4000);
    return;
  }
  clearTimeout(sure);
  forget();
  $("stop").disabled = true;
  $("stop").textContent = "Stopping …";
  wire.send({ type: "stop" });
});

function forget() {
  sure = null;
  $("stop").classList.remove("sure");
  $("stop").textContent = "Stop the run";
}

function scroll() {
  if (state.hello?.mode === "live" && state.offset !== null && !state.paused && !state.ended) {
    const to = performance.now() - state.offset - BEHIND_MS;
    timeline.draw(to - Number($("zoom").value) * timeline.tickMs, to);
  }
  requestAnimationFrame(scroll);
}
requestAnimationFrame(scroll);
