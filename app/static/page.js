"use strict";

import { createElement, drawInterval, drawWaterfall, formatDollars, formatHouseValue } from "./picture.js";

const root = document.documentElement.dataset.root; // the path prefix behind a proxy, else empty
const byId = (id) => document.getElementById(id);
const [form, map, answer, explanationSection, recentSection] = ["ask", "map", "answer", "why", "recent"].map(byId);
const inputs = [...form.querySelectorAll("input")];
const [latitudeInput, longitudeInput] = [byId("Latitude"), byId("Longitude")];
const mapSvg = map.querySelector("svg");
const { west: mapWest, north: mapNorth, unitsPerDegree, longitudeScale } = mapSvg.dataset;
const cities = [...map.querySelectorAll(".city")].map(({ dataset }) => dataset);
const KM_PER_DEGREE = 111.2;
const COMPASS_POINTS = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"];
const ARROW_KEY_DIRECTIONS = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };

// ---- the location

// Returns the distance and direction from the nearest city on the map, in words.
function describeLocation(latitude, longitude) {
  let [nearestCity, nearestKm, compassPoint] = ["", Infinity, ""];
  for (const city of cities) {
    const northKm = (latitude - city.latitude) * KM_PER_DEGREE;
    const eastKm = (longitude - city.longitude) * KM_PER_DEGREE * longitudeScale;
    const distanceKm = Math.hypot(northKm, eastKm);
    if (distanceKm < nearestKm) {
      const eighth = (Math.round(Math.atan2(eastKm, northKm) / (Math.PI / 4)) + 8) % 8;
      [nearestCity, nearestKm, compassPoint] = [city.name, distanceKm, COMPASS_POINTS[eighth]];
    }
  }
  return nearestKm < 10 ? nearestCity : `${Math.round(nearestKm)} km ${compassPoint} of ${nearestCity}`;
}

// Moves the marker and the text below the map to the location in the form.
function updateMarker() {
  const hasLocation = latitudeInput.value !== "" && longitudeInput.value !== "";
  const [degreesNorth, degreesEast] = [Number(latitudeInput.value), Number(longitudeInput.value)];
  const x = (degreesEast - mapWest) * longitudeScale * unitsPerDegree;
  const y = (mapNorth - degreesNorth) * unitsPerDegree;
  byId("marker").setAttribute("transform", `translate(${x} ${y})`);
  byId("marker").toggleAttribute("hidden", !hasLocation);
  const coordinates = `${degreesNorth.toFixed(2)}° N, ${Math.abs(degreesEast).toFixed(2)}° W`;
  byId("place").textContent = hasLocation
    ? `${coordinates}: ${describeLocation(degreesNorth, degreesEast)}`
    : "No location yet: click on the map.";
}

// Writes a location into the form, limited to the range that the form accepts.
function setLocation(latitude, longitude) {
  for (const [input, value] of [[latitudeInput, latitude], [longitudeInput, longitude]]) {
    const clamped = Math.min(Math.max(value, Number(input.min)), Number(input.max));
    input.value = Number(clamped.toFixed(2));
  }
  markStale();
}

map.addEventListener("click", (event) => {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(mapSvg.getScreenCTM().inverse());
  setLocation(Number(mapNorth) - y / unitsPerDegree, Number(mapWest) + x / unitsPerDegree / longitudeScale);
  predict();
});

let keyTimer; // so that a key that is held down sends one request, after its release
map.addEventListener("keydown", (event) => {
  const direction = ARROW_KEY_DIRECTIONS[event.key];
  if (!direction || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const degrees = event.shiftKey ? 0.5 : 0.05;
  const [north, east] = direction;
  setLocation(Number(latitudeInput.value) + north * degrees, Number(longitudeInput.value) + east * degrees);
  clearTimeout(keyTimer);
  keyTimer = setTimeout(predict, 300);
});

// ---- the service

const PARTS = ["notices", "monitoring", "density", "legend", "model"]; // what the page shows of the served model
const MAX_POLL_SECONDS = 5; // between two looks whether the service is ready
const submitButton = form.querySelector("button[type=submit]");
let isReady = "ready" in form.dataset;
let pollTimer;

// Waits for a service that has no model yet or does not answer; then shows its model and asks it.
function waitUntilReady(seconds = 1) {
  isReady = false;
  submitButton.disabled = true;
  clearTimeout(pollTimer);
  if (!document.hidden) pollTimer = setTimeout(checkReady, 1000 * seconds);
}

async function checkReady() {
  const response = await fetch(`${root}/ready`, { cache: "no-store" }).catch(() => null);
  if (response?.ok && await refreshModel().catch(() => false)) {
    isReady = true;
    submitButton.disabled = false;
    predict();
    return;
  }
  const body = response && !response.ok ? await response.json().catch(() => ({})) : {};
  if (!response) showNotice("The service does not answer: this page goes on as soon as it does");
  else if (body.detail) showNotice(body.detail);
  waitUntilReady(Math.min(Number(response?.headers.get("Retry-After")) || 2, MAX_POLL_SECONDS));
}

function showNotice(sentence) {
  const notice = createElement("p", "notice", `${sentence[0].toUpperCase()}${sentence.slice(1)}.`);
  notice.setAttribute("role", "note");
  if (byId("notices").textContent.trim() !== notice.textContent) byId("notices").replaceChildren(notice);
}

// Takes over what the page now says of the model; returns whether there is one.
async function refreshModel() {
  const response = await fetch(location.pathname, { cache: "no-store" });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (!response.ok || !("ready" in (page.getElementById("ask")?.dataset ?? {}))) return false;
  for (const id of PARTS) byId(id).replaceChildren(...(page.getElementById(id)?.childNodes ?? []));
  return true;
}

document.addEventListener("visibilitychange", () => document.hidden || isReady || waitUntilReady(0));

// ---- the prediction

// The form has changed since the prediction on the page was made.
function markStale() {
  document.body.classList.add("stale");
  updateMarker();
}

form.addEventListener("input", markStale);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  await predict();
  form.querySelector("[aria-invalid]")?.focus();
});

let canExplain = true; // until the model turns out to have been registered without explanations
let lastRequestNumber = 0;

// Returns whether the request succeeded, and the body of the response; its state says why there is
// no model.
async function requestPrediction(row) {
  const response = await fetch(`${root}/predict${canExplain ? "?explain=true" : ""}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(row),
  });
  const body = await response.json();
  const cannotExplain = response.status === 422 && canExplain && !(body.errors ?? []).some((error) => error.field);
  if (!cannotExplain) return [response.ok, body];
  canExplain = false;
  return requestPrediction(row);
}

async function predict() {
  if (!isReady) return;
  const requestNumber = ++lastRequestNumber;
  clearTimeout(keyTimer);
  const filledInputs = inputs.filter(({ value }) => value !== "");
  const row = Object.fromEntries(filledInputs.map(({ name, value }) => [name, Number(value)]));
  document.body.classList.remove("stale");
  document.body.classList.add("asking");
  let [isOk, body] = [false, {}];
  try {
    [isOk, body] = await requestPrediction(row);
  } catch (error) {
    body = { detail: `No answer came: ${error.message}`, state: "no_answer" };
  }
  if (requestNumber !== lastRequestNumber) return; // a later request is under way
  document.body.classList.remove("asking");
  if (isOk) showPrediction(body, row);
  else showErrors(body);
  if (body.state) waitUntilReady();
  refreshRecent(); // not awaited: the prediction is complete without it
}

function clearAnswer() {
  for (const input of inputs) {
    input.removeAttribute("aria-invalid");
    byId(`${input.name}-problem`).textContent = "";
  }
  for (const element of [byId("interval"), byId("warnings"), byId("trace")]) element.replaceChildren();
  explanationSection.hidden = byId("warnings").hidden = true;
}

function showPrediction(body, row) {
  clearAnswer();
  answer.replaceChildren(createElement("p", "value", formatHouseValue(body.prediction_usd)));
  if (body.low_usd != null) {
    const [low, high] = [formatHouseValue(body.low_usd), formatHouseValue(body.high_usd)];
    const isCalibrated = body.interval_calibrated !== false; // an older service does not say
    answer.append(createElement("p", "interval", isCalibrated
      ? `Nine of ten true values lie between ${low} and ${high}.`
      : `The model gives ${low} to ${high}, but how often that is right is unknown for a block group unlike those it learnt from.`));
  }
  drawInterval(byId("interval"), body);
  const warnings = [...(body.warnings ?? []), ...(body.notice ? [body.notice] : [])];
  byId("warnings").append(...warnings.map((warning) => createElement("li", "", `${warning}.`)));
  byId("warnings").hidden = !warnings.length;
  byId("trace").append(`${body.model} version ${body.model_version}, `, logLink(body.id, "this prediction in the log"));
  const shownVersion = byId("model").querySelector("section")?.dataset.version;
  if (shownVersion !== `${body.model} version ${body.model_version}`) refreshModel().catch(() => false);
  if (!body.contributions_usd) return;
  drawWaterfall(explanationSection, body, (feature) => describeFeature(feature, row));
  explanationSection.hidden = false;
}

// Returns a feature's label in the form, and the value in the request.
function describeFeature(feature, row) {
  const label = form.querySelector(`label[for="${feature}"]`);
  // the two coordinates are explained together and have no label of their own
  if (!label) return [feature, createElement("small", "", describeLocation(row.Latitude, row.Longitude))];
  const { unit } = byId(feature).dataset;
  const [, unitDollars, unitSuffix] = /^\$([\d,]+)(.*)/.exec(unit) ?? [];
  const value = unitDollars
    ? formatDollars(row[feature] * unitDollars.replace(/,/g, "")) + unitSuffix
    : `${row[feature].toLocaleString("en-US")} ${unit}`;
  return [label.textContent, createElement("small", "", value)];
}

function showErrors(body) {
  clearAnswer();
  const messages = [];
  for (const { field, problem } of body.errors ?? []) {
    const input = field && inputs.find(({ name }) => name === field);
    if (input) {
      input.setAttribute("aria-invalid", "true");
      byId(`${field}-problem`).textContent = problem;
    } else messages.push(problem);
  }
  const count = form.querySelectorAll("[aria-invalid]").length;
  if (count) messages.unshift(`No prediction: ${count} of the numbers are missing or out of range, see the form`);
  if (!messages.length) messages.push(body.detail ?? body.title ?? "No answer came");
  answer.replaceChildren(...messages.map((message) => createElement("p", "problem", `${message.replace(/\.$/, "")}.`)));
}

function logLink(id, text) {
  const anchor = createElement("a", "", text);
  anchor.href = `${root}/predictions/${encodeURIComponent(id)}`;
  return anchor;
}

// ---- recent predictions

async function refreshRecent() {
  if (recentSection.dataset.missing) return;
  const response = await fetch(`${root}/predictions?limit=10`).catch(() => null);
  if (response && response.status === 404) recentSection.dataset.missing = "true"; // an older service
  if (!response || !response.ok) return;
  const { predictions } = await response.json();
  if (recentSection.querySelector("form")) return; // what is typed would be lost
  recentSection.hidden = !predictions.length;
  recentSection.querySelector("tbody").replaceChildren(...predictions.map(recentRow));
}

function recentRow(prediction) {
  const askedAt = new Date(prediction.asked_at);
  const isToday = askedAt.toDateString() === new Date().toDateString();
  const day = isToday ? {} : { month: "short", day: "numeric" };
  const time = askedAt.toLocaleString([], { ...day, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const value = prediction.prediction_usd == null ? "refused" : formatHouseValue(prediction.prediction_usd);
  const { Latitude: degreesNorth, Longitude: degreesEast } = prediction.input ?? {};
  const locationCell = createElement("td", "", "no location");
  const row = createElement(
    "tr", "",
    createElement("td", "", logLink(prediction.id, time)),
    createElement("td", "dollars", value),
    createElement("td", "dollars", ...truthButton(prediction)),
    locationCell,
    createElement("td", "", prediction.model_version ?? "–"),
  );
  if (typeof degreesNorth === "number" && typeof degreesEast === "number") {
    const refillButton = createElement("button", "", describeLocation(degreesNorth, degreesEast));
    refillButton.type = "button";
    locationCell.replaceChildren(refillButton);
    row.className = "refillable";
    row.addEventListener("click", ({ target }) => target.closest("a, .truth") || fillForm(prediction.input));
  }
  if (prediction.problem) locationCell.append(createElement("small", "", prediction.problem));
  return row;
}

// ---- true values

// Returns the button that shows the true value of a prediction and asks for it; none if it was refused.
function truthButton(prediction) {
  if (prediction.prediction_usd == null || prediction.truth_usd === undefined) return [];
  const isKnown = prediction.truth_usd !== null;
  const button = createElement("button", "truth", isKnown ? formatDollars(prediction.truth_usd) : "add");
  button.type = "button";
  button.dataset.id = prediction.id;
  const value = formatHouseValue(prediction.prediction_usd);
  button.setAttribute("aria-label", isKnown
    ? `true value ${formatDollars(prediction.truth_usd)} of the prediction ${value}, correct it`
    : `add the true value of the prediction ${value}`);
  button.addEventListener("click", () => openTruthForm(button, prediction));
  return [button];
}

// Opens a form below the row of a prediction; only one is open at a time.
function openTruthForm(button, prediction) {
  recentSection.querySelector("tr.truth")?.remove();
  const label = createElement("label", "", `True value of the prediction ${formatHouseValue(prediction.prediction_usd)}, in dollars`);
  const input = createElement("input", "");
  const problem = createElement("small", "problem");
  const [saveButton, cancelButton] = ["Save", "Cancel"].map((text) => createElement("button", "", text));
  const truthForm = createElement("form", "", label, input, saveButton, cancelButton, problem);
  Object.assign(label, { htmlFor: "truth" });
  Object.assign(input, { id: "truth", name: "truth_usd", type: "text", inputMode: "decimal", autocomplete: "off" });
  Object.assign(problem, { id: "truth-problem" });
  Object.assign(saveButton, { type: "submit" });
  Object.assign(cancelButton, { type: "button" });
  input.setAttribute("aria-describedby", "truth-problem");
  problem.setAttribute("aria-live", "polite");
  truthForm.noValidate = true;
  if (prediction.truth_usd !== null) input.value = prediction.truth_usd;
  const cell = createElement("td", "", truthForm);
  cell.colSpan = button.closest("tr").cells.length;
  button.closest("tr").after(createElement("tr", "truth", cell));
  cancelButton.addEventListener("click", () => closeTruthForm(prediction.id));
  truthForm.addEventListener("keydown", ({ key }) => key === "Escape" && closeTruthForm(prediction.id));
  truthForm.addEventListener("submit", (event) => {
    event.preventDefault();
    saveTruth(prediction.id, input, saveButton);
  });
  input.focus();
  input.select();
}

async function closeTruthForm(id) {
  recentSection.querySelector("tr.truth")?.remove();
  await refreshRecent();
  recentSection.querySelector(`button[data-id="${CSS.escape(id)}"]`)?.focus();
}

async function saveTruth(id, input, saveButton) {
  const { minUsd, maxUsd } = recentSection.dataset;
  const text = input.value.replace(/[$,\s]/g, "");
  const dollars = Number(text);
  if (!text || !(dollars >= Number(minUsd) && dollars <= Number(maxUsd))) {
    showTruthProblem(input, `expected dollars from ${formatDollars(minUsd)} to ${formatDollars(maxUsd)}`);
    return;
  }
  saveButton.disabled = true;
  const response = await fetch(`${root}/feedback`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ id, truth_usd: dollars }),
  }).catch(() => null);
  saveButton.disabled = false;
  if (response?.ok) {
    await closeTruthForm(id);
    return;
  }
  const body = response ? await response.json().catch(() => ({})) : {};
  showTruthProblem(input, body.detail ?? "the service does not answer; try again");
}

function showTruthProblem(input, problem) {
  input.setAttribute("aria-invalid", "true");
  byId("truth-problem").textContent = `${problem[0].toUpperCase()}${problem.slice(1)}.`;
  input.focus();
}

function fillForm(row) {
  for (const input of inputs) input.value = row[input.name] ?? "";
  markStale();
  predict();
  answer.focus(); // the clicked row is about to be replaced, and the focus with it
}

updateMarker();
if (isReady) predict();
else {
  waitUntilReady();
  refreshRecent();
}
