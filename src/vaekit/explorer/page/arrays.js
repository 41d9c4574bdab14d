// Numbers as they travel: base64 of little-endian arrays, and of gzip.

const TYPES = { float32: Float32Array, int32: Int32Array };

/** The bytes that base64 text stands for. */
export function bytes(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text.trim());
  const found = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) found[i] = letters.charCodeAt(i);
  return found;
}

/** What base64 of gzip holds. */
export async function unzip(text) {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** {dtype, shape, data} as {shape, data: a typed array}; null stays null. */
export function unpack(packed) {
  if (!packed) return null;
  const raw = bytes(packed.data);
  return { shape: packed.shape, data: new TYPES[packed.dtype](raw.buffer, raw.byteOffset, raw.byteLength / 4) };
}

/** The inverse of `unpack`. */
export function pack(data, shape) {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let letters = "";
  for (let i = 0; i < raw.length; i += 0x8000) letters += String.fromCharCode(...raw.subarray(i, i + 0x8000));
  return { dtype: data instanceof Int32Array ? "int32" : "float32", shape, data: btoa(letters) };
}

/** Row `i` of a table that was unpacked. */
export function row(table, i) {
  const width = table.data.length / table.shape[0];
  return table.data.subarray(i * width, (i + 1) * width);
}

/** Part `i` along the first axis of what was unpacked, unpacked itself. */
export function part(table, i) {
  return { shape: table.shape.slice(1), data: row(table, i) };
}

/** `count` copies of a row, one after the other. */
export function copies(values, count) {
  const found = new Float32Array(values.length * count);
  for (let i = 0; i < count; i++) found.set(values, i * values.length);
  return found;
}

/** Sum of products. */
export function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
