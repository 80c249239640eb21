"use strict";
// Pages are readable without this script. It folds code, sorts tables, enlarges figures, filters the index and
// refreshes the page of a run in progress. Pages of earlier runs load it too, so the ids, classes and data attributes
// that it reads must stay as they are; except for those of the index, which each run writes again.
(() => {
  const ROWS_PER_CLICK = 200;
  const REFRESH_MILLISECONDS = 2000;
  const MAX_FRAME_HEIGHT_PX = 4000;
  const FRAME_MARGIN_PX = 4;

  const selectAll = (selector, root = document) => [...root.querySelectorAll(selector)];
  const select = (selector, root = document) => root.querySelector(selector);
  const createElement = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  // reads the item, or writes it if a value is given; returns null if the browser blocks its storage
  const storedItem = (getStorage, name, value) => {
    try {
      if (value === undefined) return getStorage().getItem(name);
      getStorage().setItem(name, value);
    } catch { return null; }
  };
  const getLocalStorage = () => localStorage, getSessionStorage = () => sessionStorage;

  const addCodeButton = () => {
    const button = select("#page-code, button#code"), cells = selectAll("details.code:not([data-fixed])");
    if (!button || !cells.length) return;
    const updateButton = (isOpen) => {
      button.setAttribute("aria-pressed", isOpen);
      button.textContent = isOpen ? "Hide all code" : "Show all code";
    };
    const itemName = (cell) => `code:${location.pathname}#${cells.indexOf(cell)}`;
    let isOpen = storedItem(getLocalStorage, "report-code") === "open";
    updateButton(isOpen);
    button.hidden = false;
    for (const cell of cells) {
      const cellState = storedItem(getSessionStorage, itemName(cell));
      cell.open = cellState ? cellState === "open" : isOpen;
      // at the click the cell still has the state that it leaves
      select("summary", cell).addEventListener("click", () =>
        storedItem(getSessionStorage, itemName(cell), cell.open ? "shut" : "open"));
    }
    button.addEventListener("click", () => {
      isOpen = !isOpen;
      updateButton(isOpen);
      storedItem(getLocalStorage, "report-code", isOpen ? "open" : "shut");
      for (const cell of cells) {
        cell.open = isOpen;
        storedItem(getSessionStorage, itemName(cell), isOpen ? "open" : "shut");
      }
    });
  };

  const enlargeFigures = () => {
    const dialog = createElement("dialog"), title = createElement("span"), stage = createElement("div", { className: "stage" });
    const saveLink = createElement("a", { textContent: "Save" });
    const closeButton = createElement("button", { type: "button", textContent: "Close" });
    const largeImage = createElement("img", { alt: "" });
    stage.append(largeImage);
    dialog.append(createElement("div", { className: "bar" }, title, saveLink, closeButton), stage);
    dialog.setAttribute("aria-label", "the figure, large");
    closeButton.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target === stage) dialog.close(); });
    document.body.append(dialog);
    selectAll("figure[data-kind]").forEach((figure, index) => {
      const image = select("img", figure);
      const openButton = createElement("button", { type: "button", className: "open" });
      openButton.setAttribute("aria-label", `enlarge: ${image.alt}`);
      image.replaceWith(openButton);
      openButton.append(image);
      openButton.addEventListener("click", () => {
        largeImage.src = saveLink.href = image.src;
        largeImage.className = image.className;
        largeImage.alt = title.textContent = image.alt;
        const fileName = image.alt.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60).replace(/^-|-$/g, "");
        saveLink.download = `${fileName || `figure-${index + 1}`}.${figure.dataset.kind}`;
        dialog.showModal();
      });
    });
  };

  const cellText = (cell) => (cell?.dataset.sort ?? cell?.textContent ?? "").trim();
  const isNumber = (text) => /^[-+−±]?[$€£]?[-+−]?[\d.,]+(e[-+]?\d+)?\s*%?$/i.test(text);
  // a sort key is { text, number }; number is NaN if the text is none
  const cellSortKey = (cell) => {
    const text = cellText(cell);
    const number = parseFloat(text.replace(/[$€£,%\s]/g, "").replace("−", "-"));
    return { text, number: isNumber(text) ? number : NaN };
  };
  const alignTexts = (table) => selectAll("td", table).forEach((cell) => {
    const text = cellText(cell);
    if (!isNumber(text) && !/^(nan|inf|[-–])?$/i.test(text)) cell.classList.add("t");
  });
  // pandas writes the names of the index in a row of their own, below those of the columns
  const mergeHeaderRows = (head) => {
    if (head?.rows.length !== 2) return;
    const [columnNames, indexNames] = [...head.rows].map((row) => [...row.cells]);
    const isFree = (cell, column) => !cell.textContent.trim() || !indexNames[column].textContent.trim();
    if (columnNames.length !== indexNames.length || !columnNames.every(isFree)) return;
    columnNames.forEach((cell, column) => cell.append(indexNames[column].textContent));
    head.deleteRow(1);
  };
  const compareSortKeys = (a, b, isAscending) => {
    if (!a.text !== !b.text) return a.text ? -1 : 1;  // empty cells stay last
    const areNumbers = !isNaN(a.number) && !isNaN(b.number);
    const order = areNumbers ? a.number - b.number : a.text.localeCompare(b.text, undefined, { numeric: true });
    return isAscending ? order : -order;
  };
  const addSortButtons = (headers, sort) => [...headers].forEach((header, column) => {
    if (!header.textContent.trim()) return;
    header.append(createElement("button", { type: "button" }, ...header.childNodes));
    select("button", header).addEventListener("click", () => {
      const isAscending = header.getAttribute("aria-sort") !== "ascending";
      for (const otherHeader of headers) otherHeader.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", isAscending ? "ascending" : "descending");
      sort(column, isAscending);
    });
  });
  const sortRows = (body, column, isAscending) => {
    const keyedRows = [...body.rows].map((row) => [cellSortKey(row.cells[column]), row]);
    keyedRows.sort(([a], [b]) => compareSortKeys(a, b, isAscending));
    body.append(...keyedRows.map(([, row]) => row));
  };
  const enhanceTable = (table) => {
    if ("own" in table.dataset) return;
    alignTexts(table);
    mergeHeaderRows(table.tHead);
    const body = table.tBodies[0], headers = table.tHead ? [...table.tHead.rows].at(-1).cells : [];
    if (!body?.rows.length) return;
    const firstCells = body.rows[0].cells;
    if (headers.length !== firstCells.length) return;
    [...headers].forEach((header, column) => header.classList.toggle("t", firstCells[column].classList.contains("t")));
    if (body.rows.length < 2 || select("[rowspan], [colspan]", body)) return;
    addSortButtons(headers, (column, isAscending) => sortRows(body, column, isAscending));
  };

  const resizeFrames = () => {
    const frames = selectAll("iframe.output");
    if (!frames.length) return;
    addEventListener("message", (event) => {
      const frame = frames.find((candidate) => candidate.contentWindow === event.source);
      const height = Number(event.data?.height);
      // a content as high as its frame would grow for ever
      const isNew = frame && height > 0 && Math.abs(height - frame.clientHeight) > FRAME_MARGIN_PX;
      if (isNew) frame.style.height = `${Math.min(height, MAX_FRAME_HEIGHT_PX) + FRAME_MARGIN_PX}px`;
    });
    // those that were loaded before this script: frames of earlier versions do not answer
    for (const frame of frames) frame.contentWindow.postMessage("height?", "*");
  };

  const decodeHash = (hash) => {  // a % that no one encoded is not decoded
    try { return decodeURIComponent(hash.slice(1)); } catch { return hash.slice(1); }
  };
  const followContents = () => {
    const contents = select(".toc");
    if (!contents) return;
    const isWide = matchMedia("(min-width: 75rem)");
    const unfold = () => { contents.open = isWide.matches; };
    unfold();
    isWide.addEventListener("change", unfold);
    const links = new Map(selectAll("a", contents).map((link) => [decodeHash(link.hash), link]));
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries.filter((candidate) => candidate.isIntersecting)) {
        links.forEach((link) => link.classList.remove("here"));
        links.get(entry.target.id)?.classList.add("here");
      }
    }, { rootMargin: "0px 0px -70% 0px" });
    links.forEach((_, id) => { const heading = document.getElementById(id); if (heading) observer.observe(heading); });
  };

  // only some rows are visible: thousands of them take a browser seconds
  const startIndex = () => {
    const form = select(".filter"), table = select(".runs");
    if (!form || !table) return;
    const body = table.tBodies[0], rows = [...body.rows], initialCount = rows.filter((row) => !row.hidden).length;
    const search = select("#search"), status = select("#by-status"), group = select("#by-group");  // no groups: null
    const normalize = (text) => text.toLowerCase().replace(/\s*=\s*/g, "=");
    const searchText = (row) => row.searchText ??= normalize(`${row.dataset.run} ${row.textContent}`);
    const moreButton = select("#more"), pickMessage = select("#pick");
    let visibleCount = initialCount, picked = [];

    const update = () => {
      const words = normalize(search.value).split(/\s+/).filter(Boolean);
      const hasText = (cell, text) => !text || cell.textContent === text;
      const matchingRows = [...body.rows].filter((row) => hasText(row.cells[1], status.value)
        && hasText(row.cells[3], group?.value) && words.every((word) => searchText(row).includes(word)));
      const visibleRows = new Set(matchingRows.slice(0, visibleCount));
      for (const row of rows) row.hidden = !visibleRows.has(row);
      const hiddenCount = Math.max(0, matchingRows.length - visibleCount);
      moreButton.hidden = !hiddenCount;
      moreButton.textContent = `Show more (${hiddenCount} left)`;
      select("#count").textContent =
        matchingRows.length === rows.length ? `${rows.length} runs` : `${matchingRows.length} of ${rows.length} runs`;
    };
    const filter = () => { visibleCount = initialCount; update(); };
    addSortButtons(table.tHead.rows[0].cells, (column, isAscending) => {
      sortRows(body, column, isAscending);
      filter();
    });

    body.addEventListener("change", (event) => {
      const row = event.target.closest("tr");
      picked = [...picked.filter((other) => other !== row), ...(event.target.checked ? [row] : [])].slice(-2);
      for (const other of rows) {
        select(".pick-run", other).checked = picked.includes(other);
        other.classList.toggle("picked", picked.includes(other));
      }
      pickMessage.hidden = !picked.length;
      pickMessage.textContent = "Pick another run to compare it with.";
      if (picked.length < 2) return;
      const pair = picked.map((other) => other.dataset.run).sort().join(" ");
      const comparison = select(`[data-compares="${pair}"]`, table);
      pickMessage.replaceChildren("To compare them: ");
      if (comparison) pickMessage.append(createElement("a", { href: comparison.href, textContent: "the comparison" }), ", or ");
      pickMessage.append(createElement("code", { textContent: `${table.dataset.compareCommand} ${pair}` }));
    });
    moreButton.addEventListener("click", () => { visibleCount += ROWS_PER_CLICK; update(); });
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    update();  // a reload keeps what was typed
  };

  const refreshLivePage = () => {
    if (!document.documentElement.hasAttribute("data-live")) return;
    const isServed = location.protocol.startsWith("http");
    const isIdle = () => !select("dialog[open]") && !String(getSelection()) && !document.hidden;
    let lastText = null;
    setInterval(async () => {
      if (!isIdle()) return;
      if (isServed) {
        const response = await fetch(location.href, { cache: "no-cache" }).catch(() => null);
        const text = response?.ok ? await response.text() : lastText;
        if (lastText === null || text === lastText) { lastText = text; return; }
      }
      storedItem(getSessionStorage, `scroll:${location.pathname}`, scrollY);
      location.reload();
    }, REFRESH_MILLISECONDS);
    const scrollPosition = storedItem(getSessionStorage, `scroll:${location.pathname}`);
    if (scrollPosition) scrollTo(0, Number(scrollPosition));
  };

  const start = () => {
    for (const enhance of [addCodeButton, enlargeFigures, resizeFrames, followContents, startIndex, refreshLivePage]) enhance();
    selectAll("table").forEach(enhanceTable);
    for (const box of selectAll(".wide")) if (box.scrollHeight > box.clientHeight + 4) box.classList.add("tall");
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start); else start();
})();
