// From a spectrogram back to a sound: the phases are lost and have to be found.

/** In-place Fourier transform of n complex numbers; n is a power of two. */
function radix2(re, im, inverse) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let size = 2; size <= n; size <<= 1) {
    const turn = ((inverse ? 2 : -2) * Math.PI) / size;
    for (let k = 0; k < size / 2; k++) {
      const c = Math.cos(turn * k);
      const s = Math.sin(turn * k);
      for (let a = k; a < n; a += size) {
        const b = a + size / 2;
        const x = re[b] * c - im[b] * s;
        const y = re[b] * s + im[b] * c;
        re[b] = re[a] - x;
        im[b] = im[a] - y;
        re[a] += x;
        im[a] += y;
      }
    }
  }
  if (inverse) for (let i = 0; i < n; i++) [re[i], im[i]] = [re[i] / n, im[i] / n];
}

/** Fourier transform of any length; other lengths than powers of two by Bluestein's convolution. */
export function fourier(re, im, inverse = false) {
  const n = re.length;
  if ((n & (n - 1)) === 0) return radix2(re, im, inverse);
  let m = 1;
  while (m < 2 * n) m *= 2;
  const sign = inverse ? 1 : -1;
  // k^2 modulo 2n keeps the angle small, and so exact
  const chirp = Array.from({ length: n }, (_, k) => (sign * Math.PI * ((k * k) % (2 * n))) / n);
  const [ar, ai, br, bi] = Array.from({ length: 4 }, () => new Float64Array(m));
  for (let k = 0; k < n; k++) {
    const [c, s] = [Math.cos(chirp[k]), Math.sin(chirp[k])];
    ar[k] = re[k] * c - im[k] * s;
    ai[k] = re[k] * s + im[k] * c;
    br[k] = br[(m - k) % m] = c;
    bi[k] = bi[(m - k) % m] = -s;
  }
  radix2(ar, ai, false);
  radix2(br, bi, false);
  for (let k = 0; k < m; k++) [ar[k], ai[k]] = [ar[k] * br[k] - ai[k] * bi[k], ar[k] * bi[k] + ai[k] * br[k]];
  radix2(ar, ai, true);
  const size = inverse ? n : 1;
  for (let k = 0; k < n; k++) {
    const [c, s] = [Math.cos(chirp[k]), Math.sin(chirp[k])];
    re[k] = (ar[k] * c - ai[k] * s) / size;
    im[k] = (ar[k] * s + ai[k] * c) / size;
  }
  return undefined;
}

/**
 * Griffin and Lim's alternating projections with momentum (Perraudin et al., 2013): a waveform whose
 * spectrogram (Hann window, centred frames) has these magnitudes, (bins, frames).
 */
export function griffinLim(magnitude, bins, frames, window, hop, rounds = 40, momentum = 0.99) {
  const hann = Float64Array.from({ length: window }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / window));
  const length = window + hop * (frames - 1);
  const weight = new Float64Array(length);
  for (let t = 0; t < frames; t++) for (let i = 0; i < window; i++) weight[t * hop + i] += hann[i] ** 2;
  const half = Math.floor(window / 2) + 1;
  const [re, im] = [new Float64Array(window), new Float64Array(window)];
  let seed = 1;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const phase = Float64Array.from({ length: frames * half }, () => 2 * Math.PI * random());
  const [pr, pi] = [phase.map(Math.cos), phase.map(Math.sin)];
  const [lr, li] = [new Float64Array(frames * half), new Float64Array(frames * half)];
  let wave = new Float64Array(length);

  for (let round = 0; round <= rounds; round++) {
    wave = new Float64Array(length);
    for (let t = 0; t < frames; t++) {
      re.fill(0);
      im.fill(0);
      for (let f = 0; f < half && f < bins; f++) {
        re[f] = magnitude[f * frames + t] * pr[t * half + f];
        im[f] = magnitude[f * frames + t] * pi[t * half + f];
        if (f > 0 && 2 * f !== window) [re[window - f], im[window - f]] = [re[f], -im[f]];
      }
      fourier(re, im, true);
      for (let i = 0; i < window; i++) wave[t * hop + i] += re[i] * hann[i];
    }
    for (let i = 0; i < length; i++) wave[i] /= Math.max(weight[i], 1e-8);
    if (round === rounds) break;
    for (let t = 0; t < frames; t++) {
      im.fill(0);
      for (let i = 0; i < window; i++) re[i] = wave[t * hop + i] * hann[i];
      fourier(re, im);
      for (let f = 0; f < half; f++) {
        const at = t * half + f;
        const x = re[f] + momentum * (re[f] - lr[at]);
        const y = im[f] + momentum * (im[f] - li[at]);
        [lr[at], li[at]] = [re[f], im[f]];
        const size = Math.hypot(x, y) || 1;
        [pr[at], pi[at]] = [x / size, y / size];
      }
    }
  }
  const edge = Math.floor(window / 2);
  return Float32Array.from(wave.subarray(edge, edge + hop * (frames - 1)));
}
