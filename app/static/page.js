"use strict";
const form = document.getElementById("ask");
const answer = document.getElementById("answer");

function show(tag, text, kind) {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = kind;
  answer.append(element);
  return element;
}

function showProblems(problem) {
  const list = show("ul", "", "problems");
  for (const one of problem.errors) {
    const item = document.createElement("li");
    item.textContent = one.problem;
    list.append(item);
    if (one.field && form.elements[one.field]) form.elements[one.field].setAttribute("aria-invalid", "true");
  }
}

function interval(body) {
  const low = Math.round(body.low_usd).toLocaleString("en-US");
  const high = body.high_usd > 500000 ? "$500,000 or more" : `$${Math.round(body.high_usd).toLocaleString("en-US")}`;
  return `Nine of ten true values lie between $${low} and ${high}.`;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const row = {};
  for (const input of form.querySelectorAll("input")) {
    input.removeAttribute("aria-invalid");
    row[input.name] = input.value === "" ? null : Number(input.value);
  }
  answer.replaceChildren();
  try {
    const response = await fetch("/predict", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(row),
    });
    const body = await response.json();
    if (!response.ok) return showProblems(body);
    const dollars = Math.round(body.prediction_usd).toLocaleString("en-US");
    show("p", `$${dollars}`, "value");
    if ("low_usd" in body) show("p", interval(body), "interval");
    for (const warning of body.warnings) show("p", `${warning}.`, "notice");
    show("p", `${body.model} version ${body.model_version}, answer ${body.id}`, "trace");
    if (body.notice) show("p", body.notice, "notice");
  } catch (error) {
    show("p", `No answer came: ${error.message}`, "problems");
  }
});
