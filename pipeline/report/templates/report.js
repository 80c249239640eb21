"use strict";
// The pages can be read without any of this: it folds, sorts, enlarges, filters and keeps a live page fresh.
(() => {
  const all = (what, within = document) => [...within.querySelectorAll(what)];
  const one = (what, within = document) => within.querySelector(what);
  const make = (tag, told = {}, ...inside) => {
    const made = Object.assign(document.createElement(tag), told);
    made.append(...inside);
    return made;
  };
  const remembered = (store, name, value) => {  // a browser may refuse to remember
    try {
      if (value === undefined) return store().getItem(name);
      store().setItem(name, value);
    } catch { return null; }
  };
  const always = () => localStorage, now = () => sessionStorage;

  const code = () => {
    const button = one("#code"), cells = all("details.code:not([data-fixed])");
    if (!button || !cells.length) return;
    const show = (open) => {
      button.setAttribute("aria-pressed", open);
      button.textContent = open ? "Hide all code" : "Show all code";
    };
    const name = (cell) => `code:${location.pathname}#${cells.indexOf(cell)}`;
    let open = remembered(always, "report-code") === "open";
    show(open);
    button.hidden = false;
    for (const cell of cells) {
      const own = remembered(now, name(cell));
      cell.open = own ? own === "open" : open;
      one("summary", cell).addEventListener("click", () =>
        remembered(now, name(cell), cell.open ? "shut" : "open"));
    }
    button.addEventListener("click", () => {
      open = !open;
      show(open);
      remembered(always, "report-code", open ? "open" : "shut");
      for (const cell of cells) {
        cell.open = open;
        remembered(now, name(cell), open ? "open" : "shut");
      }
    });
  };

  const figures = () => {
    const dialog = make("dialog"), title = make("span"), stage = make("div", { className: "stage" });
    const save = make("a", { textContent: "Save" }), shut = make("button", { type: "button", textContent: "Close" });
    const picture = make("img", { alt: "" });
    stage.append(picture);
    dialog.append(make("div", { className: "bar" }, title, save, shut), stage);
    dialog.setAttribute("aria-label", "the picture, large");
    shut.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target === stage) dialog.close(); });
    document.body.append(dialog);
    all("figure[data-kind]").forEach((figure, number) => {
      const image = one("img", figure);
      const open = make("button", { type: "button", className: "open" });
      open.setAttribute("aria-label", `enlarge: ${image.alt}`);
      image.replaceWith(open);
      open.append(image);
      open.addEventListener("click", () => {
        picture.src = save.href = image.src;
        picture.alt = title.textContent = image.alt;
        const words = image.alt.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60).replace(/^-|-$/g, "");
        save.download = `${words || `figure-${number + 1}`}.${figure.dataset.kind}`;
        dialog.showModal();
      });
    });
  };

  const worth = (cell) => {
    const text = (cell?.dataset.sort ?? cell?.textContent ?? "").trim();
    const number = parseFloat(text.replace(/[$€£,%\s]/g, "").replace("−", "-"));
    return { text, number: /^[-+−]?[$€£]?[-+−]?[\d.,]+(e[-+]?\d+)?\s*%?$/i.test(text) ? number : NaN };
  };
  const order = (a, b, up) => {
    if (!a.text !== !b.text) return a.text ? -1 : 1;  // what is empty stays last
    const both = !isNaN(a.number) && !isNaN(b.number);
    const found = both ? a.number - b.number : a.text.localeCompare(b.text, undefined, { numeric: true });
    return up ? found : -found;
  };
  const sorters = (heads, sort) => [...heads].forEach((head, column) => {
    if (!head.textContent.trim()) return;
    head.append(make("button", { type: "button" }, ...head.childNodes));
    one("button", head).addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      sort(column, up);
    });
  });
  const sortable = (table) => {
    const body = table.tBodies[0], heads = table.tHead ? [...table.tHead.rows].at(-1).cells : [];
    if (!body?.rows.length || "own" in table.dataset) return;
    const columns = body.rows[0].cells.length;
    if (heads.length !== columns) return;
    [...heads].forEach((head, column) => head.classList.toggle("t", body.rows[0].cells[column].classList.contains("t")));
    if (body.rows.length < 2 || one("[rowspan], [colspan]", body)) return;
    sorters(heads, (column, up) => {
      const rows = [...body.rows].map((row) => [worth(row.cells[column]), row]);
      rows.sort(([a], [b]) => order(a, b, up));
      body.append(...rows.map(([, row]) => row));
    });
  };

  const frames = () => {
    const found = all("iframe.output");
    if (!found.length) return;
    addEventListener("message", (event) => {
      const frame = found.find((each) => each.contentWindow === event.source);
      const height = Number(event.data?.height);
      if (frame && height > 0) frame.style.height = `${Math.min(height, 4000) + 4}px`;
    });
  };

  const contents = () => {
    const box = one(".toc");
    if (!box) return;
    const wide = matchMedia("(min-width: 75rem)");
    const unfold = () => { box.open = wide.matches; };
    unfold();
    wide.addEventListener("change", unfold);
    const links = new Map(all("a", box).map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries.filter((each) => each.isIntersecting)) {
        links.forEach((link) => link.classList.remove("here"));
        links.get(entry.target.id)?.classList.add("here");
      }
    }, { rootMargin: "0px 0px -70% 0px" });
    links.forEach((_, id) => { const part = document.getElementById(id); if (part) seen.observe(part); });
  };

  // only the runs that are looked at are in the page: thousands of rows take a browser seconds
  const index = () => {
    const form = one(".filter"), table = one(".runs"), rest = one("#rest");
    if (!form || !table || !rest) return;
    const body = table.tBodies[0], told = JSON.parse(rest.textContent), few = body.rows.length;
    const html = [...[...body.rows].map((row) => row.outerHTML), ...told.rows];
    const runs = told.keys.map(([id, status, seconds, source, metric], place) =>
      ({ id, status, source, html: html[place], keys: [id, status, seconds, source, metric] }));
    const joined = (text) => text.toLowerCase().replace(/\s*=\s*/g, "=");
    const words = (run) => run.words ??= joined(`${run.id} ${run.html.replace(/<[^>]*>/g, " ")}`);
    const search = one("#search"), status = one("#by-status"), source = one("#by-data"), more = one("#more");
    const picked = [];
    let found = runs, shown = few;
    const count = () => {
      more.hidden = found.length <= shown;
      more.textContent = `Show more (${Math.max(0, found.length - shown)} left)`;
      one("#count").textContent = found.length === runs.length ? `${runs.length} runs` : `${found.length} of ${runs.length} runs`;
    };
    const draw = () => {
      body.innerHTML = found.slice(0, shown).map((run) => run.html).join("");
      for (const row of body.rows) {
        one(".pick-run", row).checked = picked.includes(row.dataset.run);
        row.classList.toggle("picked", picked.includes(row.dataset.run));
      }
      count();
    };
    const filter = () => {
      const asked = joined(search.value).split(/\s+/).filter(Boolean);
      found = runs.filter((run) => (!status.value || run.status === status.value)
        && (!source.value || run.source === source.value) && asked.every((word) => words(run).includes(word)));
      shown = few;
      draw();
    };
    sorters(table.tHead.rows[0].cells, (column, up) => {
      const worth = ({ keys, html }) => {
        const key = column < keys.length ? keys[column] : one(`:scope > :nth-child(${column + 1})`, make("tr", { innerHTML: html.replace(/^<tr[^>]*>/, "") })).textContent;
        return { text: key === null ? "" : String(key).trim(), number: typeof key === "number" ? key : NaN };
      };
      const all = runs.map((run) => [worth(run), run]);
      all.sort(([a], [b]) => order(a, b, up));
      runs.splice(0, runs.length, ...all.map(([, run]) => run));
      filter();
    });
    const pick = one("#pick");
    body.addEventListener("change", (event) => {
      const run = event.target.closest("tr").dataset.run;
      if (event.target.checked) picked.push(run); else picked.splice(picked.indexOf(run), 1);
      if (picked.length > 2) picked.shift();
      const pair = [...picked].sort().join(" ");
      pick.hidden = !picked.length;
      pick.textContent = "Pick another run to compare it with.";
      if (picked.length === 2) {
        pick.replaceChildren("To compare them: ");
        const known = runs.find(({ html }) => html.includes(`data-compares="${pair}"`));
        const href = known && one(`[data-compares="${pair}"]`, make("template", { innerHTML: known.html }).content).getAttribute("href");
        if (href) pick.append(make("a", { href, textContent: "the comparison" }), ", or ");
        pick.append(make("code", { textContent: `python run_pipeline.py compare ${pair}` }));
      }
      for (const row of body.rows) {
        one(".pick-run", row).checked = picked.includes(row.dataset.run);
        row.classList.toggle("picked", picked.includes(row.dataset.run));
      }
    });
    more.addEventListener("click", () => { shown += 200; draw(); });
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    if (search.value || status.value || source.value) filter(); else count();  // a reload keeps what was typed
  };

  const live = () => {
    if (!document.documentElement.hasAttribute("data-live")) return;
    const served = location.protocol.startsWith("http");
    const idle = () => !one("dialog[open]") && !String(getSelection()) && !document.hidden;
    let last = null;
    setInterval(async () => {
      if (!idle()) return;
      if (served) {
        const answer = await fetch(location.href, { cache: "no-cache" }).catch(() => null);
        const text = answer?.ok ? await answer.text() : last;
        if (last === null || text === last) { last = text; return; }
      }
      remembered(now, `scroll:${location.pathname}`, scrollY);
      location.reload();
    }, 2000);
    const place = remembered(now, `scroll:${location.pathname}`);
    if (place) scrollTo(0, Number(place));
  };

  const start = () => {
    for (const part of [code, figures, frames, contents, index, live]) part();
    all("table").forEach(sortable);
    for (const box of all(".wide")) if (box.scrollHeight > box.clientHeight + 4) box.classList.add("tall");
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start); else start();
})();
