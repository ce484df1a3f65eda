// The page on which a dataset is made without SQL. This file puts the parts together: the state, what is asked of the
// studio when it changes, and the drawing of the page. The parts are functions from the state to descriptions (`h`).

import { debounced, makeApi } from "./builder_api.js";
import { canvasView } from "./builder_canvas.js";
import { makeCatalogue } from "./builder_catalogue.js";
import { columnsView } from "./builder_columns.js";
import { focusOn, h, patch, say } from "./builder_dom.js";
import { filtersView } from "./builder_filters.js";
import { headView } from "./builder_head.js";
import { joinsView } from "./builder_joins.js";
import { drawLines } from "./builder_lines.js";
import { goTo, previewView, ROWS, tabOf } from "./builder_preview.js";
import { emptySpec, refKey } from "./builder_spec.js";
import { makeStore } from "./builder_store.js";
import { summaryView } from "./builder_summary.js";
import { loadTree, pickWithColumns, treeView } from "./builder_tree.js";
import { checksView, historyView, refreshView } from "./builder_upkeep.js";
import { makeYaml } from "./builder_yaml.js";

const CHECK_MS = 250;
const PREVIEW_MS = 700;
const TICK_MS = 100;
const PARTS = [
  ["columns", "Columns", columnsView, (spec) => spec.columns?.length],
  ["filters", "Filters", filtersView, (spec) => (spec.filters ? 1 : 0)],
  ["summary", "Summarise", summaryView, (spec) => (spec.group_by?.length ?? 0) + (spec.measures?.length ?? 0)],
  ["refresh", "Refresh", refreshView, (spec) => (spec.cache?.schedule ? 1 : 0)],
  ["history", "History", historyView, (spec) => (spec.snapshot ? 1 : 0)],
  ["checks", "Checks", checksView, (spec) => spec.checks?.length],
];

const root = document.getElementById("builder");
const given = JSON.parse(document.getElementById("builder-given").textContent);

const app = {
  api: makeApi(root.dataset.csrf),
  revision: given.revision ?? null,
  readOnly: given.read_only,
  mayPreview: given.may_preview,
  vocabulary: given.vocabulary,
  tree: { branches: undefined, open: new Set(), wanted: "", problem: "" },
  check: { problems: [], columns: [], sql: "", running: false, failed: false },
  preview: { warnings: [] },
  ui: {
    view: "build", tab: "columns", auto: given.may_preview, places: {}, moved: {}, rows: {}, finds: {}, lists: {}, told: {}, joining: "", renaming: "",
    draft: { left: "", right: "" }, suggestions: [], canvasWidth: 900, saving: false, saveProblem: "", otherTimes: "", ownSlug: false, about: false,
  },
};

// --- asking -------------------------------------------------------------------------------------

const hasTables = () => Object.keys(app.store.spec.sources ?? {}).length > 0;
// A dataset without a name yet can be looked at all the same.
const asked = () => ({ ...app.store.spec, dataset: app.store.spec.dataset || "preview" });

// What rows depend on: neither names and times of refreshes nor checks.
const queryOf = (spec) => JSON.stringify({ ...spec, dataset: 0, title: 0, description: 0, cache: 0, snapshot: 0, checks: 0 });

const checker = debounced(async (signal) => {
  Object.assign(app.check, { running: true });
  try {
    const told = await app.api.post("/datasets/builder/check", { spec: asked() }, signal);
    Object.assign(app.check, { problems: told.problems, columns: told.columns, sql: told.sql, failed: false });
    app.check.warnings = told.warnings;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    Object.assign(app.check, { problems: error.problems ?? [{ path: "", message: error.message }], failed: true });
  }
  app.check.running = false;
  app.render();
  if (!app.check.problems.length && app.ui.auto && app.preview.of !== queryOf(app.store.spec)) viewer.soon();
}, CHECK_MS);

const viewer = debounced(async (signal) => {
  const of = queryOf(app.store.spec);
  const tick = setInterval(() => app.render(), TICK_MS);
  app.preview = { ...app.preview, running: true, cancelled: false, problem: "", startedAt: performance.now() };
  app.render();
  try {
    const told = await app.api.post("/api/v1/datasets/preview", { spec: asked(), rows: ROWS }, signal);
    const warnings = (told.warnings ?? []).map((each) => (typeof each === "string" ? { path: "", message: each } : each));
    app.preview = { of, columns: told.columns, rows: told.rows, sql: told.sql, plan: told.plan ?? [], warnings, elapsedMs: told.elapsed_ms };
  } catch (error) {
    // Who gave it up has said so, and perhaps begun another one.
    if (error.name === "AbortError") throw error;
    const placed = (error.problems ?? []).filter((each) => each.path);
    if (placed.length) app.check.problems = placed;
    app.preview = { ...app.preview, running: false, stale: true, problem: placed.length ? "" : error.message };
  } finally {
    clearInterval(tick);
    app.render();
  }
}, PREVIEW_MS);

// Tables of a list are called t1, t2 and so on in the answer.
const named = (suggestion, aliases) => {
  const own = (text) => text.replace(/^t(\d+)/, (_, number) => aliases[number - 1]);
  return { ...suggestion, left: own(suggestion.left), right: own(suggestion.right), on: suggestion.on.map((pair) => pair.map(own)) };
};

let suggestedFor = "";
const suggester = debounced(async (signal) => {
  const { sources = {} } = app.store.spec;
  try {
    const told = await app.api.post("/api/v1/datasets/joins", { tables: Object.values(sources) }, signal);
    app.ui.suggestions = told.items.map((each) => named(each, Object.keys(sources)));
  } catch (error) {
    if (error.name === "AbortError") throw error;
    app.ui.suggestions = []; // what is wrong with a table is said by the check
  }
  app.render();
}, CHECK_MS);

const suggest = () => {
  const { sources = {} } = app.store.spec;
  const now = JSON.stringify(Object.entries(sources).map(([alias, ref]) => [alias, refKey(ref)]));
  if (now === suggestedFor) return;
  suggestedFor = now;
  if (Object.keys(sources).length > 1) suggester.soon();
  else app.ui.suggestions = [];
};

app.tellSchedules = async () => {
  for (const part of ["cache", "snapshot"]) {
    const { schedule: cron, timezone = "UTC" } = app.store.spec[part] ?? {};
    const key = `${cron} ${timezone}`;
    if (!cron || key in app.ui.told) continue;
    app.ui.told[key] = "";
    try {
      app.ui.told[key] = (await app.api.post("/datasets/builder/schedule", { cron, timezone })).told;
    } catch {
      continue; // what is wrong with it is said by the check
    }
    app.render();
  }
};

app.previewSoon = () => viewer.soon();
app.previewNow = () => viewer.now();
app.cancelPreview = () => {
  viewer.stop();
  app.preview = { ...app.preview, running: false, cancelled: true };
  app.render();
};

// --- state --------------------------------------------------------------------------------------

const changed = () => {
  app.ui.saveProblem = "";
  const same = app.preview.of === queryOf(app.store.spec);
  app.preview.stale = Boolean(app.preview.columns) && !same;
  viewer.stop();
  Object.assign(app.preview, { running: false, cancelled: false, problem: "" });
  if (app.ui.view === "yaml") app.yaml.write();
  if (hasTables()) checker.soon();
  else {
    checker.stop();
    Object.assign(app.check, { problems: [], columns: [], sql: "", running: false });
    app.preview = { warnings: [] };
  }
  suggest();
  app.tellSchedules();
  app.render();
};

app.store = makeStore(given.spec ?? emptySpec(), changed);
app.catalogue = makeCatalogue(app.api, () => app.render());
app.yaml = makeYaml(app);
let savedAs = app.store.spec;
app.dirty = () => app.store.spec !== savedAs && hasTables();
app.dictionaries = () => (app.tree.branches ?? []).find((branch) => branch.kind === "dictionaries")?.tables?.map((table) => ({ slug: table.ref.dictionary, title: table.label })) ?? [];

/** Return what is wrong at a place of the dataset; with `deep` also below it. */
app.problemsAt = (path, deep) => app.check.problems.filter((each) => each.path === path || (deep && (each.path.startsWith(`${path}.`) || each.path.startsWith(`${path}[`))));

app.show = (view) => {
  app.ui.view = view;
  if (view === "yaml") app.yaml.write();
  app.render();
};

app.save = async () => {
  const typed = document.activeElement;
  if (typed?.matches(".builder-strong")) typed.dispatchEvent(new Event("change")); // a name counts before it is left
  const { spec } = app.store;
  if (app.readOnly || app.ui.saving) return;
  const missing = !hasTables() ? ["Choose a table first.", "tree-search"] : !spec.dataset ? ["Give the dataset a title first.", "at-title"] : undefined;
  if (missing) {
    app.ui.saveProblem = missing[0];
    app.render();
    focusOn(missing[1]);
    return;
  }
  app.ui.saving = true;
  app.render();
  try {
    await (app.revision ? app.api.put(`/api/v1/datasets/${spec.dataset}`, { spec, revision: app.revision }) : app.api.post("/api/v1/datasets", { spec }));
    savedAs = spec;
    location.assign(`/datasets/${spec.dataset}?done=dataset-saved`);
  } catch (error) {
    const placed = (error.problems ?? []).filter((each) => each.path);
    app.ui.saveProblem = error.message;
    if (error.status === 409) app.ui.about = true;
    if (placed.length) {
      app.check.problems = placed;
      goTo(app, placed[0].path);
    }
    say(app.ui.saveProblem);
  }
  app.ui.saving = false;
  app.render();
};

// --- drawing ------------------------------------------------------------------------------------

const tabKeys = (event) => {
  const at = PARTS.findIndex(([name]) => name === app.ui.tab);
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: PARTS.length - 1 }[event.key];
  if (next === undefined || event.target.getAttribute("role") !== "tab") return;
  event.preventDefault();
  [app.ui.tab] = PARTS[(next + PARTS.length) % PARTS.length];
  app.render();
  focusOn(`tab-${app.ui.tab}`);
};

const partsView = () => {
  const [, , view] = PARTS.find(([name]) => name === app.ui.tab);
  const wrong = (name) => app.check.problems.filter((each) => each.path && tabOf(each.path) === name).length;
  return h("section", { class: "builder-parts", "aria-label": "What is made of the tables" },
    h("div", { class: "builder-tabs", role: "tablist", "aria-label": "Parts", onkeydown: tabKeys }, PARTS.map(([name, label, , count]) => {
      const bad = wrong(name);
      const number = bad || count(app.store.spec) || 0;
      return h("button", {
        key: name, type: "button", role: "tab", id: `tab-${name}`, "aria-selected": String(app.ui.tab === name), "aria-controls": "panel",
        tabindex: app.ui.tab === name ? "0" : "-1", onclick: () => { app.ui.tab = name; app.render(); },
      }, label, number ? h("span", { class: `badge ${bad ? "bad" : "accent"}`, "aria-label": bad ? `${bad} to mend` : `${number} set` }, number) : null);
    })),
    h("div", { key: app.ui.tab, id: "panel", class: "builder-panel", role: "tabpanel", "aria-labelledby": `tab-${app.ui.tab}` }, view(app)));
};

const buildView = () => h("div", { key: "build", id: "panel-build", class: "builder-build", role: "tabpanel", "aria-labelledby": "view-build" },
  h("div", { class: "builder-top" }, treeView(app), h("div", { class: "builder-middle" }, canvasView(app), joinsView(app))),
  hasTables() ? partsView() : null);

const draw = () => {
  patch(root, [headView(app), app.ui.view === "yaml" ? app.yaml.view() : buildView(), previewView(app)]);
  const width = document.getElementById("builder-canvas")?.clientWidth;
  if (width && width !== app.ui.canvasWidth) {
    app.ui.canvasWidth = width;
    app.render();
  }
  drawLines(app);
  root.dataset.ready = String(Boolean(app.tree.branches || app.tree.problem));
};

let waiting = false;
app.render = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
};

addEventListener("resize", () => app.render());
root.addEventListener("focusout", () => app.render());
addEventListener("beforeunload", (event) => { if (app.dirty() && !app.ui.saving) event.preventDefault(); });
addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  const key = event.key.toLowerCase();
  const typing = event.target.matches?.("input:not([type=checkbox]), textarea");
  const act = key === "s" ? () => app.save() : key === "enter" ? () => app.previewNow()
    : typing ? undefined : key === "z" ? () => (event.shiftKey ? app.store.redo() : app.store.undo()) : key === "y" ? () => app.store.redo() : undefined;
  if (!act) return;
  event.preventDefault();
  act();
});

app.render();
loadTree(app);
if (hasTables()) changed();
else if (given.begin) pickWithColumns(app, given.begin);
