// Mouse, touch and wheel on the map, as what people mean by them.

const STILL = 5; // pixels that a click may move

/** Calls `pick`, `drag`, `pan`, `zoom(factor, x, y)`, `hover(x, y)` and `unfocused` with places in pixels. */
export function gestures(canvas, { grabs, drag, pan, zoom, hover, pick, unfocused }) {
  const down = new Map();
  let mode = null;
  let began = null;

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const pair = () => {
    const [[ax, ay], [bx, by]] = [...down.values()];
    return { x: (ax + bx) / 2, y: (ay + by) / 2, apart: Math.hypot(ax - bx, ay - by) };
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    const at = place(event);
    down.set(event.pointerId, at);
    canvas.setPointerCapture(event.pointerId);
    if (down.size === 1) {
      began = at;
      mode = grabs(...at) ? "drag" : "press";
    } else {
      mode = "pinch";
    }
    hover(null);
  });

  canvas.addEventListener("pointermove", (event) => {
    const at = place(event);
    if (!down.has(event.pointerId)) {
      canvas.classList.toggle("grab", grabs(...at));
      return hover(...at);
    }
    const before = down.get(event.pointerId);
    if (mode === "pinch" && down.size === 2) {
      const old = pair();
      down.set(event.pointerId, at);
      const now = pair();
      pan(now.x - old.x, now.y - old.y);
      return zoom(now.apart / Math.max(old.apart, 1), now.x, now.y);
    }
    down.set(event.pointerId, at);
    if (mode === "press" && Math.hypot(at[0] - began[0], at[1] - began[1]) > STILL) mode = "pan";
    if (mode === "pan") pan(at[0] - before[0], at[1] - before[1]);
    if (mode === "drag") drag(...at);
    return undefined;
  });

  const up = (event) => {
    if (!down.delete(event.pointerId)) return;
    if (mode === "press" && event.type === "pointerup") pick(...place(event));
    if (down.size === 0) mode = null;
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => hover(null));

  // the wheel belongs to the page until the map has been clicked
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) return unfocused();
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    zoom(Math.exp(Math.max(-60, Math.min(60, -event.deltaY * lines)) / 250), ...place(event));
    return undefined;
  }, { passive: false });
}
