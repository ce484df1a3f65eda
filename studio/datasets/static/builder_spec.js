// What can be done to a dataset: functions that alter its JSON. Whoever calls them does so within `store.change`.

/** Return a new, empty dataset. */
export const emptySpec = () => ({ dataset: "", version: 1, title: "", sources: {}, joins: [], columns: [] });

/** Return a name that the rules of slugs and aliases allow. */
export const slugOf = (text, otherwise = "t") => {
  const plain = text.normalize("NFKD").toLowerCase().replaceAll(/[^a-z0-9]+/g, "_").replaceAll(/^_+|_+$/g, "").slice(0, 40);
  return /^[a-z]/.test(plain) ? plain : plain ? `${otherwise}_${plain}`.slice(0, 40) : otherwise;
};

const free = (name, taken) => {
  let found = name;
  for (let number = 2; taken.has(found); number += 1) found = `${name.slice(0, 37)}_${number}`;
  return found;
};

/** Return what a table of the dataset is in the world: its own name without schema and source. */
export const nameOf = (ref) => ref?.table ?? ref?.dictionary ?? ref?.dataset ?? "";

/** Return the same with where it comes from. */
export const whereFrom = (ref) => (ref.source ? `${ref.source}${ref.schema ? ` · ${ref.schema}` : ""}`
  : ref.dictionary ? "dictionary" : "dataset");

/** Return what tells tables of the world apart, whatever the order of their keys in a file. */
export const refKey = (ref) => (ref.dictionary ? `dictionary ${ref.dictionary}` : ref.dataset ? `dataset ${ref.dataset}`
  : JSON.stringify([ref.source, ref.schema ?? "", ref.table]));

/** Add a table; return the short name it has in this dataset. */
export const addSource = (spec, ref) => {
  spec.sources ??= {};
  const alias = free(slugOf(nameOf(ref)), new Set(Object.keys(spec.sources)));
  spec.sources[alias] = ref;
  return alias;
};

// Every place where a column of a table may be named: [holder, key].
const places = function* (spec) {
  for (const join of spec.joins ?? []) for (const pair of join.on ?? []) { yield [pair, 0]; yield [pair, 1]; }
  for (const column of spec.columns ?? []) {
    if (column.from) yield [column, "from"];
    if (column.lookup) yield [column.lookup, "key"];
  }
  yield* conditionPlaces(spec.filters);
  for (const [index, each] of (spec.group_by ?? []).entries()) {
    if (typeof each === "string") yield [spec.group_by, index];
    else if (each.from) yield [each, "from"];
  }
  for (const measure of spec.measures ?? []) {
    if (measure.of) yield [measure, "of"];
    yield* conditionPlaces(measure.where);
  }
  yield* conditionPlaces(spec.having);
  for (const order of spec.order_by ?? []) yield [order, "col"];
};

/** Return the columns of tables that the dataset names somewhere, outside of formulas. */
export const usedColumns = (spec) => new Set([...places(spec)].map(([holder, key]) => holder[key]));

const conditionPlaces = function* (node) {
  if (!node || typeof node !== "object") return;
  if (node.col !== undefined) {
    yield [node, "col"];
    if (node.value?.col !== undefined) yield [node.value, "col"];
  }
  for (const key of ["all", "any"]) for (const child of node[key] ?? []) yield* conditionPlaces(child);
  if (node.not) yield* conditionPlaces(node.not);
};

const isOf = (alias, text) => typeof text === "string" && text.startsWith(`${alias}.`);

/** Give a table of the dataset another short name, wherever it is mentioned. */
export const renameSource = (spec, alias, to) => {
  spec.sources = Object.fromEntries(Object.entries(spec.sources).map(([each, ref]) => [each === alias ? to : each, ref]));
  for (const join of spec.joins ?? []) for (const side of ["left", "right"]) if (join[side] === alias) join[side] = to;
  for (const [holder, key] of places(spec)) if (isOf(alias, holder[key])) holder[key] = to + holder[key].slice(alias.length);
  const mention = new RegExp(`\\b${alias}\\.`, "g");
  for (const column of spec.columns ?? []) if (column.formula) column.formula = column.formula.replaceAll(mention, `${to}.`);
};

/** Take a table out, with its joins and with all that names its columns. */
export const removeSource = (spec, alias) => {
  const before = outputNames(spec);
  delete spec.sources[alias];
  spec.joins = (spec.joins ?? []).filter((join) => join.left !== alias && join.right !== alias);
  const gone = new Set((spec.columns ?? []).filter((column) => isOf(alias, column.from) || isOf(alias, column.lookup?.key)).map((column) => column.name));
  const lost = (text) => isOf(alias, text) || gone.has(text);
  spec.columns = (spec.columns ?? []).filter((column) => !gone.has(column.name));
  if (spec.group_by) spec.group_by = spec.group_by.filter((each) => !lost(typeof each === "string" ? each : each.from));
  if (spec.measures) spec.measures = spec.measures.filter((measure) => !lost(measure.of));
  if (spec.filters) spec.filters = withoutConditions(spec.filters, lost);
  const left = new Set(outputNames(spec));
  for (const name of before) if (!left.has(name)) forget(spec, name);
  tidy(spec);
};

// Take a column of the result out of whatever lists it.
const forget = (spec, name) => {
  const without = (list) => list?.filter((each) => each !== name);
  if (spec.cache?.key) spec.cache.key = without(spec.cache.key);
  if (spec.snapshot?.metrics) spec.snapshot.metrics = without(spec.snapshot.metrics);
  if (spec.snapshot?.by) spec.snapshot.by = without(spec.snapshot.by);
  if (spec.order_by) spec.order_by = spec.order_by.filter((each) => each.col !== name);
  for (const check of spec.checks ?? []) for (const key of ["unique", "not_null"]) if (check[key]) check[key] = without(check[key]);
  if (spec.checks) spec.checks = spec.checks.filter((check) => (check.unique ?? check.not_null ?? [name]).length > 0);
};

/** Take out one group or measure, and what lists its name. */
export const removeFrom = (spec, list, index) => {
  const [gone] = spec[list].splice(index, 1);
  forget(spec, typeof gone === "string" ? columnOf(gone) || gone : gone.name);
  if (!spec.measures?.length && !spec.group_by?.length) delete spec.having;
  tidy(spec);
};

const withoutConditions = (node, lost) => {
  if (node.col !== undefined) return lost(node.col) ? undefined : node;
  if (node.not) {
    const inside = withoutConditions(node.not, lost);
    return inside && { not: inside };
  }
  const key = node.any ? "any" : "all";
  const left = (node[key] ?? []).map((child) => withoutConditions(child, lost)).filter(Boolean);
  return left.length ? { [key]: left } : undefined;
};

/** Join two columns, or add them to the join that is there between their tables. */
export const addJoin = (spec, left, right, more = {}) => {
  spec.joins ??= [];
  const [a, b] = [tableOf(left), tableOf(right)];
  const there = spec.joins.find((join) => (join.left === a && join.right === b) || (join.left === b && join.right === a));
  if (there) {
    const pair = there.left === a ? [left, right] : [right, left];
    if (!there.on.some((each) => each[0] === pair[0] && each[1] === pair[1])) there.on.push(pair);
    return spec.joins.indexOf(there);
  }
  spec.joins.push({ left: a, right: b, type: "left", on: [[left, right]], ...more });
  return spec.joins.length - 1;
};

/** Return the tables that nothing joins with the first one. */
export const unjoined = (spec) => {
  const all = Object.keys(spec.sources ?? {});
  const reached = new Set(all.slice(0, 1));
  for (let grown = true; grown;) {
    grown = false;
    for (const each of spec.joins ?? []) {
      if (reached.has(each.left) !== reached.has(each.right)) { reached.add(each.left).add(each.right); grown = true; }
    }
  }
  return all.filter((alias) => !reached.has(alias));
};

/** Return the table's short name of `customers.id`. */
export const tableOf = (column) => (column ?? "").split(".")[0];
/** Return the column's own name of `customers.id`. */
export const columnOf = (column) => (column ?? "").split(".").slice(1).join(".");

/** Return the names that the result has so far. */
export const outputNames = (spec) => [
  ...(spec.columns ?? []).map((column) => column.name),
  ...(spec.group_by ?? []).map((each) => (typeof each === "string" ? columnOf(each) || each : each.name)),
  ...(spec.measures ?? []).map((measure) => measure.name),
];

/** Return a name for a new column, measure or group that no other one has. */
export const freeName = (spec, wanted) => free(slugOf(wanted, "column"), new Set(outputNames(spec)));

/** Add a column of a table to the result; with its table's name before it where the name is taken. */
export const addColumn = (spec, from) => {
  spec.columns ??= [];
  const plain = slugOf(columnOf(from), "column");
  const taken = new Set(outputNames(spec));
  const name = taken.has(plain) ? freeName(spec, `${tableOf(from)}_${plain}`) : plain;
  spec.columns.push({ name, from });
  return name;
};

/** Take the columns out that come from a column of a table. */
export const removeColumnsFrom = (spec, from) => {
  const names = spec.columns.filter((column) => column.from === from).map((column) => column.name);
  for (const name of names) removeColumn(spec, spec.columns.findIndex((column) => column.name === name));
};

/** Take one column out, and the groups and measures that count on it. */
export const removeColumn = (spec, index) => {
  const [{ name }] = spec.columns.splice(index, 1);
  if (spec.group_by) spec.group_by = spec.group_by.filter((each) => (typeof each === "string" ? each : each.from) !== name);
  if (spec.measures) spec.measures = spec.measures.filter((measure) => measure.of !== name);
  if (spec.filters) spec.filters = withoutConditions(spec.filters, (text) => text === name);
  forget(spec, name);
  tidy(spec);
};

/** Give a column of the result another name, wherever it counts. */
export const renameColumn = (spec, index, to) => {
  const from = spec.columns[index].name;
  spec.columns[index].name = to;
  if (!from || !to || spec.columns.some((column, at) => at !== index && column.name === from)) return;
  for (const [holder, key] of places(spec)) if (holder[key] === from) holder[key] = to;
  // A formula knows the columns above it.
  for (const column of spec.columns.slice(index + 1)) if (column.formula) column.formula = renamedIn(column.formula, from, to);
  renameInLists(spec, from, to);
};

/** Give a group or measure another name wherever the result is spoken of. */
export const renameResult = (spec, from, to) => {
  if (!from || !to) return;
  for (const [holder, key] of conditionPlaces(spec.having)) if (holder[key] === from) holder[key] = to;
  for (const order of spec.order_by ?? []) if (order.col === from) order.col = to;
  for (const measure of spec.measures ?? []) if (measure.formula) measure.formula = renamedIn(measure.formula, from, to);
  renameInLists(spec, from, to);
};

const PLAIN_NAME = /^[a-z_][a-z0-9_]*$/;
const quoted = (name) => `"${name.replaceAll('"', '""')}"`;

/** Return a formula with a name instead of another; texts in quotes stay as they are. */
export const renamedIn = (formula, from, to) => {
  const escaped = from.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const mention = PLAIN_NAME.test(from) ? new RegExp(`(?<![\\w."])${escaped}(?![\\w".(])`, "g") : new RegExp(`(?<!\\.)"${escaped}"`, "g");
  return formula.split(/('(?:[^']|'')*')/).map((part, at) => (at % 2 ? part : part.replace(mention, () => (PLAIN_NAME.test(to) ? to : quoted(to))))).join("");
};

/** Name a column, group or measure anew where caches, snapshots and checks mention it. */
export const renameInLists = (spec, from, to) => {
  const swap = (list) => list?.forEach((each, at) => { if (each === from) list[at] = to; });
  swap(spec.cache?.key);
  swap(spec.snapshot?.metrics);
  swap(spec.snapshot?.by);
  for (const check of spec.checks ?? []) {
    for (const value of Object.values(check)) if (Array.isArray(value)) swap(value);
    if (check.fresh?.col === from) check.fresh.col = to;
  }
};

/** Leave out what says nothing, so that the file stays short. */
export const tidy = (spec) => {
  for (const key of ["group_by", "measures", "checks", "order_by", "roles"]) if (spec[key] && !spec[key].length) delete spec[key];
  for (const key of ["cache", "snapshot", "filters", "having"]) {
    if (!spec[key]) { delete spec[key]; continue; }
    for (const [name, value] of Object.entries(spec[key])) {
      if (value === undefined || value === "" || (Array.isArray(value) && !value.length)) delete spec[key][name];
    }
    if (!Object.keys(spec[key]).length) delete spec[key];
  }
  for (const key of ["title", "description"]) if (spec[key] === "") delete spec[key];
};
