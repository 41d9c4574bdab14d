// An own datum: where it falls, and what comes back.

import { button, make, section, short } from "./dom.js";
import { padOf, pixelsOf } from "./ownpicture.js";
import { ownRow, ownText } from "./ownrow.js";
import { ownSound } from "./ownsound.js";

const MADE = { binary: ", every one of them black or white" };

export function own(studio, view) {
  const { payload } = studio;
  const [yours, back] = [view.thumb(), view.thumb()];
  const say = make("p", { class: "verdict", role: "status", id: "verdict" });
  const pair = make(
    "div",
    { class: "pair", hidden: true },
    make("figure", {}, make("figcaption", {}, "yours, as the model sees it"), yours.element),
    make("figure", {}, make("figcaption", {}, "what comes back"), back.element),
    say,
  );
  yours.element.id = "yours";
  back.element.id = "back";
  const uphill = button("Refine", refine, { id: "refine", title: "Look for a better code around the one that was found", hidden: true });
  pair.append(uphill);
  let latest = 0;
  let kept = null; // the datum, and its code

  /** Encode a datum, decode its code, and go there. */
  async function take(x) {
    const mine = ++latest;
    try {
      const code = (await studio.encode(x, 1)).mean.slice();
      const { mean } = await studio.decode(code, 1);
      if (mine !== latest) return; // a newer one has come meanwhile
      pair.hidden = false;
      kept = { x, code };
      uphill.hidden = !studio.refines;
      yours.draw(x);
      back.draw(mean);
      let error = 0;
      if (mean.length === x.length) for (let i = 0; i < x.length; i++) error += (x[i] - mean[i]) ** 2;
      const places = x.length === 1 ? "one number" : `${x.length} numbers`;
      say.textContent =
        mean.length === x.length
          ? `Squared error ${short(error)} over ${places}, ${short(error / x.length)} each. The ring on the map is now where it falls.`
          : `It came back as: ${view.plain(mean)}`;
      studio.go(code, "yours");
      studio.mark("yours", code);
    } catch (error) {
      refuse(error.message);
    }
  }

  /** Look for a better code, and go there. */
  async function refine() {
    const mine = ++latest;
    uphill.disabled = true;
    try {
      const { code, before, after } = await studio.refine(kept.x, kept.code);
      const { mean } = await studio.decode(code, 1);
      if (mine !== latest) return;
      kept.code = code;
      back.draw(mean);
      say.textContent =
        after > before
          ? `The encoder's code was a guess; this one makes yours likelier: ${short(before)} before, ${short(after)} now (log-likelihood of datum and code, nats).`
          : `No better code was found nearby: ${short(before)} nats.`;
      studio.go(code, "yours");
      studio.mark("yours", code);
    } catch (error) {
      say.textContent = error.message;
    } finally {
      uphill.disabled = false;
    }
  }

  function refuse(text) {
    pair.hidden = false;
    say.textContent = text;
  }

  const parts = { image: picture, values: ownRow, sequence: ownText, sound: ownSound }[payload.view];
  const { how, content } = parts({ studio, view, take, refuse });
  return section("own", `Your own ${view.noun}`, how, ...content, pair);
}

function picture({ studio, view, take, refuse }) {
  const { payload } = studio;
  let file = null;
  const invert = make("input", { type: "checkbox", id: "invert", onchange: () => file && open(file) });

  async function open(given) {
    file = given;
    let bitmap;
    try {
      bitmap = await createImageBitmap(given);
    } catch {
      return refuse("This file is no picture that the browser can read: try a PNG or a JPEG.");
    }
    return take(pixelsOf(bitmap, payload, invert.checked));
  }

  const input = make("input", { type: "file", accept: "image/*", id: "file", onchange: () => input.files[0] && open(input.files[0]) });
  const zone = make(
    "label",
    { class: "drop", for: "file" },
    make("span", {}, "Drop a picture anywhere on this page, or "),
    make("span", { class: "link" }, "choose one"),
    input,
  );
  window.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  window.addEventListener("dragleave", () => zone.classList.remove("over"));
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    const given = event.dataTransfer.files[0];
    if (!given) return;
    document.getElementById("own").scrollIntoView({ block: "center" });
    open(given);
  });
  const pad = payload.shape[0] === 1 && padOf(view, (canvas) => ((file = null), take(pixelsOf(canvas, payload, invert.checked))));
  return {
    how: `Bring a picture of your own: it is cut to ${view.width} by ${view.height} pixels${MADE[payload.kind] ?? (payload.shape[0] === 1 ? ", made grey" : "")}, put into the code, and drawn again from it. It stays on this computer.`,
    content: [
      make(
        "div",
        { class: "bring" },
        zone,
        pad && make("div", { class: "padbox" }, pad.element, button("Clear", pad.clear), make("p", { class: "caption" }, "or draw one here")),
      ),
      make("label", { class: "tick" }, invert, make("span", {}, "swap light and dark")),
    ],
  };
}
