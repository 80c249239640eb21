(told, name) => {
  "use strict";
  const root = document.querySelector(`#${name}:not([data-ready])`);
  if (!root) return;
  root.dataset.ready = "";
  if (location.href === "about:srcdoc") document.documentElement.style.colorScheme = "light dark";

  const [stage, card, picture, mark] = [".stage", ".card", "svg", ".mark"].map((one) =>
    root.querySelector(one),
  );
  const { width, height } = picture.viewBox.baseVal;
  const unpack = ({ data, bytes, low, step, decimals }) => {
    const buffer = Uint8Array.from(atob(data), (one) => one.charCodeAt(0)).buffer;
    const codes = new { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[bytes](buffer);
    return Float64Array.from(codes, (one) => (low + step * one) / 10 ** decimals);
  };
  const x = unpack(told.x).map((one) => (one / 65535) * width);
  const y = unpack(told.y).map((one) => (one / 65535) * height);
  const facts = told.facts.map((one) => ({ ...one, values: unpack(one) }));
  let here = -1;

  function say(fact, dot) {
    const value = fact.values[dot];
    if (fact.words) return fact.words[value];
    const { decimals: digits } = fact;
    const plain = Math.abs(value).toLocaleString("en-US", {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
    const sign = value < 0 ? "\u2212" : fact.sign && value > 0 ? "+" : "";
    return sign + fact.before + plain + fact.after;
  }

  function element(tag, text, kind) {
    const made = document.createElement(tag);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  }

  const isHere = (dot) => here >= 0 && dot >= 0 && x[dot] === x[here] && y[dot] === y[here];
  const together = (dot) =>
    Array.from(x.keys()).filter((one) => x[one] === x[dot] && y[one] === y[dot]);

  function show(dot) {
    if (dot === here) return;
    here = dot;
    mark.setAttribute("visibility", dot < 0 ? "hidden" : "visible");
    if (dot < 0) return welcome();
    mark.setAttribute("cx", x[dot]);
    mark.setAttribute("cy", y[dot]);
    const list = document.createElement("dl");
    const parts = [];
    for (const fact of facts) {
      if (fact.label) list.append(element("dt", fact.label), element("dd", say(fact, dot)));
      else parts.push(element("p", say(fact, dot)));
    }
    const same = together(dot);
    const more = `${same.indexOf(dot) + 1} of ${same.length} at this place: click for the next`;
    if (same.length > 1) parts.push(list, element("p", more, "more"));
    else parts.push(list);
    card.replaceChildren(...parts);
  }

  function welcome() {
    card.replaceChildren(element("p", "Point at a dot, or use the arrow keys.", "more"));
  }

  function next() {
    if (here < 0) return;
    const same = together(here);
    show(same[(same.indexOf(here) + 1) % same.length]);
  }

  function nearest(event, reach) {
    const box = picture.getBoundingClientRect();
    const scale = box.width / width;
    const [px, py] = [(event.clientX - box.left) / scale, (event.clientY - box.top) / scale];
    let [best, least] = [-1, (reach / scale) ** 2];
    for (let dot = 0; dot < x.length; dot++) {
      const far = (x[dot] - px) ** 2 + (y[dot] - py) ** 2;
      if (far < least) [best, least] = [dot, far];
    }
    return best;
  }

  function step(dx, dy) {
    if (here < 0) return show(0);
    let [best, least] = [here, Infinity];
    for (let dot = 0; dot < x.length; dot++) {
      const [right, down] = [x[dot] - x[here], y[dot] - y[here]];
      const [along, aside] = [right * dx + down * dy, Math.abs(right * dy) + Math.abs(down * dx)];
      const far = along + 2 * aside;
      if (along > 0 && aside <= along && far < least) [best, least] = [dot, far];
    }
    show(best);
  }

  stage.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const dot = nearest(event, 24);
    if (!isHere(dot)) show(dot);
  });
  stage.addEventListener("pointerdown", (event) => {
    const at = nearest(event, 32);
    if (isHere(at)) next();
    else show(at);
  });
  stage.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch" && document.activeElement !== stage) show(-1);
  });
  stage.addEventListener("keydown", (event) => {
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (arrow) step(...arrow);
    else if (event.key === "Enter" || event.key === " ") next();
    else if (event.key === "Escape") show(-1);
    else return;
    event.preventDefault();
    event.stopPropagation(); // JupyterLab's own keys
  });
  welcome();
  card.style.cssText = told.card;
  card.hidden = false;
};
