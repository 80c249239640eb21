"use strict";

import { dollars, interval, make, waterfall, worth } from "./picture.js";

const at = (id) => document.getElementById(id);
const [form, map, answer, why, recent] = ["ask", "map", "answer", "why", "recent"].map(at);
const inputs = [...form.querySelectorAll("input")];
const [latitude, longitude] = [at("Latitude"), at("Longitude")];
const drawing = map.querySelector("svg");
const { west, north, units, narrowing } = drawing.dataset;
const cities = [...map.querySelectorAll(".city")].map(({ dataset }) => dataset);
const WINDS = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"];
const STEPS = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };

// ---- the place

// in words: how far it is from the nearest city on the map
function place(degreesNorth, degreesEast) {
  let [nearest, least, wind] = ["", Infinity, ""];
  for (const city of cities) {
    const [up, right] = [(degreesNorth - city.north) * 111.2, (degreesEast - city.east) * 111.2 * narrowing];
    const away = Math.hypot(up, right);
    if (away < least) {
      const eighth = (Math.round(Math.atan2(right, up) / (Math.PI / 4)) + 8) % 8;
      [nearest, least, wind] = [city.name, away, WINDS[eighth]];
    }
  }
  return least < 10 ? nearest : `${Math.round(least)} km ${wind} of ${nearest}`;
}

function mark() {
  const known = latitude.value !== "" && longitude.value !== "";
  const [up, right] = [Number(latitude.value), Number(longitude.value)];
  const there = `translate(${(right - west) * narrowing * units} ${(north - up) * units})`;
  at("marker").setAttribute("transform", there);
  at("marker").toggleAttribute("hidden", !known);
  const words = `${up.toFixed(2)}° N, ${Math.abs(right).toFixed(2)}° W: ${place(up, right)}`;
  at("place").textContent = known ? words : "No place yet: click on the map.";
}

// gives a place to the form, kept within what the form takes
function move(degreesNorth, degreesEast) {
  for (const [input, value] of [[latitude, degreesNorth], [longitude, degreesEast]]) {
    const kept = Math.min(Math.max(value, Number(input.min)), Number(input.max));
    input.value = Number(kept.toFixed(2));
  }
  stale();
}

map.addEventListener("click", (event) => {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse());
  move(Number(north) - y / units, Number(west) + x / units / narrowing);
  ask();
});

let soon; // a key that is held down asks once, when it is let go
map.addEventListener("keydown", (event) => {
  const step = STEPS[event.key];
  if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const size = event.shiftKey ? 0.5 : 0.05;
  move(Number(latitude.value) + step[0] * size, Number(longitude.value) + step[1] * size);
  clearTimeout(soon);
  soon = setTimeout(ask, 300);
});

// ---- the question and its answer

// the numbers have changed: what is shown is the answer to others
function stale() {
  document.body.classList.add("stale");
  mark();
}

form.addEventListener("input", stale);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  await ask();
  form.querySelector("[aria-invalid]")?.focus();
});

let explain = true; // until the model turns out to be one that cannot
let asked = 0;

async function post(row) {
  const response = await fetch(`/predict${explain ? "?explain=true" : ""}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(row),
  });
  const body = await response.json();
  const unable = response.status === 422 && explain && !(body.errors ?? []).some((one) => one.field);
  if (!unable) return [response.ok, body];
  explain = false;
  return post(row);
}

async function ask() {
  const mine = ++asked;
  clearTimeout(soon);
  const filled = inputs.filter(({ value }) => value !== "");
  const row = Object.fromEntries(filled.map(({ name, value }) => [name, Number(value)]));
  document.body.classList.remove("stale");
  document.body.classList.add("asking");
  let [good, body] = [false, {}];
  try {
    [good, body] = await post(row);
  } catch (error) {
    body = { detail: `No answer came: ${error.message}` };
  }
  if (mine !== asked) return; // a later question is on its way
  document.body.classList.remove("asking");
  if (good) show(body, row);
  else refuse(body);
  remember(); // nobody waits for it
}

function clear() {
  for (const input of inputs) {
    input.removeAttribute("aria-invalid");
    at(`${input.name}-problem`).textContent = "";
  }
  for (const one of [at("interval"), at("warnings"), at("trace")]) one.replaceChildren();
  why.hidden = at("warnings").hidden = true;
}

function show(body, row) {
  clear();
  answer.replaceChildren(make("p", "value", worth(body.prediction_usd)));
  if (body.low_usd != null) {
    const [low, high] = [worth(body.low_usd), worth(body.high_usd)];
    answer.append(make("p", "interval", `Nine of ten true values lie between ${low} and ${high}.`));
  }
  interval(at("interval"), body);
  at("warnings").append(...(body.warnings ?? []).map((one) => make("li", "", `${one}.`)));
  if (body.notice) at("warnings").append(make("li", "", `${body.notice}.`));
  at("warnings").hidden = !at("warnings").children.length;
  at("trace").append(`${body.model} version ${body.model_version}, `, link(body.id, "this answer in the log"));
  if (!body.contributions_usd) return;
  waterfall(why, body, (feature) => named(feature, row));
  why.hidden = false;
}

// a feature as the form names it, and the number that was asked with
function named(feature, row) {
  const label = form.querySelector(`label[for="${feature}"]`);
  if (!label) return [feature, make("small", "", place(row.Latitude, row.Longitude))];
  const { unit } = at(feature).dataset;
  const [, size, rest] = /^\$([\d,]+)(.*)/.exec(unit) ?? [];
  const number = row[feature].toLocaleString("en-US");
  const value = size ? dollars(row[feature] * size.replace(/,/g, "")) + rest : `${number} ${unit}`;
  return [label.textContent, make("small", "", value)];
}

function refuse(body) {
  clear();
  const general = [];
  for (const { field, problem } of body.errors ?? []) {
    const input = field && inputs.find(({ name }) => name === field);
    if (input) {
      input.setAttribute("aria-invalid", "true");
      at(`${field}-problem`).textContent = problem;
    } else general.push(problem);
  }
  const count = form.querySelectorAll("[aria-invalid]").length;
  if (count) general.unshift(`No answer: ${count} of the numbers cannot be right, see the form`);
  if (!general.length) general.push(body.detail ?? body.title ?? "No answer came");
  answer.replaceChildren(...general.map((one) => make("p", "problem", `${one.replace(/\.$/, "")}.`)));
}

function link(id, text) {
  const made = make("a", "", text);
  made.href = `/predictions/${encodeURIComponent(id)}`;
  return made;
}

// ---- what was asked before

async function remember() {
  if (recent.dataset.missing) return;
  const response = await fetch("/predictions?limit=10").catch(() => null);
  if (response && response.status === 404) recent.dataset.missing = "true"; // an older service
  if (!response || !response.ok) return;
  const { predictions } = await response.json();
  recent.hidden = !predictions.length;
  recent.querySelector("tbody").replaceChildren(...predictions.map(remembered));
}

function remembered(one) {
  const when = new Date(one.asked_at);
  const day = when.toDateString() === new Date().toDateString() ? {} : { month: "short", day: "numeric" };
  const time = link(one.id, when.toLocaleString([], { ...day, hour: "2-digit", minute: "2-digit", hourCycle: "h23" }));
  const value = one.prediction_usd == null ? "refused" : worth(one.prediction_usd);
  const { Latitude: up, Longitude: right } = one.input ?? {};
  const where = make("td", "", "no place");
  const version = make("td", "", one.model_version ?? "–");
  const row = make("tr", "", make("td", "", time), make("td", "dollars", value), where, version);
  if (typeof up === "number" && typeof right === "number") {
    const again = make("button", "", place(up, right));
    again.type = "button";
    where.replaceChildren(again);
    row.className = "again";
    row.addEventListener("click", ({ target }) => target.closest("a") || fill(one.input));
  }
  if (one.problem) where.append(make("small", "", one.problem));
  return row;
}

function fill(row) {
  for (const input of inputs) input.value = row[input.name] ?? "";
  stale();
  ask();
  answer.focus(); // the row that was chosen is about to be drawn anew
}

mark();
if ("ready" in form.dataset) ask();
else remember();
