// District time in ticks of ten minutes, and which public file holds which result. Pure.
//
// clock.json says which tick is complete: what a kiosk published in a tick is public once that tick has ended.

const TICK_MS = 600_000;
const COHORT_TICKS = 12;
const TTL_TICKS = 1440; // ten days
const CLOCK_BYTES = 64;
const TICK_MAX = 2 ** 22 - 1;
const CLOCK_TOLERANCE_MS = 2 * TICK_MS; // of which one is clock.json's own coarseness

/** {tick, oldest} of clock.json's text; throws on anything else. */
export function parseClock(text) {
  const { v, tick, oldest_cohort: oldest } = JSON.parse(text);
  const whole = Number.isInteger(tick) && Number.isInteger(oldest);
  if (text.length !== CLOCK_BYTES || v !== 1 || !whole || tick < 0 || tick > TICK_MAX) throw new Error("no clock");
  if (oldest < 0 || oldest > cohortOf(tick)) throw new Error("no clock");
  return { tick, oldest };
}

/** "ready", "early" or "expired"; "unknown" without a ready tick. The practice code's tick is always ready. */
export function phaseOf(readyTick, clock, practiceTick) {
  if (readyTick === null) return "unknown";
  if (readyTick === practiceTick) return "ready";
  if (readyTick > clock.tick) return "early";
  return clock.tick >= readyTick + TTL_TICKS ? "expired" : "ready";
}

/** The cohort to download: always one that there is, so that no answer tells what was asked for. */
export function cohortFor(readyTick, clock, practiceTick) {
  if (readyTick === null) return cohortOf(clock.tick);
  const wanted = readyTick === practiceTick ? cohortOf(clock.tick + 1) - 1 : cohortOf(readyTick);
  return Math.min(Math.max(wanted, clock.oldest), cohortOf(clock.tick));
}

/** Every live cohort, newest first. */
export function liveCohorts(clock) {
  return Array.from({ length: cohortOf(clock.tick) - clock.oldest + 1 }, (_, back) => cohortOf(clock.tick) - back);
}

/** A cohort file's address, of constant length. */
export function cohortPath(cohort) {
  return `cohorts/${String(cohort).padStart(6, "0")}.bin`;
}

/** District time in ms since 1970 from which a result can be read. */
export function readableFrom(readyTick) {
  return (readyTick + 1) * TICK_MS;
}

/** District time in ms since 1970 at which it has expired. */
export function expiry(readyTick) {
  return readableFrom(readyTick + TTL_TICKS);
}

/** Real seconds until a result can be read, rounded up to the tick. */
export function waitSeconds(readyTick, clock, speed) {
  return ((readyTick - clock.tick) * TICK_MS) / 1000 / speed;
}

/** By how many ms a device's clock is wrong, 0 while it may be right. */
export function clockError(deviceMs, clock) {
  const district = readableFrom(clock.tick) + TICK_MS / 2; // the tick under way, at its middle
  return Math.abs(deviceMs - district) > CLOCK_TOLERANCE_MS ? deviceMs - district : 0;
}

function cohortOf(tick) {
  return Math.floor(tick / COHORT_TICKS);
}
