// What scripts add to dashboards: new data by itself, full screen, and tiles that are moved by mouse, finger or keys.
(() => {
  "use strict";
  const COLUMNS = 12;
  const ROW = 94; // height of a row with its gap, in pixels

  // --- looking at it --------------------------------------------------------------------------------
  const refresh = async (board) => {
    if (document.hidden) return;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-part]")) {
      const other = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
      if (other) part.replaceChildren(...other.childNodes);
    }
    await window.dtegCharts.loadAll(board);
    board.dataset.refreshed = String(Number(board.dataset.refreshed || 0) + 1);
  };

  const look = (board) => {
    const seconds = Number(board.dataset.refresh || 0);
    if (seconds) setInterval(() => refresh(board).catch(() => {}), seconds * 1000);
    const button = document.querySelector("[data-full-screen]");
    button?.addEventListener("click", () => board.requestFullscreen());
    document.addEventListener("fullscreenchange", () => window.dispatchEvent(new Event("resize")));
  };

  // --- changing it ----------------------------------------------------------------------------------
  const place = (tile) => {
    const [x, y, w, h] = ["x", "y", "w", "h"].map((key) => Number(tile.querySelector(`[name$="_${key}"]`).value));
    return { x, y, w, h };
  };

  const put = (tile, to) => {
    const w = Math.min(Math.max(to.w, 1), COLUMNS);
    const spot = {
      w, h: Math.min(Math.max(to.h, 1), 20),
      x: Math.min(Math.max(to.x, 0), COLUMNS - w), y: Math.min(Math.max(to.y, 0), 180),
    };
    for (const [key, value] of Object.entries(spot)) tile.querySelector(`[name$="_${key}"]`).value = value;
    for (const name of [...tile.classList]) if (/^t[xywh]\d+$/.test(name)) tile.classList.remove(name);
    tile.classList.add(`tx${spot.x}`, `ty${spot.y}`, `tw${spot.w}`, `th${spot.h}`);
  };

  const overlap = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

  // The tile that is moved keeps its place; those that it lies on give way downwards.
  const settle = (tiles, moved) => {
    const rest = tiles.filter((tile) => tile !== moved).sort((a, b) => place(a).y - place(b).y || place(a).x - place(b).x);
    const placed = [place(moved)];
    for (const tile of rest) {
      const spot = place(tile);
      while (placed.some((other) => overlap(spot, other))) spot.y += 1;
      placed.push(spot);
      put(tile, spot);
    }
  };

  const drag = (board, tiles, tile, event, change) => {
    const from = place(tile);
    const start = { x: event.clientX, y: event.clientY };
    const column = board.clientWidth / COLUMNS;
    const target = event.currentTarget;
    target.setPointerCapture(event.pointerId);
    tile.classList.add("is-moved");
    const move = (next) => {
      const dx = Math.round((next.clientX - start.x) / column);
      const dy = Math.round((next.clientY - start.y) / ROW);
      put(tile, change(from, dx, dy));
      settle(tiles, tile);
    };
    const end = () => {
      target.removeEventListener("pointermove", move);
      tile.classList.remove("is-moved");
    };
    target.addEventListener("pointermove", move);
    target.addEventListener("pointerup", end, { once: true });
    target.addEventListener("pointercancel", end, { once: true });
    event.preventDefault();
  };

  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  const edit = (board) => {
    const tiles = [...board.querySelectorAll("[data-tile]")];
    for (const tile of tiles) {
      const head = tile.querySelector("[data-drag]");
      head.addEventListener("pointerdown", (event) => {
        if (event.button === 0) { head.focus(); drag(board, tiles, tile, event, (from, dx, dy) => ({ ...from, x: from.x + dx, y: from.y + dy })); }
      });
      tile.querySelector("[data-resize]").addEventListener("pointerdown", (event) => {
        if (event.button === 0) drag(board, tiles, tile, event, (from, dx, dy) => ({ ...from, w: Math.min(from.w + dx, COLUMNS - from.x), h: from.h + dy }));
      });
      head.addEventListener("keydown", (event) => {
        const step = KEYS[event.key];
        if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
        const spot = place(tile);
        const [dx, dy] = step;
        put(tile, event.shiftKey ? { ...spot, w: Math.min(spot.w + dx, COLUMNS - spot.x), h: spot.h + dy } : { ...spot, x: spot.x + dx, y: spot.y + dy });
        settle(tiles, tile);
        event.preventDefault();
      });
      tile.addEventListener("change", (event) => {
        if (event.target.type === "number") { put(tile, place(tile)); settle(tiles, tile); }
      });
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    const board = document.getElementById("board");
    if (board) look(board);
    const edited = document.querySelector("[data-board-edit]");
    if (edited) edit(edited);
  });
})();
