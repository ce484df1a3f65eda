// Pages as a function of the state: `h` describes elements, `patch` changes what differs. Focus, selections and scroll
// places stay, since elements stay. No markup is ever parsed: texts are texts, and handlers are functions.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "selected", "hidden", "open", "indeterminate"]);

/** Describe an element. `null` and `false` children are left out; lists are flattened. An id is a key as well. */
export const h = (tag, props, ...children) => {
  const found = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  const texts = found.map((child) => (typeof child === "object" ? child : String(child)));
  return { tag, props: props ?? {}, key: props?.key ?? props?.id, children: texts };
};

/** Make the children of an element what the descriptions say. */
export const patch = (element, descriptions) => {
  const old = new Set(element.childNodes);
  const nodes = descriptions.map((wanted) => {
    const node = matching(old, wanted) ?? create(wanted, element);
    old.delete(node);
    return node;
  });
  for (const node of old) node.remove();
  let place = element.firstChild;
  for (const node of nodes) {
    // Only what stands elsewhere is moved: an element that moves loses the focus.
    if (node === place) place = place.nextSibling;
    else element.insertBefore(node, place);
  }
  nodes.forEach((node, index) => update(node, descriptions[index]));
};

const matching = (nodes, wanted) => {
  const key = typeof wanted === "string" ? undefined : wanted.key;
  for (const node of nodes) if (node.builderKey === key && sameKind(node, wanted)) return node;
  return undefined;
};

const sameKind = (node, wanted) => (typeof wanted === "string" ? node.nodeType === Node.TEXT_NODE
  : node.nodeType === Node.ELEMENT_NODE && node.localName === wanted.tag);

const create = (wanted, parent) => {
  if (typeof wanted === "string") return document.createTextNode(wanted);
  const svg = wanted.tag === "svg" || parent.namespaceURI === SVG;
  const node = svg ? document.createElementNS(SVG, wanted.tag) : document.createElement(wanted.tag);
  node.builderKey = wanted.key;
  if (wanted.tag === "input" || wanted.tag === "textarea") {
    node.addEventListener("input", () => { node.builderTyped = true; });
    for (const kind of ["change", "blur"]) node.addEventListener(kind, () => { node.builderTyped = false; });
  }
  return node;
};

const update = (node, wanted) => {
  if (typeof wanted === "string") {
    if (node.data !== wanted) node.data = wanted;
    return;
  }
  // What did not change as a description did not change as an element.
  if (node.builderLast === wanted) return;
  node.builderLast = wanted;
  const before = node.builderProps ?? {};
  for (const name of Object.keys(before)) if (!(name in wanted.props)) set(node, name, undefined);
  // The options of a select come before its value.
  patch(node, wanted.children);
  for (const [name, value] of Object.entries(wanted.props)) set(node, name, value, before[name]);
  node.builderProps = wanted.props;
};

const set = (node, name, value, before) => {
  if (name === "key") return;
  if (name.startsWith("on")) {
    listen(node, name.slice(2), value);
  } else if (name === "place") {
    // Places in pixels: by script, since the policy forbids style attributes.
    for (const [what, amount] of Object.entries(value ?? {})) node.style.setProperty(what, amount);
  } else if (PROPERTIES.has(name)) {
    // What somebody is typing stays; whoever leaves the field sees what counts.
    if (name === "value" && node.builderTyped && node === document.activeElement) return;
    const wanted = name === "value" ? String(value ?? "") : Boolean(value);
    if (node[name] !== wanted && !(name === "open" && value === before)) node[name] = wanted;
  } else if (value === undefined || value === null || value === false) {
    node.removeAttribute(name);
  } else if (value !== before) {
    node.setAttribute(name, value === true ? "" : value);
  }
};

const listen = (node, kind, handler) => {
  node.builderHandlers ??= {};
  if (!(kind in node.builderHandlers)) {
    node.addEventListener(kind, (event) => node.builderHandlers[kind]?.(event));
  }
  node.builderHandlers[kind] = handler;
};

let focusNext;
/** Move the focus to an element by its id, once it is there. Who has gone elsewhere by then is left there. */
export const focusOn = (id) => {
  const before = document.activeElement;
  focusNext = id;
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const stays = [before, document.body].includes(document.activeElement);
    if (stays && focusNext === id) document.getElementById(id)?.focus();
  }));
};

let voice;
/** Tell those who cannot see it what happened. */
export const say = (text) => {
  voice ??= document.getElementById("builder-voice");
  voice.textContent = "";
  requestAnimationFrame(() => { voice.textContent = text; });
};
