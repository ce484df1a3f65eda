// Which rows stay: conditions in plain words, in groups of all, any or none.

import { focusOn, h, say } from "./builder_dom.js";
import { adder, choice, columnChoice, idOf, resultNames, rowProblems, sign, text, typeOf } from "./builder_fields.js";
import { conditionIn, relativeView, wayOf, WAYS } from "./builder_relative.js";
import { tidy } from "./builder_spec.js";
import { familyOf } from "./builder_words.js";

const NONE = [["is_null", "is empty"], ["not_null", "is not empty"]];
const EQUAL = [["=", "is"], ["!=", "is not"], ["in", "is one of"], ["not_in", "is none of"]];
const OPERATORS = {
  text: [...EQUAL, ["contains", "contains"], ["not_contains", "does not contain"], ["starts_with", "begins with"], ["ends_with", "ends with"],
    ["like", "looks like (% for anything)"], ["not_like", "does not look like"], ...NONE],
  number: [["=", "is"], ["!=", "is not"], [">", "is more than"], [">=", "is at least"], ["<", "is less than"], ["<=", "is at most"],
    ["between", "is between"], ["in", "is one of"], ["not_in", "is none of"], ...NONE],
  time: [...WAYS, [">=", "is on or after"], [">", "is after"], ["<", "is before"], ["<=", "is on or before"], ["between", "is between"], ["=", "is"], ["!=", "is not"], ...NONE],
  truth: [["=", "is"], ...NONE],
  other: [...EQUAL, [">", "is after"], ["<", "is before"], ...NONE],
};
const KINDS = [["all", "all of these are true"], ["any", "at least one of these is true"], ["none", "none of these is true"], ["some", "not all of these are true"]];
const PLACEHOLDERS = { date: "2026-01-31", time: "2026-01-31 08:00" };
const BLANK = { "=": "", in: [], not_in: [], between: ["", ""] };

const operatorsOf = (type) => {
  const family = familyOf(type);
  return OPERATORS[family === "date" ? "time" : family] ?? OPERATORS.other;
};

// A number as JSON has it, where nothing is lost; else the text, of which the studio says what is wrong.
const valueOf = (typed, type) => (familyOf(type) === "number" && String(Number(typed)) === typed && Math.abs(Number(typed)) < 1e15 ? Number(typed) : typed);

// --- one condition ------------------------------------------------------------------------------

const withOperator = (condition, op, type) => {
  if (WAYS.some(([word]) => word === op)) return conditionIn(op, condition);
  const { col, value } = condition;
  if (op === "is_null" || op === "not_null") return { col, op };
  if (op === "between") return { col, op, value: Array.isArray(value) && value.length === 2 ? value : ["", ""] };
  if (op === "in" || op === "not_in") return { col, op, value: Array.isArray(value) ? value : value === undefined || value === "" || value?.relative ? [] : [value] };
  if (familyOf(type) === "truth") return { col, op, value: typeof value === "boolean" ? value : true };
  return { col, op, value: Array.isArray(value) || value === undefined || value?.relative ? value?.[0] ?? "" : value };
};

const listField = (app, path, value, type, set) => {
  const read = (line) => line.split(/[,\n]/).map((each) => each.trim()).filter(Boolean).map((each) => valueOf(each, type));
  const draft = app.ui.lists[path];
  const shown = draft !== undefined && JSON.stringify(read(draft)) === JSON.stringify(value) ? draft : value.join(", ");
  return text(app, { path: `${path}.value`, label: "Values, with commas between them", bare: true, wide: true }, shown, (line) => {
    app.ui.lists[path] = line;
    set(read(line));
    app.render();
  }, { placeholder: "one, two, three" });
};

const valueView = (app, path, condition, type, set, own) => {
  const { op, value } = condition;
  const put = (next) => set({ ...condition, value: next });
  if (op === "is_null" || op === "not_null") return null;
  if (op === "in" || op === "not_in") return listField(app, path, Array.isArray(value) ? value : [], type, put);
  const placeholder = PLACEHOLDERS[familyOf(type)];
  if (op === "between") {
    const pair = Array.isArray(value) ? value : ["", ""];
    return [0, 1].map((at) => [at ? h("span", { key: "and", class: "quiet" }, "and") : null, text(
      app, { path: `${path}.value[${at}]`, label: at ? "Greatest value" : "Least value", bare: true }, pair[at],
      (typed) => put(pair.map((each, which) => (which === at ? valueOf(typed, type) : each))), { placeholder },
    )]);
  }
  if (value?.col !== undefined) {
    return columnChoice(app, { path: `${path}.value.col`, label: "The other column", bare: true }, value.col, (col) => put({ col }), { own });
  }
  if (familyOf(type) === "truth") {
    return choice(app, { path: `${path}.value`, label: "Value", bare: true }, [["true", "yes"], ["false", "no"]], String(value ?? ""), (typed) => put(typed === "true"));
  }
  return text(app, { path: `${path}.value`, label: "Value", bare: true }, value, (typed) => put(valueOf(typed, type)), { placeholder });
};

const conditionView = (app, path, condition, set, result) => {
  const type = typeOf(app, condition.col);
  const way = wayOf(condition);
  const compares = ["=", "!=", "<", "<=", ">", ">="].includes(condition.op) && !way;
  const toColumn = condition.value?.col !== undefined;
  const about = { path: `${path}.col`, label: "Column that is compared", bare: true };
  const choose = (col) => {
    const known = operatorsOf(typeOf(app, col)).map(([op]) => op);
    const op = known.includes(way ?? condition.op) ? way ?? condition.op : known[0];
    set(withOperator({ ...condition, col }, op, typeOf(app, col)));
  };
  return h("div", { class: "builder-line builder-condition" },
    result ? choice(app, about, resultNames(app).map((name) => [name, name]), condition.col, choose)
      : columnChoice(app, about, condition.col, choose, { own: true }),
    choice(app, { path: `${path}.op`, label: "How it is compared", bare: true }, operatorsOf(type), way ?? condition.op ?? "=", (op) => set(withOperator(condition, op, type))),
    way ? relativeView(app, path, condition, way, set) : valueView(app, path, condition, type, set, true),
    compares && !result ? sign(toColumn ? "Compare with a value" : "Compare with another column", toColumn ? "value" : "column", () => set({
      ...condition, value: toColumn ? BLANK["="] : { col: "" },
    })) : null,
    h("div", { class: "builder-tools" }, sign("Remove this condition", "×", () => { set(undefined); say("The condition is removed."); focusOn(`${idOf(path.replace(/\.(not\.)?(all|any)\[\d+\]$/, ""))}-add`); })),
    rowProblems(app, path), app.problemsAt(`${path}.value`, false).length && (way || Array.isArray(condition.value)) ? rowProblems(app, `${path}.value`) : null);
};

// --- groups -------------------------------------------------------------------------------------

const opened = (node, path) => {
  if (!node) return { kind: "all", items: [], at: (index) => `${path}.all[${index}]` };
  if (node.all) return { kind: "all", items: node.all, at: (index) => `${path}.all[${index}]` };
  if (node.any) return { kind: "any", items: node.any, at: (index) => `${path}.any[${index}]` };
  if (node.not?.any) return { kind: "none", items: node.not.any, at: (index) => `${path}.not.any[${index}]` };
  if (node.not?.all) return { kind: "some", items: node.not.all, at: (index) => `${path}.not.all[${index}]` };
  if (node.not) return { kind: "none", items: [node.not], at: () => `${path}.not` };
  return { kind: "all", items: [node], at: () => path };
};

const closed = (kind, items) => {
  if (!items.length) return undefined;
  return { all: { all: items }, any: { any: items }, none: { not: { any: items } }, some: { not: { all: items } } }[kind];
};

const groupView = (app, path, node, set, { result, nested } = {}) => {
  const { kind, items, at } = opened(node, path);
  const change = (index) => (next) => set(closed(kind, next === undefined ? items.filter((_, each) => each !== index) : items.map((each, place) => (place === index ? next : each))));
  const add = (next) => {
    set(closed(kind, [...items, next]));
    focusOn(idOf(`${opened(closed(kind, [...items, next]), path).at(items.length)}.col`));
  };
  return h("div", { class: `builder-group${nested ? " is-nested" : ""}` },
    items.length > 1 || nested || kind !== "all" ? choice(app, { path: `${path}.kind`, label: nested ? "Of this group" : "Keep rows where", bare: nested }, KINDS, kind, (next) => set(closed(next, items))) : null,
    items.length ? h("ul", { class: "builder-items" }, items.map((item, index) => h("li", { key: `${path}-${index}`, class: "builder-item" },
      item.col !== undefined ? conditionView(app, at(index), item, change(index), result) : groupView(app, at(index), item, change(index), { result, nested: true })))) : null,
    h("div", { class: "builder-line builder-adders" },
      adder("Condition", () => add({ col: "", op: "=", value: "" }), { id: `${idOf(path)}-add` }),
      nested ? null : adder("Group of conditions", () => {
        set(closed(kind, [...items, { any: [{ col: "", op: "=", value: "" }] }]));
      }),
      nested ? sign("Remove the group", "×", () => set(undefined)) : null),
    rowProblems(app, path));
};

/** Show a filter at a place of the dataset; `result` says that it is about columns of the result. */
export const filterView = (app, path, node, set, result) => groupView(app, path, node, set, { result });

const setOf = (app, key) => (next) => app.store.change(key, (spec) => {
  if (next) spec[key] = next;
  else delete spec[key];
  tidy(spec);
});

// --- the whole part -----------------------------------------------------------------------------

const orderView = (app, each, index) => h("li", { key: `order-${index}`, class: "builder-item" }, h("div", { class: "builder-line" },
  choice(app, { path: `order_by[${index}].col`, label: "Sort by", bare: true }, resultNames(app).map((name) => [name, name]), each.col,
    (value) => app.store.change(`order ${index}`, (spec) => { spec.order_by[index].col = value; })),
  choice(app, { path: `order_by[${index}].descending`, label: "Direction", bare: true }, [["", "smallest first"], ["yes", "greatest first"]], each.descending ? "yes" : "",
    (value) => app.store.change(`direction ${index}`, (spec) => {
      if (value) spec.order_by[index].descending = true;
      else delete spec.order_by[index].descending;
    })),
  sign(`Do not sort by ${each.col}`, "×", () => app.store.change(`unsort ${index}`, (spec) => { spec.order_by.splice(index, 1); tidy(spec); }))));

/** Show filters, the order, and how many rows. */
export const filtersView = (app) => {
  const { spec } = app.store;
  return [
    h("p", { class: "quiet" }, spec.filters ? "Only rows for which this is true are in the dataset. Times such as “in the last 30 days” move with the clock at each refresh." : "All rows are kept. Add conditions to keep some of them only."),
    filterView(app, "filters", spec.filters, setOf(app, "filters")),
    h("h3", {}, "Order"),
    (spec.order_by ?? []).length ? h("ul", { class: "builder-items" }, spec.order_by.map((each, index) => orderView(app, each, index))) : null,
    h("div", { class: "builder-line builder-adders" },
      adder("Sort by", () => app.store.change("sort", (next) => { next.order_by = [...(next.order_by ?? []), { col: resultNames(app)[0] ?? "" }]; }))),
    text(app, { path: "limit", label: "Rows at the most", hint: "Empty: all of them." }, spec.limit ?? "", (value) => app.store.change("limit", (next) => {
      const digits = value.replaceAll(/\D/g, "");
      if (Number(digits)) next.limit = Number(digits);
      else delete next.limit;
    }), { inputmode: "numeric", class: "builder-medium", placeholder: "all" }),
    choice(app, { path: "text_compare", label: "Texts are the same" }, [["", "if every letter is the same"], ["ci", "also with small instead of capital letters"]], spec.text_compare === "ci" ? "ci" : "",
      (value) => app.store.change("text_compare", (next) => {
        if (value) next.text_compare = value;
        else delete next.text_compare;
      })),
  ];
};
