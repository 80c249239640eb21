"use strict";

const CAP_USD = 500000; // the census recorded no house value above it
const SCALE_STEP_USD = 50000; // the waterfall's scale ends at multiples of it

export function formatDollars(value) {
  return `${value < 0 ? "−" : ""}$${Math.abs(Math.round(value)).toLocaleString("en-US")}`;
}

// A house value at the cap may stand for any value above it.
export function formatHouseValue(value) {
  return value > CAP_USD ? "$500,000 or more" : formatDollars(value);
}

export function createElement(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

// Places an element on a horizontal scale from low to high, and returns it.
function positionOnScale(element, from, to, [low, high]) {
  const percent = (value) => (Math.min(Math.max(value, low), high) - low) / (high - low) * 100;
  element.style.left = `${percent(from)}%`;
  element.style.width = `${percent(to) - percent(from)}%`;
  return element;
}

// Draws the prediction and its interval as a bar on a scale from $0 to $500,000 and more.
export function drawInterval(container, body) {
  const { prediction_usd: prediction, low_usd: low, high_usd: high } = body;
  const isCalibrated = body.interval_calibrated !== false;
  const scaleRange = [0, CAP_USD];
  const scale = createElement("div", "scale");
  scale.setAttribute("role", "img");
  const subject = isCalibrated ? "nine of ten true values" : "an interval that may not hold";
  const interval = low == null
    ? "" : `, and ${subject} from ${formatHouseValue(low)} to ${formatHouseValue(high)}`;
  scale.setAttribute("aria-label",
    `On a scale from $0 to $500,000 and more: the prediction ${formatHouseValue(prediction)}${interval}`);
  const bar = createElement("div", "bar");
  if (low != null) {
    const range = createElement("span", high > CAP_USD ? "range open" : "range");
    range.classList.toggle("uncalibrated", !isCalibrated);
    bar.append(positionOnScale(range, low, high, scaleRange));
  }
  bar.append(positionOnScale(createElement("span", "point"), prediction, prediction, scaleRange));
  const ticks = createElement("div", "ticks");
  for (let tick = 0; tick <= CAP_USD; tick += CAP_USD / 5) {
    const text = tick === CAP_USD ? "$500k+" : `$${tick / 1000}k`;
    ticks.append(positionOnScale(createElement("span", "", tick ? text : "$0"), tick, tick, scaleRange));
  }
  scale.append(bar, ticks);
  container.replaceChildren(scale);
}

// Draws a waterfall as rows of a table: from the prediction for an ordinary block group to this
// one. The displayed numbers are rounded so that they sum to the displayed prediction.
export function drawWaterfall(table, body, featureLabel) {
  const { base_usd: base, prediction_usd: prediction } = body;
  const steps = Object.entries(body.contributions_usd).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const levels = [base];
  for (const [, contribution] of steps) levels.push(levels[levels.length - 1] + contribution);
  const roundedLevels = [...levels.slice(0, -1), prediction].map(Math.round);
  const scaleRange = [
    Math.floor(Math.min(...levels) / SCALE_STEP_USD) * SCALE_STEP_USD,
    Math.ceil(Math.max(...levels) / SCALE_STEP_USD) * SCALE_STEP_USD,
  ];
  const rows = table.querySelector("tbody");
  const scaleEnds = scaleRange.map((end) => createElement("span", "", `${formatDollars(end / 1000)}k`));
  table.querySelector("th.track").replaceChildren(...scaleEnds);
  const addRow = (className, label, from, to, text) => {
    const head = createElement("th", "", ...label);
    head.scope = "row";
    const incomingThread = positionOnScale(createElement("span", "thread"), from, from, scaleRange);
    const outgoingThread = positionOnScale(createElement("span", "thread out"), to, to, scaleRange);
    const [left, right] = [Math.min(from, to), Math.max(from, to)];
    const bar = positionOnScale(createElement("span", className), left, right, scaleRange);
    const track = createElement("td", "track", incomingThread, outgoingThread, bar);
    rows.append(createElement("tr", "", head, track, createElement("td", "dollars", text)));
  };
  rows.replaceChildren();
  addRow("point", ["an ordinary block group"], base, base, formatDollars(roundedLevels[0]));
  steps.forEach(([feature], step) => {
    const contribution = roundedLevels[step + 1] - roundedLevels[step];
    const text = `${contribution > 0 ? "+" : ""}${formatDollars(contribution)}`;
    addRow(contribution < 0 ? "down" : "up", featureLabel(feature), levels[step], levels[step + 1], text);
  });
  addRow("point", ["this block group"], prediction, prediction, formatDollars(prediction));
}
