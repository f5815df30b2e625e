// HPKE base mode, receiving one message (RFC 9180 §5.1.1, §6.1): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM.

import { publicKey, x25519 } from "./x25519.js";

const KEM_SUITE = concat(ascii("KEM"), u16(0x0020));
const HPKE_SUITE = concat(ascii("HPKE"), u16(0x0020), u16(0x0001), u16(0x0001));
const NOTHING = new Uint8Array(0);
const [HASH_BYTES, KEY_BYTES, NONCE_BYTES, TAG_BITS] = [32, 16, 12, 128];

/** The plaintext; rejects on anything that was not sealed to this key with this info and aad. */
export async function open(privateKey, enc, ciphertext, info, aad = NOTHING) {
  const secret = await sharedSecret(privateKey, enc);
  const context = concat(
    Uint8Array.of(0), // mode_base
    await extract(HPKE_SUITE, NOTHING, "psk_id_hash", NOTHING),
    await extract(HPKE_SUITE, NOTHING, "info_hash", info),
  );
  const prk = await extract(HPKE_SUITE, secret, "secret", NOTHING);
  const raw = await expand(HPKE_SUITE, prk, "key", context, KEY_BYTES);
  const iv = await expand(HPKE_SUITE, prk, "base_nonce", context, NONCE_BYTES); // of sequence number 0
  const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
  const how = { name: "AES-GCM", iv, additionalData: aad, tagLength: TAG_BITS };
  return new Uint8Array(await crypto.subtle.decrypt(how, key, ciphertext));
}

/** HKDF-SHA256 (RFC 5869) of at most one block. */
export async function hkdf(salt, material, info, length) {
  return hkdfExpand(await hmac(salt, material), info, length);
}

export function ascii(text) {
  return new TextEncoder().encode(text);
}

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

async function sharedSecret(privateKey, enc) {
  const context = concat(enc, await publicKey(privateKey));
  const prk = await extract(KEM_SUITE, NOTHING, "eae_prk", await x25519(privateKey, enc));
  return expand(KEM_SUITE, prk, "shared_secret", context, HASH_BYTES);
}

function extract(suite, salt, label, material) {
  return hmac(salt, concat(ascii("HPKE-v1"), suite, ascii(label), material));
}

function expand(suite, prk, label, info, length) {
  return hkdfExpand(prk, concat(u16(length), ascii("HPKE-v1"), suite, ascii(label), info), length);
}

async function hkdfExpand(prk, info, length) {
  return (await hmac(prk, concat(info, Uint8Array.of(1)))).slice(0, length);
}

async function hmac(key, data) {
  const padded = key.length ? key : new Uint8Array(HASH_BYTES); // HMAC pads with zeros; WebCrypto refuses an empty key
  const imported = await crypto.subtle.importKey("raw", padded, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, data));
}

function u16(value) {
  return Uint8Array.of(value >> 8, value & 255);
}
