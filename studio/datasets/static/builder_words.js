// The words of the page: relations, joins, types and times as people say them.

/** Return a name of a table as words: `order_items` becomes `order items`. */
export const words = (name) => name.replaceAll(/[_.]+/g, " ").trim();

/** Return the singular of a table's name, for sentences: `customers` becomes `customer`. */
export const one = (name) => {
  const text = words(name);
  if (/ies$/i.test(text)) return text.replace(/ies$/i, "y");
  if (/(ss|us|is)$/i.test(text)) return text;
  if (/(ch|sh|x|z|ss)es$/i.test(text)) return text.slice(0, -2);
  return /s$/i.test(text) ? text.slice(0, -1) : text;
};

/** Return the plural. */
export const many = (name) => {
  const text = one(name);
  if (/(data|info|news|people)$/i.test(text)) return text;
  if (/[^aeiou]y$/i.test(text)) return `${text.slice(0, -1)}ies`;
  return /(s|x|z|ch|sh)$/i.test(text) ? `${text}es` : `${text}s`;
};

/** What a join may be expected to be, as `[value, sentence]`. */
export const relations = (left, right) => [
  ["one_to_many", `each ${one(left)} has many ${many(right)}`],
  ["many_to_one", `each ${one(right)} has many ${many(left)}`],
  ["one_to_one", `each ${one(left)} has one ${one(right)}`],
  ["many_to_many", `${many(left)} and ${many(right)} match in any number`],
];

/** Which rows a join keeps, as `[value, sentence]`. */
export const keeps = (left, right) => [
  ["inner", `only ${many(left)} and ${many(right)} that match`],
  ["left", `all ${many(left)}, also those without ${many(right)}`],
  ["right", `all ${many(right)}, also those without ${many(left)}`],
  ["full", `all of both, matching or not`],
];

const FAMILIES = [
  ["number", /^(smallint|integer|bigint|int\d?|numeric|decimal|real|double|float|money|serial|bigserial|oid)/],
  ["time", /^timestamp/],
  ["date", /^date/],
  ["clock", /^(time|interval)/],
  ["truth", /^bool/],
  ["text", /^(text|character|varchar|char|bpchar|name|citext|uuid|enum)/],
  ["json", /^json/],
];

/** Return the family of a type: number, time, date, clock, truth, text, json or other. */
export const familyOf = (type) => (type ?? "").endsWith("[]") ? "other"
  : FAMILIES.find(([, pattern]) => pattern.test((type ?? "").toLowerCase()))?.[0] ?? "other";

const FAMILY_WORDS = {
  number: "number", time: "date and time", date: "date", clock: "time", truth: "yes or no", text: "text", json: "JSON",
};

/** Return a type in words. */
export const typeWords = (type) => FAMILY_WORDS[familyOf(type)] ?? type ?? "";

/** Return whether a type is a point in time. */
export const isTime = (type) => ["time", "date"].includes(familyOf(type));

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/** Days of the week with their number in a schedule, Monday first. */
export const weekdays = [1, 2, 3, 4, 5, 6, 0].map((number) => [String(number), DAYS[number]]);

/** Return a large number with its thousands apart. */
export const figure = (number) => Number(number).toLocaleString("en-US");

/** Return milliseconds as people read them. */
export const duration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

/** Return a list as a sentence has it: `a, b and c`. */
export const listed = (texts) => (texts.length < 2 ? texts.join("") : `${texts.slice(0, -1).join(", ")} and ${texts.at(-1)}`);
