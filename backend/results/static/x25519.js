// X25519 (RFC 7748), by the browser where it has it, else by our own BigInt ladder.
//
// BigInt arithmetic takes no constant time. That is borne here: the key is used once, on its owner's own device, and
// nothing is sent after it was used.

const P = 2n ** 255n - 19n;
const A24 = 121665n;
const KEY_BYTES = 32;
const PKCS8_HEAD = Uint8Array.from([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20]); // RFC 8410
const BASE_POINT = Uint8Array.from({ length: KEY_BYTES }, (_, index) => (index === 0 ? 9 : 0));

/** The shared secret of a private key and a point, 32 bytes each; throws where it is all zeros (RFC 7748 §6.1). */
export async function x25519(privateKey, point) {
  let secret;
  try {
    secret = await native(privateKey, point);
  } catch {
    secret = own(privateKey, point); // the browser cannot, or it refuses the point, as the next line does
  }
  if (secret.every((byte) => byte === 0)) throw new Error("the point has a small order");
  return secret;
}

/** The public key of a private one. */
export function publicKey(privateKey) {
  return x25519(privateKey, BASE_POINT);
}

export async function native(privateKey, point) {
  const pkcs8 = new Uint8Array(PKCS8_HEAD.length + KEY_BYTES);
  pkcs8.set(PKCS8_HEAD);
  pkcs8.set(privateKey, PKCS8_HEAD.length);
  const ours = await crypto.subtle.importKey("pkcs8", pkcs8, "X25519", false, ["deriveBits"]);
  const theirs = await crypto.subtle.importKey("raw", point, "X25519", false, []);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: theirs }, ours, 8 * KEY_BYTES));
}

export function own(privateKey, point) {
  const scalar = number(privateKey.map((byte, index) => clamp(byte, index)));
  const x1 = number(point) & (2n ** 255n - 1n);
  let [x2, z2, x3, z3] = [1n, 0n, x1, 1n];
  let swap = 0n;
  for (let bit = 254n; bit >= 0n; bit -= 1n) {
    const now = (scalar >> bit) & 1n;
    if (swap !== now) [x2, x3, z2, z3] = [x3, x2, z3, z2];
    swap = now;
    const [a, b, c, d] = [x2 + z2, x2 - z2, x3 + z3, x3 - z3];
    const [aa, bb, da, cb] = [(a * a) % P, (b * b) % P, (d * a) % P, (c * b) % P];
    const e = aa - bb;
    [x3, z3] = [(da + cb) ** 2n % P, (x1 * ((da - cb) ** 2n % P)) % P];
    [x2, z2] = [(aa * bb) % P, (e * (aa + A24 * e)) % P];
  }
  if (swap) [x2, z2] = [x3, z3];
  return bytes((((x2 * power(z2, P - 2n)) % P) + P) % P);
}

function clamp(byte, index) {
  if (index === 0) return byte & 248;
  return index === KEY_BYTES - 1 ? (byte & 127) | 64 : byte;
}

function power(base, exponent) {
  let result = 1n;
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n, square = (square * square) % P) {
    if (rest & 1n) result = (result * square) % P;
  }
  return result;
}

function number(littleEndian) {
  return littleEndian.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function bytes(value) {
  return Uint8Array.from({ length: KEY_BYTES }, (_, index) => Number((value >> BigInt(8 * index)) & 255n));
}
