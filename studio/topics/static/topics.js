// The live view of a topic: new messages come on top while the page is open. Without scripts the page has a reload button.
(() => {
  "use strict";
  const KEPT_ROWS = 200;
  const SHOWN_CHARACTERS = 2000;

  const cell = (text, kind) => {
    const made = document.createElement("td");
    if (kind) made.className = kind;
    made.textContent = text;
    return made;
  };

  // Text only: what a message holds never becomes markup.
  const row = (message) => {
    const made = document.createElement("tr");
    made.className = "topics-new";
    const payload = document.createElement("pre");
    payload.className = "topics-payload";
    payload.textContent = message.payload.length > SHOWN_CHARACTERS ? `${message.payload.slice(0, SHOWN_CHARACTERS)}…` : message.payload;
    const last = document.createElement("td");
    last.append(payload);
    const headers = Object.entries(message.headers).map(([name, value]) => `${name}=${value}`).join(" ");
    if (headers) {
      const small = document.createElement("span");
      small.className = "small quiet";
      small.textContent = headers;
      last.append(small);
    }
    const at = message.published_at.slice(0, 19).replace("T", " ");
    made.append(cell(String(message.offset), "right"), cell(at), cell(message.key), last);
    return made;
  };

  const watch = (place) => {
    const rows = document.querySelector("[data-live-rows]");
    const state = place.querySelector("[data-live-state]");
    const pause = place.querySelector("[data-live-pause]");
    let waiting = [];
    let paused = false;

    const put = () => {
      if (paused || !waiting.length) return;
      document.querySelector("[data-live-empty]")?.remove();
      rows.prepend(...waiting.slice(-KEPT_ROWS).reverse().map(row));
      waiting = [];
      while (rows.children.length > KEPT_ROWS) rows.lastElementChild.remove();
    };
    const say = (text) => {
      if (state.textContent !== text) state.textContent = text;
    };

    const events = new EventSource(place.dataset.live);
    events.addEventListener("open", () => say("Live: newest first."));
    events.addEventListener("error", () => say(events.readyState === EventSource.CLOSED ? "Not live: reload the page." : "Reconnecting…"));
    events.addEventListener("message", (event) => {
      waiting.push(JSON.parse(event.data));
      if (waiting.length > KEPT_ROWS) waiting.shift();
    });
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      pause.textContent = paused ? "Go on" : "Pause";
      put();
    });
    // A few times a second at most, however many messages come.
    setInterval(put, 250);
    addEventListener("pagehide", () => events.close());
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const place of document.querySelectorAll("[data-live]")) watch(place);
  });
})();
