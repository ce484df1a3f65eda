// The tables of the dataset as cards, whose columns are chosen and joined: by mouse, finger or keys.

import { focusOn, h, say } from "./builder_dom.js";
import { drawLines, signOf } from "./builder_lines.js";
import {
  addColumn, addJoin, columnOf, nameOf, removeColumnsFrom, removeSource, renameSource, slugOf, tableOf, usedColumns, whereFrom,
} from "./builder_spec.js";
import { figure, relations, typeWords, words } from "./builder_words.js";

const [WIDTH, GAP_X, GAP_Y, HEAD, ROW, SHOWN_ROWS] = [232, 92, 28, 86, 32, 8];
const STEP = 24;
const NARROW = 620;
const MANY_COLUMNS = 12;
const DRAG_FROM = 5;

// The same description each time: its lines are drawn by `drawLines`, when everything has its place.
const LINES = h("svg", { class: "builder-lines", "aria-hidden": "true" });

const columnsOf = (app, alias) => app.catalogue.now(app.store.spec.sources[alias])?.columns ?? [];

const heightOf = (app, alias) => HEAD + Math.min(Math.max(columnsOf(app, alias).length, 1), SHOWN_ROWS) * ROW
  + (columnsOf(app, alias).length > MANY_COLUMNS ? 36 : 0);

/** Give each card a place: tables that are joined stand beside each other, from the first one to the right. */
const arrange = (app) => {
  const { sources = {}, joins = [] } = app.store.spec;
  const depth = new Map();
  for (const start of Object.keys(sources)) {
    if (depth.has(start)) continue;
    const base = depth.size ? Math.max(...depth.values()) + 1 : 0;
    const queue = [[start, base]];
    while (queue.length) {
      const [alias, level] = queue.shift();
      if (depth.has(alias) || !(alias in sources)) continue;
      depth.set(alias, level);
      for (const join of joins) {
        if (join.left === alias) queue.push([join.right, level + 1]);
        if (join.right === alias) queue.push([join.left, level + 1]);
      }
    }
  }
  const used = new Map();
  const perRow = Math.max(1, Math.floor((app.ui.canvasWidth + GAP_X - 24) / (WIDTH + GAP_X)));
  for (const [alias, level] of depth) {
    const column = level % perRow;
    const y = used.get(column) ?? 14;
    used.set(column, y + heightOf(app, alias) + GAP_Y);
    app.ui.places[alias] = app.ui.moved[alias] ?? { x: 14 + column * (WIDTH + GAP_X), y };
  }
  const bottoms = [...depth.keys()].map((alias) => app.ui.places[alias].y + heightOf(app, alias));
  return Math.max(190, ...bottoms) + 24;
};

const isNarrow = (app) => app.ui.canvasWidth < NARROW;

// --- joining ------------------------------------------------------------------------------------

/** Begin a join at a column, or end it at one. */
const chooseForJoin = (app, column) => {
  const from = app.ui.joining;
  if (!from) {
    app.ui.joining = column;
    say(`Joining ${column}: choose a column of another table. Escape gives up.`);
  } else if (tableOf(from) === tableOf(column)) {
    app.ui.joining = from === column ? "" : column;
  } else {
    join(app, from, column);
  }
  app.render();
};

// What keys say about how many rows match; nothing if they say nothing.
const relationOf = (app, left, right) => {
  const isKey = (full) => columnsOf(app, tableOf(full)).some((column) => column.name === columnOf(full) && column.key);
  const [a, b] = [isKey(left), isKey(right)];
  return a && b ? { expect: "one_to_one" } : a ? { expect: "one_to_many" } : b ? { expect: "many_to_one" } : {};
};

/** Join two columns; return which join it is. */
export const join = (app, left, right, more = relationOf(app, left, right)) => {
  let index = 0;
  app.ui.joining = "";
  app.store.change(`join ${left} ${right}`, (spec) => { index = addJoin(spec, left, right, more); });
  say(`${left} is joined with ${right}.`);
  return index;
};

const dragFrom = (app, column, event, whole) => {
  if (event.button !== 0 || (whole && event.pointerType !== "mouse")) return;
  const canvas = document.getElementById("builder-canvas");
  const start = { x: event.clientX, y: event.clientY };
  const targetAt = (at) => document.elementFromPoint(at.clientX, at.clientY)?.closest("[data-column]")?.dataset.column;
  const move = (at) => {
    if (!app.ui.drag && Math.hypot(at.clientX - start.x, at.clientY - start.y) < DRAG_FROM) return;
    at.preventDefault();
    const outer = canvas.getBoundingClientRect();
    const over = targetAt(at);
    app.ui.drag = {
      column, over: over && tableOf(over) !== tableOf(column) ? over : "",
      to: { x: at.clientX - outer.left + canvas.scrollLeft, y: at.clientY - outer.top + canvas.scrollTop },
    };
    app.render();
  };
  const stop = (at) => {
    for (const [kind, handler] of handlers) removeEventListener(kind, handler);
    const { drag } = app.ui;
    app.ui.drag = undefined;
    if (drag) {
      // The click that follows a drag chooses nothing.
      const swallow = (click) => { click.preventDefault(); click.stopPropagation(); };
      addEventListener("click", swallow, { capture: true, once: true });
      setTimeout(() => removeEventListener("click", swallow, { capture: true }));
      if (at.type === "pointerup" && drag.over) join(app, column, drag.over);
    }
    app.render();
  };
  const handlers = [["pointermove", move], ["pointerup", stop], ["pointercancel", stop]];
  for (const [kind, handler] of handlers) addEventListener(kind, handler);
};

// --- moving cards -------------------------------------------------------------------------------

const moveTo = (app, alias, x, y) => {
  app.ui.moved[alias] = { x: Math.max(0, Math.round(x)), y: Math.max(0, Math.round(y)) };
  app.render();
};

const dragCard = (app, alias, event) => {
  if (event.button !== 0 || isNarrow(app) || event.target.closest("input, button:not(.builder-grip)")) return;
  event.preventDefault();
  const { x, y } = app.ui.places[alias];
  const from = { x: event.clientX, y: event.clientY };
  const move = (at) => moveTo(app, alias, x + at.clientX - from.x, y + at.clientY - from.y);
  const stop = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", stop); removeEventListener("pointercancel", stop); };
  addEventListener("pointermove", move);
  addEventListener("pointerup", stop);
  addEventListener("pointercancel", stop);
};

const moveByKey = (app, alias, event) => {
  const step = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
  if (!step || isNarrow(app)) return;
  event.preventDefault();
  const { x, y } = app.ui.places[alias];
  moveTo(app, alias, x + step[0], y + step[1]);
};

// --- cards --------------------------------------------------------------------------------------

const rowKeys = (app, alias, shown, event) => {
  const current = event.target.closest("[data-column]");
  if (!current) return;
  const at = shown.findIndex((column) => `${alias}.${column.name}` === current.dataset.column);
  const go = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[event.key];
  if (go !== undefined) {
    event.preventDefault();
    const next = shown[Math.min(Math.max(go, 0), shown.length - 1)];
    app.ui.rows[alias] = next.name;
    app.render();
    const kind = event.target.matches("input") ? "input" : "button";
    focusWithin(`${alias}.${next.name}`, kind);
  } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
    event.preventDefault();
    current.querySelector(event.key === "ArrowRight" ? "button" : "input").focus();
  }
};

const focusWithin = (column, kind) => requestAnimationFrame(() => requestAnimationFrame(
  () => document.querySelector(`[data-column="${CSS.escape(column)}"] ${kind}`)?.focus(),
));

const rowView = (app, alias, column, reachable, used) => {
  const full = `${alias}.${column.name}`;
  const chosen = (app.store.spec.columns ?? []).some((each) => each.from === full);
  const joined = (app.store.spec.joins ?? []).some((join) => join.on.some((pair) => pair.includes(full)));
  const marks = ["builder-row", (chosen || used.has(full)) && "is-used", joined && "is-joined", app.ui.joining === full && "is-joining", app.ui.drag?.over === full && "is-over"];
  const key = column.key ? ", key" : "";
  return h("li", {
    key: column.name, class: marks.filter(Boolean).join(" "), "data-column": full,
    onpointerdown: (event) => !event.target.closest(".builder-knob") && dragFrom(app, full, event, true),
    onclick: (event) => {
      if (app.ui.joining && !event.target.closest("button, input")) { event.preventDefault(); chooseForJoin(app, full); }
    },
  }, h("label", { title: column.description || undefined },
    h("input", {
      type: "checkbox", checked: chosen, tabindex: reachable ? "0" : "-1", "aria-label": `${full} (${typeWords(column.type)}${key}) in the result`,
      onchange: () => app.store.change(`column ${full}`, (spec) => (chosen ? removeColumnsFrom(spec, full) : addColumn(spec, full))),
    }),
    h("span", { class: "builder-clip" }, column.name)),
  h("span", { class: "builder-type", title: column.type }, column.key ? "key" : typeWords(column.type)),
  h("button", {
    type: "button", class: "builder-knob", tabindex: reachable ? "0" : "-1", "aria-pressed": String(app.ui.joining === full),
    "aria-label": app.ui.joining && tableOf(app.ui.joining) !== alias ? `Join ${app.ui.joining} with ${full}` : `Join ${full} with a column of another table`,
    onpointerdown: (event) => dragFrom(app, full, event, false),
    onclick: () => chooseForJoin(app, full),
  }));
};

const cardView = (app, alias) => {
  const ref = app.store.spec.sources[alias];
  const table = app.catalogue.now(ref);
  const columns = table?.columns ?? [];
  const wanted = (app.ui.finds[alias] ?? "").toLowerCase();
  const shown = columns.filter((column) => column.name.toLowerCase().includes(wanted));
  const active = shown.some((column) => column.name === app.ui.rows[alias]) ? app.ui.rows[alias] : shown[0]?.name;
  // That it is not joined yet is said below the cards: here it would move the rows away from under the mouse.
  const told = columns.length ? [] : app.problemsAt(`sources.${alias}`, true);
  const problem = table?.problem || told.map((each) => each.message).join(" ");
  const all = columns.length > 0 && columns.every((column) => (app.store.spec.columns ?? []).some((each) => each.from === `${alias}.${column.name}`));
  const place = app.ui.places[alias];
  const used = usedColumns(app.store.spec);
  return h("section", {
    key: `card-${alias}`, id: `card-${alias}`, tabindex: "-1", class: `builder-card${problem ? " is-wrong" : ""}`, "aria-label": `Table ${alias}`,
    place: isNarrow(app) ? { left: "auto", top: "auto" } : { left: `${place.x}px`, top: `${place.y}px` },
  }, h("header", { onpointerdown: (event) => dragCard(app, alias, event) },
    isNarrow(app) ? null : h("button", {
      type: "button", class: "builder-grip", "aria-label": `Move ${alias} with the arrow keys`, title: "Move", onkeydown: (event) => moveByKey(app, alias, event),
    }, "⠿"),
    h("div", {}, app.ui.renaming === alias ? nameField(app, alias) : h("button", {
      type: "button", id: `name-${alias}`, class: "builder-name", title: "Rename", "aria-label": `${alias}: give it another name`,
      onclick: () => { app.ui.renaming = alias; app.render(); focusOn(`rename-${alias}`); },
    }, words(alias)),
    h("span", { class: "builder-from", title: nameOf(ref) }, [whereFrom(ref), table?.rows ? `about ${figure(table.rows)} rows` : ""].filter(Boolean).join(" · "))),
    h("button", {
      type: "button", class: "builder-out", "aria-label": `Take ${alias} out`, title: "Take it out",
      onclick: () => {
        app.store.change(`remove ${alias}`, (spec) => removeSource(spec, alias));
        delete app.ui.moved[alias];
        say(`${alias} is taken out.`);
        focusOn("tree-search");
      },
    }, "×")),
  problem ? h("p", { class: "builder-wrong small" }, problem, table?.failed ? h("button", {
    type: "button", class: "link-button small", onclick: () => app.catalogue.of(ref),
  }, "Try again") : null) : null,
  columns.length > MANY_COLUMNS ? h("input", {
    type: "search", class: "builder-find", placeholder: "Find a column", "aria-label": `Find a column of ${alias}`, value: app.ui.finds[alias] ?? "",
    oninput: (event) => { app.ui.finds[alias] = event.target.value; app.render(); },
  }) : null,
  h("ul", { "aria-label": `Columns of ${alias}`, "aria-describedby": "builder-keys", onkeydown: (event) => rowKeys(app, alias, shown, event), onscroll: () => drawLines(app) },
    columns.length ? shown.map((column) => rowView(app, alias, column, column.name === active, used))
      : problem ? null : h("li", { class: "quiet small builder-row" }, "Looking…")),
  columns.length ? h("footer", {}, h("button", {
    type: "button", class: "link-button", "aria-label": `${all ? "No" : "All"} columns of ${alias}`,
    onclick: () => app.store.change(`all of ${alias}`, (spec) => {
      for (const column of columns) {
        const full = `${alias}.${column.name}`;
        const there = (spec.columns ?? []).some((each) => each.from === full);
        if (all) removeColumnsFrom(spec, full);
        else if (!there) addColumn(spec, full);
      }
    }),
  }, all ? "No columns" : "All columns")) : null);
};

const nameField = (app, alias) => {
  const done = (event, keep) => {
    if (app.ui.renaming !== alias) return;
    app.ui.renaming = "";
    const to = slugOf(event.target.value);
    if (keep && to !== alias && !(to in app.store.spec.sources)) {
      app.ui.moved[to] = app.ui.moved[alias];
      app.store.change(`rename ${alias}`, (spec) => renameSource(spec, alias, to));
    }
    app.render();
    focusOn(`name-${keep && to in app.store.spec.sources ? to : alias}`);
  };
  return h("input", {
    id: `rename-${alias}`, class: "builder-rename", value: alias, "aria-label": `New name of ${alias}`, maxlength: "41",
    onblur: (event) => done(event, true),
    onkeydown: (event) => {
      if (event.key === "Enter") done(event, true);
      if (event.key === "Escape") { event.stopPropagation(); done(event, false); }
    },
  });
};

const badgeView = (app, join, index) => {
  const sentence = relations(join.left, join.right).find(([value]) => value === join.expect)?.[1] ?? "how many match is not said";
  return h("button", {
    key: `badge-${index}`, type: "button", class: "builder-sign", "data-join": String(index), title: sentence,
    "aria-label": `${signOf(join)}, join of ${join.left} and ${join.right}: ${sentence}`, onclick: () => focusOn(`at-joins-${index}-type`),
  }, signOf(join));
};

/** Show the canvas. */
export const canvasView = (app) => {
  const { sources = {}, joins = [] } = app.store.spec;
  const height = arrange(app);
  const { joining } = app.ui;
  return h("div", {
    id: "builder-canvas", class: `builder-canvas${isNarrow(app) ? " is-narrow" : ""}${joining ? " is-joining" : ""}`, role: "group",
    "aria-label": "Tables of this dataset", place: { "min-height": isNarrow(app) ? "0" : `${height}px` },
    onkeydown: (event) => { if (event.key === "Escape" && joining) { app.ui.joining = ""; say("Not joined."); app.render(); } },
  }, LINES,
  Object.keys(sources).map((alias) => cardView(app, alias)),
  joins.map((each, index) => badgeView(app, each, index)),
  Object.keys(sources).length ? null : h("div", { class: "builder-start" },
    h("p", {}, h("strong", {}, "Begin with a table."), " Choose one on the left; tables of other databases can be added beside it.")),
  joining ? h("p", { class: "builder-joining", role: "status" }, h("strong", {}, columnOf(joining)), ` of ${words(tableOf(joining))}: now choose the column of another table that is the same. `,
    h("button", { type: "button", class: "link-button", onclick: () => { app.ui.joining = ""; app.render(); } }, "Give up")) : null);
};
