// A field for a formula: what can be used is a click away, and the studio checks it while one types.

import { h } from "./builder_dom.js";
import { idOf } from "./builder_fields.js";

const OPERATORS = [["+", "plus"], ["-", "minus"], ["*", "times"], ["/", "divided by"], ["||", "texts one after the other"], ["=", "equals"], ["<>", "differs"], [">", "greater"], ["<", "less"], ["and", "both"], ["or", "one of them"]];
const PLAIN = /^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/;

/** Write a name as a formula wants it: with quotes around what is not a plain word. */
export const nameInFormula = (name) => (PLAIN.test(name) ? name
  : name.split(/\.(.*)/s).filter(Boolean).map((part) => (PLAIN.test(part) ? part : `"${part.replaceAll('"', '""')}"`)).join("."));

const insert = (id, before, after = "") => {
  const area = document.getElementById(id);
  area.focus();
  const marked = area.value.slice(area.selectionStart, area.selectionEnd);
  const start = area.selectionStart;
  const gap = start > 0 && /[\w)"]$/.test(area.value.slice(0, start)) ? " " : "";
  area.setRangeText(gap + before + marked + after, start, area.selectionEnd, "end");
  if (after && !marked) area.selectionStart = area.selectionEnd = start + gap.length + before.length;
  area.dispatchEvent(new Event("input", { bubbles: true }));
};

const picker = (id, label, groups, use) => h("select", {
  "aria-label": label, value: "", onchange: (event) => { const { value } = event.target; event.target.value = ""; if (value) use(value); },
}, h("option", { value: "" }, `${label}…`), groups.filter(([, pairs]) => pairs.length).map(([name, pairs]) => h("optgroup", { key: name, label: name },
  pairs.map(([value, shown, title]) => h("option", { value, title }, shown)))));

const functionsOf = (app) => (app.vocabulary.functions ?? []).map(({ group, items }) => [
  group, items.map((each) => [each.name, `${each.form}: ${each.what}`, each.what]),
]);

const verdict = (app, path, value) => {
  const wrong = app.problemsAt(path, true);
  if (!value) return { text: "Write a formula, or put it together from columns and functions." };
  if (wrong.length) return { text: wrong.map((each) => each.message).join(" "), bad: true };
  return app.check.running ? { text: "Checking…" } : app.check.failed ? { text: "" } : { text: "The formula is fine.", good: true };
};

/** Show a formula. `names` are groups of `[name, shown]`; `set(value)` is called with each letter. */
export const formulaField = (app, { path, label, value, names, set }) => {
  const id = idOf(path);
  const said = verdict(app, path, value);
  return h("div", { class: `builder-formula builder-field${said.bad ? " is-wrong" : ""}` },
    h("textarea", {
      id, class: "mono", rows: "2", spellcheck: "false", "aria-label": label, "aria-describedby": `${id}-wrong`,
      "aria-invalid": said.bad ? "true" : undefined, maxlength: "2000", value: value ?? "", placeholder: "round(amount - cost, 2)",
      oninput: (event) => set(event.target.value),
    }),
    h("div", { class: "builder-line builder-picker" },
      picker(id, "Column", names, (name) => insert(id, nameInFormula(name))),
      picker(id, "Function", functionsOf(app), (name) => insert(id, ...templateOf(app, name))),
      h("div", { class: "builder-operators", role: "group", "aria-label": "Operators" }, OPERATORS.map(([shown, meaning]) => h("button", {
        type: "button", class: "builder-mini", title: meaning, "aria-label": /[a-z]/.test(shown) ? undefined : meaning, onclick: () => insert(id, `${shown} `),
      }, shown)))),
    h("p", { id: `${id}-wrong`, class: said.bad ? "wrong" : said.good ? "builder-good small" : "hint", role: "status" }, said.text));
};

const templateOf = (app, name) => {
  const found = (app.vocabulary.functions ?? []).flatMap((group) => group.items).find((each) => each.name === name);
  return found?.insert ?? [`${name}(`, ")"];
};
