async (payload, elementId) => {
  "use strict";
  const root = document.querySelector(`#${elementId}:not([data-ready])`);
  if (!root) return;
  root.dataset.ready = "";
  if (location.href === "about:srcdoc") document.documentElement.style.colorScheme = "light dark";

  const [plot, tooltip, picture, marker] = [".plot", ".tooltip", "svg", ".marker"].map((selector) =>
    root.querySelector(selector),
  );
  const { width, height } = picture.viewBox.baseVal;
  const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const { x, y, texts, tooltip_style } = await new Response(stream).json();
  let selected = -1;

  function createElement(tag, text, className) {
    const node = document.createElement(tag);
    node.textContent = text;
    if (className) node.className = className;
    return node;
  }

  const isSamePoint = (dot, other) => x[dot] === x[other] && y[dot] === y[other];
  const isAtSelected = (dot) => selected >= 0 && dot >= 0 && isSamePoint(dot, selected);
  const coincidentDots = (dot) => Array.from(x.keys()).filter((other) => isSamePoint(dot, other));

  function select(dot) {
    if (dot === selected) return;
    selected = dot;
    marker.setAttribute("visibility", dot < 0 ? "hidden" : "visible");
    if (dot < 0) return showHint();
    marker.setAttribute("cx", x[dot]);
    marker.setAttribute("cy", y[dot]);
    const list = document.createElement("dl");
    const content = [];
    for (const [label, column] of Object.entries(texts)) {
      const text = column[dot];
      if (label) list.append(createElement("dt", label), createElement("dd", text));
      else content.push(createElement("p", text));
    }
    content.push(list);
    const dots = coincidentDots(dot);
    const hint = `${dots.indexOf(dot) + 1} of ${dots.length} at this place: click for the next`;
    if (dots.length > 1) content.push(createElement("p", hint, "hint"));
    tooltip.replaceChildren(...content);
  }

  function showHint() {
    tooltip.replaceChildren(createElement("p", "Point at a dot, or use the arrow keys.", "hint"));
  }

  function selectNextCoincident() {
    if (selected < 0) return;
    const dots = coincidentDots(selected);
    select(dots[(dots.indexOf(selected) + 1) % dots.length]);
  }

  function findNearestDot(event, maxDistancePx) {
    const box = picture.getBoundingClientRect();
    const scale = box.width / width;
    const [pointerX, pointerY] = [(event.clientX - box.left) / scale, (event.clientY - box.top) / scale];
    let [nearest, leastSquare] = [-1, (maxDistancePx / scale) ** 2];
    for (let dot = 0; dot < x.length; dot++) {
      const square = (x[dot] - pointerX) ** 2 + (y[dot] - pointerY) ** 2;
      if (square < leastSquare) [nearest, leastSquare] = [dot, square];
    }
    return nearest;
  }

  // select the nearest dot within 45 degrees of a direction; going sideways counts double
  function moveSelection(dx, dy) {
    if (selected < 0) return select(0);
    let [nearest, leastDistance] = [selected, Infinity];
    for (let dot = 0; dot < x.length; dot++) {
      const [right, down] = [x[dot] - x[selected], y[dot] - y[selected]];
      const along = right * dx + down * dy;
      const sideways = Math.abs(right * dy) + Math.abs(down * dx);
      const distance = along + 2 * sideways;
      if (along > 0 && sideways <= along && distance < leastDistance) {
        [nearest, leastDistance] = [dot, distance];
      }
    }
    select(nearest);
  }

  plot.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const dot = findNearestDot(event, 24);
    if (!isAtSelected(dot)) select(dot);
  });
  plot.addEventListener("pointerdown", (event) => {
    const dot = findNearestDot(event, 32);
    if (isAtSelected(dot)) selectNextCoincident();
    else select(dot);
  });
  plot.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch" && document.activeElement !== plot) select(-1);
  });
  plot.addEventListener("keydown", (event) => {
    const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const direction = directions[event.key];
    if (direction) moveSelection(...direction);
    else if (event.key === "Enter" || event.key === " ") selectNextCoincident();
    else if (event.key === "Escape") select(-1);
    else return;
    event.preventDefault();
    event.stopPropagation(); // JupyterLab has shortcuts for these keys
  });
  showHint();
  tooltip.style.cssText = tooltip_style;
  tooltip.hidden = false;
};
