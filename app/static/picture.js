"use strict";

const CAP = 500000; // dollars: the census recorded no value above it

export function dollars(value) {
  return `${value < 0 ? "−" : ""}$${Math.abs(Math.round(value)).toLocaleString("en-US")}`;
}

// a house value: what stands at the cap may be worth anything above it
export function worth(value) {
  return value > CAP ? "$500,000 or more" : dollars(value);
}

export function make(tag, kind, ...content) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  element.append(...content);
  return element;
}

function put(element, from, to, [low, high]) {
  const percent = (value) => (Math.min(Math.max(value, low), high) - low) / (high - low) * 100;
  element.style.left = `${percent(from)}%`;
  element.style.width = `${percent(to) - percent(from)}%`;
  return element;
}

// The interval as a bar on a scale from $0 to $500,000 and more.
export function interval(place, body) {
  const scale = make("div", "scale");
  scale.setAttribute("role", "img");
  scale.setAttribute("aria-label", `On a scale from $0 to $500,000 and more: the answer ${worth(body.prediction_usd)}`
    + (body.low_usd == null ? "" : `, and nine of ten true values from ${worth(body.low_usd)} to ${worth(body.high_usd)}`));
  const bar = make("div", "bar");
  if (body.low_usd != null) {
    bar.append(put(make("span", body.high_usd > CAP ? "range open" : "range"), body.low_usd, body.high_usd, [0, CAP]));
  }
  bar.append(put(make("span", "point"), body.prediction_usd, body.prediction_usd, [0, CAP]));
  const ticks = make("div", "ticks");
  for (let tick = 0; tick <= CAP; tick += CAP / 5) {
    const text = tick === CAP ? "$500k+" : `$${tick / 1000}k`;
    ticks.append(put(make("span", "", tick ? text : "$0"), tick, tick, [0, CAP]));
  }
  scale.append(bar, ticks);
  place.replaceChildren(scale);
}

// A waterfall as rows of a table: from the answer for an ordinary block group to this one. The
// shown numbers are rounded so that they sum to the shown answer.
export function waterfall(table, body, named) {
  const steps = Object.entries(body.contributions_usd).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const levels = [body.base_usd];
  for (const [, added] of steps) levels.push(levels[levels.length - 1] + added);
  const shown = [...levels.slice(0, -1), body.prediction_usd].map(Math.round);
  const span = [Math.floor(Math.min(...levels) / 5e4) * 5e4, Math.ceil(Math.max(...levels) / 5e4) * 5e4];
  const rows = table.querySelector("tbody");
  table.querySelector("th.track").replaceChildren(...span.map((end) => make("span", "", `${dollars(end / 1000)}k`)));
  const row = (kind, name, from, to, text) => {
    const head = make("th", "", ...name);
    head.scope = "row";
    const into = put(make("span", "thread"), from, from, span);
    const out = put(make("span", "thread out"), to, to, span);
    const track = make("td", "track", into, out, put(make("span", kind), Math.min(from, to), Math.max(from, to), span));
    rows.append(make("tr", "", head, track, make("td", "dollars", text)));
  };
  rows.replaceChildren();
  row("point", ["an ordinary block group"], body.base_usd, body.base_usd, dollars(shown[0]));
  steps.forEach(([name], step) => {
    const added = shown[step + 1] - shown[step];
    const text = `${added > 0 ? "+" : ""}${dollars(added)}`;
    row(added < 0 ? "down" : "up", named(name), levels[step], levels[step + 1], text);
  });
  row("point", ["this one"], body.prediction_usd, body.prediction_usd, dollars(body.prediction_usd));
}
