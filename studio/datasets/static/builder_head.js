// The head of the page: what the dataset is called, undo and redo, forms or file, and saving.

import { h } from "./builder_dom.js";
import { text, wordsText } from "./builder_fields.js";
import { slugOf, tidy } from "./builder_spec.js";

const setText = (app, key) => (value) => app.store.change(key, (spec) => {
  if (value) spec[key] = value;
  else delete spec[key];
  // The name follows the title until somebody gives it one of its own, or others use it.
  if (key === "title" && !app.revision && !app.ui.ownSlug) spec.dataset = value ? slugOf(value, "dataset") : "";
  tidy(spec);
});

const views = (app) => h("div", { class: "builder-switch", role: "tablist", "aria-label": "Show the dataset as" },
  [["build", "Forms"], ["yaml", "YAML"]].map(([view, label]) => h("button", {
    type: "button", role: "tab", id: `view-${view}`, "aria-selected": String(app.ui.view === view), "aria-controls": `panel-${view}`,
    tabindex: app.ui.view === view ? "0" : "-1", onclick: () => app.show(view),
    onkeydown: (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      app.show(view === "build" ? "yaml" : "build");
      document.getElementById(`view-${app.ui.view}`)?.focus();
    },
  }, label)));

const saveState = (app) => {
  if (app.ui.saving) return "Saving…";
  if (app.ui.saveProblem) return app.ui.saveProblem;
  return app.readOnly ? app.readOnly : app.dirty() ? "Not saved yet" : app.revision ? "Saved" : "";
};

/** Show the head. */
export const headView = (app) => {
  const { spec, mayUndo, mayRedo } = app.store;
  return h("div", { class: "builder-head" },
    h("div", { class: "builder-title" },
      text(app, { path: "title", label: "Title", bare: true }, spec.title, setText(app, "title"), { placeholder: "Title of the dataset", class: "builder-big", maxlength: "200" }),
      h("details", { open: app.ui.about || undefined, class: "builder-about" }, h("summary", {}, "Name: ", h("code", {}, spec.dataset || "…")),
        h("div", { class: "builder-two" },
          text(app, { path: "dataset", label: "Name in addresses, files and SQL", hint: app.revision ? "Others may use it: it stays." : "Small letters, digits and _." }, spec.dataset, (value) => {
            app.ui.ownSlug = true;
            app.store.change("dataset", (next) => { next.dataset = value; });
          }, { disabled: Boolean(app.revision), maxlength: "41", class: "mono" }),
          text(app, { path: "description", label: "What it is for" }, spec.description, setText(app, "description")),
          wordsText(app, { path: "roles", label: "Only for roles", hint: "Such as finance; empty: for everybody who may read." }, spec.roles,
            (words) => app.store.change("roles", (next) => { next.roles = words; tidy(next); }))))),
    h("div", { class: "builder-line builder-acts" },
      h("button", { type: "button", class: "quiet-button small-button", disabled: !mayUndo, title: "Undo (Ctrl+Z)", onclick: () => app.store.undo() }, "Undo"),
      h("button", { type: "button", class: "quiet-button small-button", disabled: !mayRedo, title: "Redo (Ctrl+Shift+Z)", onclick: () => app.store.redo() }, "Redo"),
      views(app),
      h("button", { type: "button", id: "save", disabled: Boolean(app.readOnly) || app.ui.saving, title: "Save (Ctrl+S)", onclick: () => app.save() }, "Save")),
    h("p", { class: `builder-saved small ${app.ui.saveProblem ? "builder-wrong" : "quiet"}`, role: "status", id: "save-state" }, saveState(app)));
};

