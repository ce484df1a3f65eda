// Draws charts: asks for a drawing, compiles its Vega-Lite, and shows it without eval and without any other request.
(() => {
  "use strict";
  const { vega, vegaLite, vegaInterpreter } = window;
  const views = new WeakMap();
  const refused = () => Promise.reject(new Error("charts load nothing"));
  const loader = { load: refused, sanitize: refused, http: refused, file: refused };

  const isDark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };

  // One box for all: what the mark under the pointer stands for.
  const box = document.createElement("div");
  box.className = "chart-tip";
  box.hidden = true;
  const tooltip = (_handler, event, _item, value) => {
    box.replaceChildren();
    if (value == null || value === "") { box.hidden = true; return; }
    if (!box.isConnected) document.body.append(box);
    for (const [name, text] of Object.entries(typeof value === "object" ? value : { "": value })) {
      const line = document.createElement("div");
      const label = document.createElement("span");
      label.textContent = name;
      const shown = document.createElement("b");
      shown.textContent = String(text);
      line.append(label, shown);
      box.append(line);
    }
    box.hidden = false;
    const left = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8);
    const top = event.clientY + 18 + box.offsetHeight > innerHeight ? event.clientY - box.offsetHeight - 8 : event.clientY + 18;
    box.style.left = `${Math.max(8, left)}px`;
    box.style.top = `${Math.max(8, top)}px`;
  };

  const say = (figure, text, bad) => {
    const note = figure.querySelector("[data-note]");
    note.textContent = text || "";
    note.hidden = !text;
    note.classList.toggle("wrong", Boolean(bad));
  };

  const forget = (figure) => {
    views.get(figure)?.finalize();
    views.delete(figure);
    box.hidden = true;
  };

  // Draws into a fresh element and only then takes the old one away, so that new data does not flicker.
  const draw = async (figure, drawing) => {
    const old = figure.querySelector("[data-plot]");
    old.hidden = false;
    const spec = { ...drawing.spec, data: { values: drawing.rows } };
    const config = drawing.themes[isDark() ? "dark" : "light"];
    if (!drawing.rows.length) {
      forget(figure);
      old.hidden = true;
      say(figure, drawing.data.note || "No rows.");
      return;
    }
    const fresh = old.cloneNode(false);
    fresh.hidden = false;
    // Hidden, but as large as what it takes the place of: what is drawn fits its container.
    fresh.classList.add("is-coming");
    fresh.style.width = `${old.clientWidth}px`;
    fresh.style.height = `${old.clientHeight}px`;
    old.after(fresh);
    try {
      // Its warnings are about what users have chosen, such as a log scale that meets a zero: nothing for the console.
      const quiet = vega.logger(vega.Error);
      const compiled = vegaLite.compile(spec, { config, logger: quiet }).spec;
      const runtime = vega.parse(compiled, {}, { ast: true });
      const view = new vega.View(runtime, {
        expr: vegaInterpreter.expressionInterpreter, loader, tooltip, logger: quiet,
        renderer: "canvas", container: fresh, hover: true,
      });
      view.resize();
      await view.runAsync();
      // The figure says what it is; its parts would say it again.
      for (const part of [fresh, ...fresh.querySelectorAll("[role], [aria-label], [aria-roledescription]")]) {
        for (const name of ["role", "aria-label", "aria-roledescription"]) part.removeAttribute(name);
      }
      forget(figure);
      views.set(figure, view);
      old.remove();
      fresh.classList.remove("is-coming");
      const before = [fresh.clientWidth, fresh.clientHeight].join();
      fresh.style.width = fresh.style.height = "";
      figure.drawing = drawing;
      say(figure, drawing.data.note);
      // A note that came or went has changed the room; Vega looks at it when the window changes.
      if ([fresh.clientWidth, fresh.clientHeight].join() !== before) window.dispatchEvent(new Event("resize"));
    } catch (error) {
      fresh.remove();
      throw error;
    }
  };

  const load = async (figure) => {
    figure.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(figure.dataset.chart, { headers: { Accept: "application/json" } });
      const body = await answer.json();
      if (!answer.ok) throw new Error(body.detail || `the server answers ${answer.status}`);
      await draw(figure, body);
      delete figure.dataset.failed;
    } catch (error) {
      figure.dataset.failed = "true";
      say(figure, error.message, true);
    } finally {
      figure.setAttribute("aria-busy", "false");
      figure.dataset.ready = "true";
    }
  };

  const loadAll = async (root) => {
    await Promise.all([...root.querySelectorAll("[data-chart]")].map(load));
    document.documentElement.dataset.chartsReady = "true";
  };

  const redraw = () => {
    for (const figure of document.querySelectorAll("[data-chart], [data-preview]")) {
      if (figure.drawing) draw(figure, figure.drawing);
    }
  };

  // --- the form of a chart: drawn while it is filled in --------------------------------------------
  const number = (data) => {
    const shown = document.createElement("div");
    shown.className = "big-number";
    const value = document.createElement("b");
    value.textContent = data.number.text;
    const delta = document.createElement("span");
    delta.className = `delta ${data.number.direction}`;
    delta.textContent = `${data.number.delta_text} ${data.number.since}`;
    shown.append(value, delta);
    return shown;
  };

  const table = (data) => {
    const shown = document.createElement("table");
    const head = shown.createTHead().insertRow();
    for (const column of data.columns) {
      const cell = document.createElement("th");
      cell.textContent = column.title;
      head.append(cell);
    }
    const body = shown.createTBody();
    for (const row of data.rows.slice(0, 12)) {
      const line = body.insertRow();
      for (const column of data.columns) line.insertCell().textContent = row[column.key] ?? "–";
    }
    return shown;
  };

  const preview = async (figure, drawing) => {
    const html = figure.querySelector("[data-html]");
    html.replaceChildren();
    if (drawing.problem) { say(figure, drawing.problem); figure.dataset.failed = "true"; return; }
    delete figure.dataset.failed;
    const plain = !Object.keys(drawing.spec).length;
    figure.querySelector("[data-plot]").hidden = plain;
    if (plain) {
      forget(figure);
      figure.drawing = null;
      html.append(drawing.data.number ? number(drawing.data) : table(drawing.data));
      say(figure, drawing.data.note);
    } else {
      await draw(figure, drawing);
    }
  };

  const watch = (form) => {
    // Not form.dataset and the like: a field of that name, and there is one, would take its place.
    const figure = form.querySelector("[data-preview]");
    let waiting = 0;
    let asked = 0;
    const fit = () => {
      const kind = form.elements.type.value;
      for (const part of form.querySelectorAll("[data-for]")) part.hidden = !part.dataset.for.split(" ").includes(kind);
    };
    const ask = async () => {
      const mine = ++asked;
      figure.dataset.ready = "false";
      try {
        const answer = await fetch(form.getAttribute("data-chart-form"), { method: "POST", body: new FormData(form) });
        const body = await answer.json();
        if (mine !== asked) return;  // another one has been asked for meanwhile
        await preview(figure, answer.ok ? body : { problem: body.detail });
      } catch (error) {
        say(figure, error.message, true);
      }
      figure.dataset.ready = "true";
    };
    const soon = () => { clearTimeout(waiting); waiting = setTimeout(ask, 300); };
    form.addEventListener("input", () => { fit(); soon(); });
    fit();
    if ([...form.elements].some((each) => /^(x|y\d|metric)$/.test(each.name) && each.value)) ask();
  };

  window.dtegCharts = { loadAll };
  document.addEventListener("DOMContentLoaded", () => {
    for (const area of document.querySelectorAll("[data-plot]")) area.hidden = false;
    loadAll(document);
    for (const form of document.querySelectorAll("[data-chart-form]")) watch(form);
  });
  document.addEventListener("submit", (event) => {
    if (event.target.matches?.("[data-theme-form]")) setTimeout(redraw);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
})();
