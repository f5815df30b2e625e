// What the page asks its server for: the clock and whole cohort files. Nothing that it sends comes from a code, but for
// the number of the two-hour file; nothing is asked after a record was opened.

import { FILE_BYTES_MAX } from "./record.js";
import { cohortPath, parseClock } from "./clock.js";

const SILENCE_MS = 20_000; // a line that brings nothing for so long is taken for lost
const TOO_MUCH = 429;
const HOW = { cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer" };

/** The server's limit for one network address is reached for this minute. */
export class BusyError extends Error {}

/** The district's clock; rejects when it cannot be had. */
export async function loadClock(signal) {
  return parseClock(new TextDecoder().decode(await load("clock.json", () => {}, signal)));
}

/** Who runs the page, or null: the page works without it. */
export async function loadNotice() {
  try {
    return JSON.parse(new TextDecoder().decode(await load("notice.json", () => {}, new AbortController().signal)));
  } catch {
    return null;
  }
}

/** The bytes of a cohort file; `progress` is told bytes so far and in all. Rejects when they cannot be had. */
export function loadCohort(cohort, progress, signal) {
  return load(cohortPath(cohort), progress, signal);
}

async function load(path, progress, signal) {
  const line = new AbortController();
  const giveUp = () => line.abort();
  signal.addEventListener("abort", giveUp, { once: true });
  let watch = setTimeout(giveUp, SILENCE_MS);
  try {
    const answer = await fetch(path, { ...HOW, signal: line.signal });
    if (answer.status === TOO_MUCH) throw new BusyError();
    if (!answer.ok) throw new Error(`answered with ${answer.status}`);
    const total = Number(answer.headers.get("content-length"));
    const parts = [];
    let done = 0;
    const reader = answer.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const { value } = part;
      clearTimeout(watch);
      watch = setTimeout(giveUp, SILENCE_MS);
      parts.push(value);
      done += value.length;
      if (done > FILE_BYTES_MAX) throw new Error("longer than any file of ours");
      progress(done, Math.max(total, done));
    }
    const whole = new Uint8Array(await new Blob(parts).arrayBuffer());
    signal.throwIfAborted(); // the visitor may have gone on at the last moment
    return whole;
  } finally {
    clearTimeout(watch);
    signal.removeEventListener("abort", giveUp);
    line.abort();
  }
}
