// From a picture of any size to the numbers that the model takes.

import { make } from "./dom.js";

/** The middle of a picture in the model's size, as (channels, height, width) in the model's values. */
export function pixelsOf(source, { shape, display, kind }, invert) {
  const [channels, height, width] = shape;
  const image = shrunk(source, width, height);
  const area = height * width;
  const values = new Float32Array(channels * area);
  for (let i = 0; i < area; i++) {
    const [r, g, b] = image.data.subarray(4 * i, 4 * i + 3);
    // grey as television has it (ITU-R BT.601)
    const levels = channels === 3 ? [r, g, b] : [0.299 * r + 0.587 * g + 0.114 * b];
    levels.forEach((level, k) => {
      let share = level / 255;
      if (invert) share = 1 - share;
      if (kind === "binary") share = share < 0.5 ? 0 : 1;
      values[k * area + i] = display.low + share * (display.high - display.low);
    });
  }
  return values;
}

/** Cut to the shape, then halved until the last step is small: no pixel of the original is skipped. */
function shrunk(source, width, height) {
  const scale = Math.min(source.width / width, source.height / height);
  const cut = [width * scale, height * scale];
  let [w, h] = cut.map((size) => Math.max(1, Math.round(size)));
  let canvas = drawn(source, (source.width - cut[0]) / 2, (source.height - cut[1]) / 2, ...cut, w, h);
  while (w >= 2 * width && h >= 2 * height && (w > 2 * width || h > 2 * height)) {
    const [sw, sh] = [Math.max(width, w >> 1), Math.max(height, h >> 1)];
    canvas = drawn(canvas, 0, 0, w, h, sw, sh);
    [w, h] = [sw, sh];
  }
  if (w !== width || h !== height) canvas = drawn(canvas, 0, 0, w, h, width, height);
  return canvas.getContext("2d").getImageData(0, 0, width, height);
}

function drawn(source, x, y, w, h, width, height) {
  const canvas = make("canvas", { width, height });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "#ffffff"; // behind what is transparent
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(source, x, y, w, h, 0, 0, width, height);
  return canvas;
}

/** A pad to draw on, white on black; `done(canvas)` gets the drawing after every stroke. */
export function padOf(view, done) {
  const size = 192;
  const canvas = make("canvas", { width: size, height: Math.round((size * view.height) / view.width), class: "pad", id: "pad", role: "img", "aria-label": "A pad to draw on with mouse or finger; a file can be chosen instead" });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  let last = null;

  function clear() {
    pen.fillStyle = "#000000";
    pen.fillRect(0, 0, canvas.width, canvas.height);
  }

  function stroke(event) {
    const box = canvas.getBoundingClientRect();
    const at = [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
    pen.strokeStyle = "#ffffff";
    pen.lineWidth = Math.max(size / 11, (1.4 * size) / view.width); // not thinner than a pixel of the model
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...(last ?? at));
    pen.lineTo(...at);
    pen.stroke();
    last = at;
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    stroke(event);
  });
  canvas.addEventListener("pointermove", (event) => last && stroke(event));
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => {
      if (last) done(canvas);
      last = null;
    });
  }
  clear();
  return { element: canvas, clear };
}
