// A game to play: keys and buttons go to the server, pictures and scores come back.

import { connect, painter } from "./wire.js";

const $ = (id) => document.getElementById(id);
const paint = painter($("picture"));
const SIGNS = { UP: "▲", DOWN: "▼", LEFT: "◀", RIGHT: "▶" };
const NAMES = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", Space: "space" };
const byKey = new Map(); // code of a key -> button
const held = new Set();

function notice(words) {
  $("notice").textContent = words || "";
  $("notice").hidden = !words;
}

function press(button, isDown) {
  if (isDown === held.has(button)) return;
  if (isDown) held.add(button);
  else held.delete(button);
  wire.send({ type: isDown ? "down" : "up", button });
  for (const one of document.querySelectorAll("[data-button]")) {
    one.classList.toggle("held", held.has(one.dataset.button));
  }
}

function releaseAll() {
  for (const button of [...held]) press(button, false);
  wire.send({ type: "release" });
}

function padButton(button) {
  const one = document.createElement("button");
  one.dataset.button = button;
  one.textContent = SIGNS[button] || button;
  one.setAttribute("aria-label", button);
  one.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    one.setPointerCapture(event.pointerId);
    press(button, true);
  });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) {
    one.addEventListener(kind, () => press(button, false));
  }
  one.addEventListener("contextmenu", (event) => event.preventDefault());
  return one;
}

function greet(message) {
  notice("");
  held.clear();
  document.title = `${message.environment} – rtrl_jax`;
  $("title").textContent = message.environment;
  const slow = message.sequential
    ? `one decision in ${message.delay} ticks, as a slow agent that blocks`
    : message.delay > 1
      ? `your actions act ${message.delay} ticks after what you see`
      : "no delay but your own";
  $("subtitle").textContent = `${message.rate_hz.toFixed(2)} ticks a second · ${slow}`;
  $("explain").textContent = message.sequential
    ? `What you hold when a decision begins acts ${message.delay} ticks later, for one tick; in between β acts. The world does not wait.`
    : message.delay > 1
      ? `At ${message.rate_hz.toFixed(0)} ticks a second, ${message.delay} ticks are ${((1000 * message.delay) / message.rate_hz).toFixed(0)} ms. An agent whose network takes that long plays like this.`
      : "Add --delay=8 to feel what eight ticks of delay are.";
  $("thinking").hidden = !message.sequential;
  byKey.clear();
  for (const button of message.buttons) for (const code of message.keys[button]) byKey.set(code, button);
  const cross = document.createElement("div");
  cross.className = "cross";
  const rounds = document.createElement("div");
  rounds.className = "rounds";
  for (const button of message.buttons) (SIGNS[button] ? cross : rounds).append(padButton(button));
  // B is left of A, as on the console.
  const a = rounds.querySelector('[data-button="A"]');
  if (a && rounds.querySelector('[data-button="B"]')) rounds.append(a);
  $("pad").replaceChildren(...[cross, rounds].filter((part) => part.children.length));
  $("keys").replaceChildren(
    ...message.buttons.map((button) => {
      const item = document.createElement("li");
      const key = document.createElement("kbd");
      const code = message.keys[button][0];
      key.textContent = NAMES[code] || code.replace(/^(Key|Digit)/, "");
      item.append(key, ` ${button.toLowerCase() === button ? `action ${button}` : button}`);
      return item;
    })
  );
  hello = message;
}

let hello = {};

function show(message, pictures) {
  paint(pictures[0]);
  $("overlay").hidden = message.begun;
  $("thought").value = message.thinking;
  const rows = [
    ["score", message.score],
    ...(message.lives ? [["lives", message.lives]] : []),
    ...(hello.encounters > 1 ? [["won", `${message.wins} of ${hello.encounters}`]] : []),
    ...(message.best !== null ? [["last", message.last], ["best", message.best]] : []),
    ["β acted", message.ticks ? `${((100 * message.idle) / message.ticks).toFixed(0)} %` : "–"],
    ["acting", message.acting || "β"],
    ...(hello.record ? [[`recorded in ${hello.record}`, `${message.recorded.toLocaleString("en")} frames`]] : []),
  ];
  const names = rows.map(([name]) => name).join();
  if (names !== shown) {
    shown = names;
    $("scores").replaceChildren(...rows.map(([name]) => score(name)));
  }
  rows.forEach(([, value], index) => {
    const big = $("scores").children[index].lastChild;
    const words = typeof value === "number" ? value.toLocaleString("en") : value ?? "–";
    if (big.textContent !== words) big.textContent = words;
  });
}

let shown = null; // which scores there are

function score(name) {
  const item = document.createElement("span");
  const small = document.createElement("small");
  const big = document.createElement("b");
  small.className = "soft";
  small.textContent = name;
  if (name === "score") big.id = "score";
  item.append(small, big);
  return item;
}

const wire = connect((message, pictures) => (message.type === "hello" ? greet(message) : show(message, pictures)), notice);

addEventListener("keydown", (event) => {
  const button = byKey.get(event.code);
  if (!button || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (!event.repeat) press(button, true);
});
addEventListener("keyup", (event) => byKey.has(event.code) && press(byKey.get(event.code), false));
addEventListener("blur", releaseAll);
document.addEventListener("visibilitychange", () => document.hidden && releaseAll());
