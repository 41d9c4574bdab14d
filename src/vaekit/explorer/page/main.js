// The page: from what was put into it to what people see.

import { between } from "./between.js";
import { directions } from "./directions.js";
import { make, section } from "./dom.js";
import { help } from "./help.js";
import { imageView } from "./image.js";
import { map } from "./map.js";
import { onnxBackend } from "./onnx.js";
import { own } from "./own.js";
import { Points } from "./points.js";
import { samples } from "./samples.js";
import { serverBackend } from "./server.js";
import { sliders } from "./sliders.js";
import { soundView } from "./sound.js";
import { stage } from "./stage.js";
import { Studio } from "./studio.js";
import { tableView } from "./table.js";
import { textView } from "./text.js";

const VIEWS = { image: imageView, values: tableView, sequence: textView, sound: soundView };

const payload = JSON.parse(document.getElementById("payload").textContent);
const main = document.getElementById("main");

async function begin() {
  const settings = {
    token: payload.token,
    discrete: payload.discrete,
    encodes: payload.encoder,
    event: payload.shape,
    context: payload.context ? payload.context.values.shape.slice(1) : null,
  };
  const inside = document.getElementById("runtime") !== null;
  const backend = inside ? await onnxBackend(settings) : serverBackend(settings);
  const view = VIEWS[payload.view](payload);
  const studio = new Studio(payload, backend);
  const points = payload.points ? new Points(payload, view) : null;
  const { element, actions } = stage(studio, view, points);
  const drawn = new Promise((go, stop) => (studio.on("picture", go), studio.on("fault", stop)));
  studio.changed("start"); // the first picture is under way while the rest of the page is built

  const { dialog, open } = help(actions);
  const parts = [
    payload.discrete ? noSliders(view, payload) : sliders(studio, view),
    payload.plane && map(studio, view, points),
    payload.directions.length > 0 && !payload.discrete && directions(studio, view),
    payload.encoder && own(studio, view),
    payload.samplers.length > 0 && samples(studio, view),
    !payload.discrete && between(studio, view, points),
  ].filter(Boolean);
  const links = parts.map((part) => make("a", { href: `#${part.id}` }, part.querySelector("h2").textContent));
  document.getElementById("places").append(...links, open);
  document.getElementById("waiting").remove();
  main.before(element);
  main.append(...parts, dialog);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => studio.tell("look"));
  await drawn;
  document.documentElement.dataset.state = "ready";
}

function noSliders(view, payload) {
  const ways = [
    payload.plane && "a point of the map",
    payload.samplers.length > 0 && `a new ${view.noun}`,
    payload.encoder && `a ${view.noun} of your own`,
  ].filter(Boolean);
  return section(
    "sliders",
    "A code without sliders",
    `This model keeps of a ${view.noun} a list of entries from a code book, as words are from a dictionary: there is nothing between two entries, so nothing to slide.${ways.length ? ` Take ${ways.join(" or ")}.` : ""}`,
  );
}

begin().catch((error) => {
  document.documentElement.dataset.state = "failed";
  const waiting = document.getElementById("waiting") ?? main.appendChild(make("p"));
  waiting.className = "note fault";
  waiting.setAttribute("role", "alert");
  waiting.textContent = `This page could not start: ${error.message}`;
});
