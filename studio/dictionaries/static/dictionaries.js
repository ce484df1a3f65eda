// What scripts add to the grid of a dictionary, which works without them: moving by keys, pasting from a spreadsheet,
// more rows, what is not saved yet, and only rows that were touched are sent.
(() => {
  "use strict";
  const MAX_FIELDS = 900; // a form that is sent has at most 1,000
  const form = document.querySelector("form[data-grid]");
  if (!form) return;
  const body = form.querySelector("tbody");
  const status = form.querySelector("[data-status]");
  const blank = body.querySelector("tr[data-blank]").cloneNode(true);
  let sending = false;

  const rows = () => [...body.rows];
  const fields = (row) => [...row.querySelectorAll("input:not([type=hidden]):not([type=checkbox]), select, textarea")];
  const original = (row) => {
    const text = row.querySelector("input[type=hidden]").value;
    return text ? JSON.parse(text) : null;
  };
  const unix = (text) => text.replace(/\r\n?/g, "\n");
  const isChanged = (field, before) => unix(field.value) !== unix(before);
  const isTouched = (row) => {
    const before = original(row);
    if (row.querySelector("input[type=checkbox]")?.checked) return true;
    return fields(row).some((field, at) => isChanged(field, before ? before[at] : ""));
  };

  const tell = () => {
    let count = 0;
    for (const row of rows()) {
      const before = original(row);
      const gone = row.querySelector("input[type=checkbox]")?.checked ?? false;
      row.classList.toggle("is-gone", gone);
      fields(row).forEach((field, at) => {
        field.closest("td").classList.toggle("is-changed", !gone && isChanged(field, before ? before[at] : ""));
      });
      count += isTouched(row);
    }
    status.textContent = count ? `${count} ${count === 1 ? "row" : "rows"} not saved yet` : "";
    return count;
  };

  const add = () => {
    const row = blank.cloneNode(true);
    const number = Math.max(-1, ...rows().map((each) => Number(each.querySelector("input[type=hidden]").name.slice(1)))) + 1;
    for (const field of row.querySelectorAll("[name]")) {
      field.name = field.name.replace(/^(r|o)\d+/, (_, letter) => `${letter}${number}`);
      field.value = "";
      field.removeAttribute("aria-invalid");
      field.removeAttribute("aria-describedby");
    }
    for (const wrong of row.querySelectorAll(".wrong")) wrong.remove();
    for (const cell of row.cells) cell.classList.remove("is-wrong", "is-changed");
    body.append(row);
    return row;
  };

  const move = (field, by) => {
    const row = field.closest("tr");
    const at = fields(row).indexOf(field);
    let next = rows()[rows().indexOf(row) + by];
    if (!next && by > 0 && isTouched(row)) next = add();
    const target = next && fields(next)[at];
    if (!target) return false;
    target.focus();
    if (target.select) target.select();
    return true;
  };

  body.addEventListener("keydown", (event) => {
    const field = event.target;
    if (!(field instanceof HTMLElement) || !field.matches("input:not([type=checkbox]), textarea, select")) return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const isText = field.matches("textarea");
    if (event.key === "Enter" && !(isText && event.shiftKey)) {
      event.preventDefault();
      move(field, event.shiftKey ? -1 : 1);
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !isText && !field.matches("select, [type=date]")) {
      if (move(field, event.key === "ArrowDown" ? 1 : -1)) event.preventDefault();
    } else if (event.key === "Escape") {
      const before = original(field.closest("tr"));
      field.value = before ? before[fields(field.closest("tr")).indexOf(field)] : "";
      tell();
    }
  });

  // Tab-separated lines, with quotes around cells that hold tabs, line breaks or quotes, as spreadsheets copy them.
  const cellsOf = (text) => {
    const lines = [[""]];
    let quoted = false;
    for (let at = 0; at < text.length; at += 1) {
      const letter = text[at];
      const line = lines[lines.length - 1];
      if (quoted) {
        if (letter === '"' && text[at + 1] === '"') { line[line.length - 1] += '"'; at += 1; }
        else if (letter === '"') quoted = false;
        else line[line.length - 1] += letter;
      } else if (letter === '"' && line[line.length - 1] === "") quoted = true;
      else if (letter === "\t") line.push("");
      else if (letter === "\n") lines.push([""]);
      else line[line.length - 1] += letter;
    }
    if (lines.length > 1 && lines[lines.length - 1].length === 1 && !lines[lines.length - 1][0]) lines.pop();
    return lines;
  };

  const put = (field, text) => {
    const value = field.matches("select") ? ({ yes: "true", no: "false", 1: "true", 0: "false" }[text.trim().toLowerCase()] ?? text.trim().toLowerCase()) : text;
    field.value = value;
  };

  body.addEventListener("paste", (event) => {
    const text = unix(event.clipboardData?.getData("text/plain") ?? "");
    const field = event.target;
    if (!(field instanceof HTMLElement) || !field.matches("input, textarea, select") || !/[\t\n]/.test(text.trimEnd())) return;
    const lines = cellsOf(text);
    if (field.matches("textarea") && lines.every((line) => line.length === 1)) return;
    event.preventDefault();
    const start = rows().indexOf(field.closest("tr"));
    const column = fields(field.closest("tr")).indexOf(field);
    const width = fields(blank).length;
    if ((start + lines.length) * (width + 2) > MAX_FIELDS) {
      status.innerHTML = "";
      const link = Object.assign(document.createElement("a"), { href: form.dataset.import, textContent: "import them as a file" });
      status.append(`${lines.length} rows are too many for one page: `, link);
      return;
    }
    lines.forEach((line, down) => {
      const row = rows()[start + down] ?? add();
      const targets = fields(row);
      line.forEach((cell, right) => { if (targets[column + right]) put(targets[column + right], cell); });
    });
    tell();
  });

  form.querySelector("[data-add]").addEventListener("click", () => {
    const free = rows().find((row) => !original(row) && !isTouched(row));
    fields(free ?? add())[0].focus();
  });
  form.addEventListener("input", tell);
  form.addEventListener("change", tell);
  form.addEventListener("submit", () => {
    sending = true;
    for (const row of rows()) {
      if (!isTouched(row)) for (const field of row.querySelectorAll("[name]")) field.disabled = true;
    }
  });
  // Back in history: what was left out of the form that was sent can be typed into again.
  window.addEventListener("pageshow", () => {
    sending = false;
    for (const field of body.querySelectorAll("[name]")) field.disabled = false;
    tell();
  });
  form.querySelector("[data-undo]").addEventListener("click", () => { sending = true; });
  window.addEventListener("beforeunload", (event) => { if (!sending && tell()) event.preventDefault(); });
  document.querySelector(".cells [aria-invalid]")?.focus();
})();
