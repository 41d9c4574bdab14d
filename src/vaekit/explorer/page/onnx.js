// The model inside the page: ONNX graphs, computed by onnxruntime-web, which lies in the page as well.

import { bytes, unzip } from "./arrays.js";

const held = (id) => document.getElementById(id).textContent;

/** The backend of the exported page; `settings` says whether codes are whole numbers, and the sizes. */
export async function onnxBackend({ discrete, encodes, event, context }) {
  const ort = globalThis.ort;
  ort.env.wasm.wasmBinary = await unzip(held("runtime"));
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.proxy = false;
  ort.env.logLevel = "error";
  const decoder = await ort.InferenceSession.create(await unzip(held("decoder")));
  let encoder = null;

  function feeds(name, data, n, tail, conditions, session) {
    const whole = name === "z" && discrete;
    const values = whole ? BigInt64Array.from(data, (v) => BigInt(Math.round(v))) : data;
    const given = { [name]: new ort.Tensor(whole ? "int64" : "float32", values, [n, ...tail]) };
    // a graph that does not use the condition does not ask for it
    if (conditions && session.inputNames.includes("c")) {
      given.c = new ort.Tensor("float32", conditions, [n, ...context]);
    }
    return given;
  }

  function found(outputs) {
    return { mean: plain(outputs.mean.data), stddev: outputs.stddev ? plain(outputs.stddev.data) : null };
  }

  return {
    rows: 1,
    async decode(codes, n, conditions) {
      return found(await decoder.run(feeds("z", codes, n, [codes.length / n], conditions, decoder)));
    },
    async encode(x, n, conditions) {
      if (!encodes) throw new Error("this page has no encoder");
      // unpacked when it is first needed: the first picture does not wait for it
      encoder ??= await ort.InferenceSession.create(await unzip(held("encoder")));
      return found(await encoder.run(feeds("x", x, n, event, conditions, encoder)));
    },
    sample: null,
    refine: null, // the graphs know no slopes
  };
}

function plain(values) {
  return values instanceof Float32Array ? values : Float32Array.from(values, Number);
}
