// What a dataset can be made of: sources with their tables, dictionaries and other datasets, to search and to open.

import { h, say } from "./builder_dom.js";
import { figure } from "./builder_words.js";
import { addColumn, addSource, refKey } from "./builder_spec.js";

const SHOWN_TABLES = 200;
const FEW_SOURCES = 5;

/** Load what the tree needs: the branches at once, the tables of a source when it is opened or searched. */
export const loadTree = async (app) => {
  try {
    app.tree.branches = (await app.api.get("/datasets/builder/tree")).branches;
    const sources = app.tree.branches.filter((branch) => branch.kind === "source");
    if (sources.length <= FEW_SOURCES) for (const { id } of sources) app.tree.open.add(id);
    // Dictionaries are chosen elsewhere, too.
    const needed = app.tree.branches.filter((branch) => branch.kind !== "source" || app.tree.open.has(branch.id));
    await Promise.all(needed.map((branch) => loadBranch(app, branch)));
  } catch (error) {
    app.tree.problem = error.message;
  }
  app.render();
};

const loadBranch = async (app, branch) => {
  if (branch.tables || branch.loading) return;
  branch.loading = true;
  app.render();
  try {
    branch.tables = (await app.api.get(`/datasets/builder/tree/${encodeURIComponent(branch.slug)}`)).tables;
    branch.problem = "";
  } catch (error) {
    branch.problem = error.message;
  }
  branch.loading = false;
  app.render();
};

/** Put a table on the canvas. */
export const pick = (app, ref) => {
  let alias = "";
  app.store.change(`add ${refKey(ref)}`, (spec) => {
    alias = addSource(spec, ref);
  });
  say(`${alias} is added.`);
  return alias;
};

/** Put a table on the canvas, and all of its columns into the result. */
export const pickWithColumns = async (app, ref) => {
  const alias = pick(app, ref);
  const columns = (await app.catalogue.of(ref))?.columns ?? [];
  app.store.change(`columns of ${alias}`, (spec) => {
    for (const column of columns) addColumn(spec, `${alias}.${column.name}`);
  });
};

const STATES = { failing: ["bad", "not answering"], open: ["bad", "not answering"] };

const branchView = (app, branch, wanted) => {
  const tables = (branch.tables ?? []).filter((table) => !wanted || `${branch.title} ${branch.slug} ${table.label}`.toLowerCase().includes(wanted));
  if (wanted && branch.tables && !tables.length) return null;
  const open = app.tree.open.has(branch.id) || Boolean(wanted);
  const state = STATES[branch.state];
  const used = new Set(Object.values(app.store.spec.sources ?? {}).map(refKey));
  return h("li", { key: branch.id, class: "builder-branch" },
    h("button", {
      id: `branch-${branch.id}`, type: "button", class: "builder-branch-name", "aria-expanded": String(open),
      onclick: () => {
        if (open) app.tree.open.delete(branch.id);
        else app.tree.open.add(branch.id);
        if (!open) loadBranch(app, branch);
        app.render();
      },
    }, h("span", { class: "builder-arrow", "aria-hidden": "true" }, "▸"), h("span", { class: "builder-clip" }, branch.title || branch.slug),
    branch.note ? h("span", { class: "quiet small" }, branch.note) : null,
    state ? h("span", { class: `badge ${state[0]}`, title: branch.told ?? "" }, state[1]) : null),
    open ? h("ul", { class: "builder-leaves" },
      branch.loading ? h("li", { class: "quiet small" }, "Loading…") : null,
      branch.problem ? h("li", { class: "builder-wrong small" }, branch.problem) : null,
      tables.slice(0, SHOWN_TABLES).map((table) => leafView(app, branch, table, used)),
      tables.length > SHOWN_TABLES ? h("li", { class: "quiet small" }, `${figure(tables.length - SHOWN_TABLES)} more: search for them.`) : null,
      branch.tables && !branch.tables.length && !branch.problem ? h("li", { class: "quiet small" }, "Nothing here yet.") : null) : null);
};

const leafView = (app, branch, table, used) => {
  const there = used.has(refKey(table.ref));
  const about = [table.rows === null || table.rows === undefined ? "" : `${figure(table.rows)} rows`, table.problem].filter(Boolean).join(" · ");
  return h("li", { key: table.label },
    h("button", {
      type: "button", id: `leaf-${branch.id}-${table.label}`, class: "builder-leaf", disabled: !table.ready,
      title: about || undefined, "aria-label": `Add ${table.label} of ${branch.title || branch.slug}${there ? ", once more" : ""}`,
      onclick: () => pick(app, table.ref),
    }, h("span", { class: "builder-clip" }, table.label),
    table.rows !== null && table.rows !== undefined ? h("span", { class: "quiet small nums" }, compact(table.rows)) : null,
    h("span", { class: "builder-plus", "aria-hidden": "true" }, there ? "✓" : "+")));
};

const compact = (number) => new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 }).format(number);

/** Show the tree. */
export const treeView = (app) => {
  const { tree } = app;
  const wanted = tree.wanted.trim().toLowerCase();
  return h("section", { class: "builder-tree", "aria-labelledby": "tree-title" },
    h("h2", { id: "tree-title" }, "Tables"),
    h("input", {
      id: "tree-search", type: "search", placeholder: "Search", "aria-label": "Search tables", value: tree.wanted,
      oninput: (event) => {
        tree.wanted = event.target.value;
        for (const branch of tree.branches ?? []) if (tree.wanted) loadBranch(app, branch);
        app.render();
      },
    }),
    tree.problem ? h("p", { class: "builder-wrong small" }, tree.problem) : null,
    tree.branches ? h("ul", { class: "builder-branches" }, tree.branches.map((branch) => branchView(app, branch, wanted)))
      : tree.problem ? null : h("p", { class: "quiet small" }, "Loading…"),
    tree.branches ? h("p", { class: "small" }, h("a", { href: "/sources" }, "Connect another source")) : null);
};
