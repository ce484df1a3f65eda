// What scripts add to the studio's pages, all of which work without: forms are sent once, lists are searched and sorted.
(() => {
  "use strict";
  const BUSY_MS = 300; // an answer that comes sooner needs no sign of work
  const AGAIN_MS = 60_000; // the studio has answered by then, or nobody will
  const OLD_MS = 300_000; // a page that was open for so long may be of a login that has ended

  // The entry of this page, where the navigation is a strip that scrolls.
  document.querySelector(".side [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

  // --- a form is sent once, and its button says that something goes on --------------------------------
  const sent = new Map();
  const free = (form) => {
    const { button, timers } = sent.get(form) ?? { timers: [] };
    timers.forEach(clearTimeout);
    button?.removeAttribute("aria-busy");
    sent.delete(form);
  };
  const freeAll = () => [...sent.keys()].forEach(free);

  // Whoever has logged in again, perhaps in another tab, goes on with the page that is open here.
  let freshAt = Date.now();
  const renew = async () => {
    const answer = await fetch("/login", { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const csrf = page.querySelector("form[action='/logout'] input[name=csrf]")?.value;
    if (!csrf) return false;
    for (const field of document.querySelectorAll("input[name=csrf]")) field.value = csrf;
    freshAt = Date.now();
    return true;
  };
  const tellOfLogin = (form) => {
    if (document.getElementById("login-ended")) return;
    const note = document.createElement("div");
    note.id = "login-ended";
    note.className = "note warn";
    note.setAttribute("role", "alert");
    const link = document.createElement("a");
    Object.assign(link, { href: "/login", target: "_blank", textContent: "Log in in another tab" });
    note.append("Your login has ended. ", link, ", then send this again: what you wrote is still here.");
    form.prepend(note);
    note.scrollIntoView({ block: "nearest" });
  };
  const sendLater = async (form, button) => {
    try {
      if (!await renew()) { tellOfLogin(form); return; }
    } catch {
      freshAt = Date.now(); // the studio is not reached: let the browser say so
    }
    document.getElementById("login-ended")?.remove();
    form.requestSubmit(button);
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    // Attributes, not properties: a field of that name would take their place.
    if (event.defaultPrevented || form.getAttribute("method")?.toLowerCase() !== "post") return;
    if (sent.has(form)) { event.preventDefault(); return; }
    const button = event.submitter;
    if (Date.now() - freshAt > OLD_MS && form.querySelector("input[name=csrf]")) {
      event.preventDefault();
      sendLater(form, button);
      return;
    }
    const busy = setTimeout(() => button?.setAttribute("aria-busy", "true"), BUSY_MS);
    sent.set(form, { button, timers: [busy, setTimeout(() => free(form), AGAIN_MS)] });
  });
  // Back on a page that the browser has kept, or the sending was given up.
  addEventListener("pageshow", freeAll);
  addEventListener("keydown", (event) => { if (event.key === "Escape") freeAll(); });

  // --- lists: what is not looked for is hidden ---------------------------------------------------------
  // A row that spans the table belongs to the row above it.
  const isUnder = (row) => row.cells.length === 1 && row.cells[0].colSpan > 1;
  const unitsOf = (body) => {
    const units = [];
    for (const row of body.rows) {
      if (isUnder(row) && units.length) units.at(-1).push(row);
      else units.push([row]);
    }
    return units;
  };
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

  const find = (field) => {
    const list = document.getElementById(field.getAttribute("data-find"));
    const told = document.getElementById(`${field.id}-told`);
    const items = [
      ...[...list.querySelectorAll("tbody")].flatMap(unitsOf),
      ...[...list.querySelectorAll("[data-item]")].map((item) => [item]),
    ].map((parts) => ({ parts, text: plain(parts.map((part) => part.textContent).join(" ")) }));
    const look = () => {
      const words = plain(field.value).split(/\s+/).filter(Boolean);
      let found = 0;
      for (const { parts, text } of items) {
        const fits = words.every((word) => text.includes(word));
        found += fits;
        for (const part of parts) part.hidden = !fits;
      }
      for (const group of list.querySelectorAll("[data-group]")) {
        group.hidden = ![...group.querySelectorAll("tbody tr, [data-item]")].some((each) => !each.hidden);
      }
      told.textContent = words.length ? `${found} of ${items.length}` : "";
    };
    field.addEventListener("input", look);
    if (field.value) look(); // the browser remembers it when people come back
  };

  // --- lists: a head of a column sorts by it -----------------------------------------------------------
  const valueOf = (row, at) => {
    const cell = row.cells[at];
    if (!cell) return "";
    // Not textContent: a name and what stands in the line below it would become one word.
    const said = cell.dataset.value ?? cell.querySelector("time")?.getAttribute("datetime") ?? cell.innerText.trim();
    const number = said.replaceAll(",", "").replace(/^about /, "");
    return said !== "" && Number.isFinite(Number(number)) ? Number(number) : said;
  };
  const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const compare = (one, other) => typeof one === "number" && typeof other === "number" ? one - other : order.compare(String(one), String(other));
  const isNothing = (value) => value === "" || value === "–";

  const sort = (table, head, at) => {
    const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
    const [body] = table.tBodies;
    const units = unitsOf(body).map((rows) => ({ rows, value: valueOf(rows[0], at) }));
    units.sort((one, other) => isNothing(one.value) - isNothing(other.value) || way * compare(one.value, other.value));
    body.append(...units.flatMap(({ rows }) => rows));
  };

  const sortable = (table) => {
    if (unitsOf(table.tBodies[0]).length < 2) return;
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      if (head.querySelector(".hide, a")) return; // a column of buttons, or one that the studio sorts
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sorts";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, head, at));
    });
  };

  // --- a name follows the title, or the file, until somebody writes one ----------------------------------
  const nameOf = (text) => {
    const name = plain(text).replace(/[^a-z0-9]+/g, "_").replace(/^_+|_+$/g, "").slice(0, 40);
    return /^\d/.test(name) ? `t_${name}`.slice(0, 40) : name;
  };
  const follow = (name) => {
    const from = document.getElementById(name.getAttribute("data-follows"));
    let own = Boolean(name.value);
    name.addEventListener("input", () => { own = Boolean(name.value); });
    from.addEventListener("input", () => {
      const text = from.type === "file" ? (from.files[0]?.name ?? "").replace(/\..*$/, "") : from.value;
      if (!own) name.value = nameOf(text);
    });
  };

  document.querySelectorAll("[data-follows]").forEach(follow);
  document.querySelectorAll("[data-find]").forEach(find);
  document.querySelectorAll("table[data-sorts]").forEach(sortable);
})();
