// From a code and a cohort file to a result, or to null. Whatever is wrong with a file or a record (cut, swapped,
// replayed, altered, forged) gives null: the page then says "not available", and only that.
//
// Record: slot(16) ‖ enc(32) ‖ ciphertext(208) = 256 bytes. Plaintext: origin(16) ‖ len(2, big-endian) ‖ body ‖ zeros.

import { dataSymbols } from "./claim.js";
import { ascii, concat, hkdf, open } from "./hpke.js";

export const RECORD_BYTES = 256;
export const FILE_BYTES_MAX = 8192 * RECORD_BYTES;
const SALT = ascii("kioskwatch/claim/v1");
const INFO = ascii("kioskwatch/result/v1");
const [SLOT_BYTES, ENC_BYTES, ORIGIN_BYTES, PLAIN_BYTES] = [16, 32, 16, 192];
const HEAD_BYTES = ORIGIN_BYTES + 2;
const SAME_SLOT_MAX = 64; // copies of one slot that are tried: a forger who adds more could as well drop the record
const TARGETS_MAX = 4; // none at all where no result came about
const FIELDS = 4;
const ADVICE = ["none", "confirm", "repeat"];
const CALLS = ["positive", "negative", "inconclusive", "invalid"];
const TARGET = /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/u;
const DAY = /^\d{4}-\d{2}-\d{2}$/u;

/** What a code stands for: {slot, privateKey, origin}. */
export async function keysOf(code) {
  const material = ascii(dataSymbols(code));
  const [slot, privateKey, origin] = await Promise.all([
    hkdf(SALT, material, ascii("slot"), SLOT_BYTES),
    hkdf(SALT, material, ascii("hpke-x25519"), ENC_BYTES),
    hkdf(SALT, material, ascii("origin"), ORIGIN_BYTES),
  ]);
  return { slot, privateKey, origin };
}

/** The result in a file, or null. Every record of the file is looked at, wherever the right one lies. */
export async function findResult(keys, file) {
  if (!isCohortFile(file)) return null;
  const same = [];
  for (let at = 0; at < file.length; at += RECORD_BYTES) {
    if (difference(file, at, keys.slot, 0) === 0) same.push(file.subarray(at, at + RECORD_BYTES));
  }
  let found = null;
  for (const record of same.slice(0, SAME_SLOT_MAX)) {
    const result = await openRecord(keys, record);
    found ??= result;
  }
  return found;
}

/** The result in one record, or null. */
export async function openRecord(keys, record) {
  if (record.length !== RECORD_BYTES) return null;
  const [slot, enc] = [record.subarray(0, SLOT_BYTES), record.subarray(SLOT_BYTES, SLOT_BYTES + ENC_BYTES)];
  if (!equal(slot, keys.slot)) return null;
  try {
    const plain = await open(keys.privateKey, enc, record.subarray(SLOT_BYTES + ENC_BYTES), concat(INFO, slot));
    return resultOf(bodyOf(plain, keys.origin));
  } catch {
    return null; // not sealed to this code, or not by a kiosk
  }
}

// 1. the length; 2. the origin, which only the kiosk that made the code knows; 3. the length of the body; 4. the zeros.
function bodyOf(plain, origin) {
  if (plain.length !== PLAIN_BYTES || !equal(plain.subarray(0, ORIGIN_BYTES), origin)) throw new Error("not ours");
  const length = plain[ORIGIN_BYTES] * 256 + plain[ORIGIN_BYTES + 1];
  if (length > PLAIN_BYTES - HEAD_BYTES) throw new Error("too long");
  if (plain.subarray(HEAD_BYTES + length).some((byte) => byte !== 0)) throw new Error("not padded with zeros");
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(plain.subarray(HEAD_BYTES, HEAD_BYTES + length));
}

function resultOf(text) {
  const body = JSON.parse(text);
  const { v, day, advice, calls } = body;
  if (Object.keys(body).length !== FIELDS || v !== 1 || !isDay(day) || !ADVICE.includes(advice)) throw new Error("no result");
  if (!Array.isArray(calls) || calls.length > TARGETS_MAX || !calls.every(isCall)) throw new Error("no result");
  if (new Set(calls.map(([target]) => target)).size !== calls.length) throw new Error("a target twice");
  return { day, advice, calls };
}

function isCall(call) {
  if (!Array.isArray(call) || call.length !== 2) return false;
  return typeof call[0] === "string" && TARGET.test(call[0]) && CALLS.includes(call[1]);
}

function isDay(day) {
  return typeof day === "string" && DAY.test(day) && new Date(`${day}T00:00:00Z`).toJSON()?.slice(0, 10) === day;
}

// A power of two of whole records, sorted by slot.
function isCohortFile(file) {
  const records = file.length / RECORD_BYTES;
  if (!Number.isInteger(records) || records < 1 || file.length > FILE_BYTES_MAX || (records & (records - 1)) !== 0) return false;
  for (let at = RECORD_BYTES; at < file.length; at += RECORD_BYTES) {
    if (difference(file, at - RECORD_BYTES, file, at) > 0) return false;
  }
  return true;
}

function equal(left, right) {
  return left.length === right.length && difference(left, 0, right, 0) === 0;
}

// 0 for equal slots, else the sign of the first byte that differs. Without an early exit: how long it takes does not
// depend on where that is.
function difference(left, leftAt, right, rightAt) {
  let first = 0;
  for (let index = 0; index < SLOT_BYTES; index += 1) {
    const now = left[leftAt + index] - right[rightAt + index];
    first = first === 0 ? now : first;
  }
  return first;
}
