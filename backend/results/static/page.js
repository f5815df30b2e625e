// The page's course: a code from link or hand, the clock, a press of a button, a whole file, a result, forgetting.
//
// Whatever the code, one look-up asks for clock.json and then for one cohort file, and for nothing afterwards.

import { CodeError, PRACTICE_TICK, parseCode, parseFragment, parseGroup, split } from "./claim.js";
import { clockError, cohortFor, liveCohorts, phaseOf, waitSeconds } from "./clock.js";
import { BusyError, loadClock, loadCohort, loadNotice } from "./look.js";
import { findResult, keysOf } from "./record.js";
import { chosenLanguage, speech as speechOf } from "./speech.js";
import * as view from "./view.js";

const SHOWN_S = 120;
const WARNED_S = 30;
const CLOCK_FRESH_MS = 60_000;
const PROGRESS_MS = 100;
const WAIT_MS_MAX = 7 * 86_400_000; // browsers fire timers of more than 24 days at once

let speech;
let notice = null;
let state = { name: "start" };
let asked = null; // {code, readyTick} while somebody looks for a result
let clock = null;
let clockAt = 0;
let running = new AbortController();
let again = () => {};
let waiting; // the timer that says when a result has become ready
let shown = null; // {result, since, warned} while a result is on the screen

const at = (id) => document.getElementById(id);

/** Take over: the fragment was taken out of the address bar already. */
export async function start(fragment) {
  speech = await speechOf(chosenLanguage(navigator.languages));
  loadNotice().then((loaded) => {
    notice = loaded;
    view.drawFrame(speech, notice, choose);
    show(state); // the district's speed decides how long there is to wait
  });
  listen();
  if (fragment) fromLink(fragment);
  else if (["reload", "back_forward"].includes(performance.getEntriesByType("navigation")[0]?.type)) show({ name: "forgotten" });
  redraw();
}

function listen() {
  at("entry").addEventListener("submit", (event) => {
    event.preventDefault();
    fromHand();
  });
  at("code").addEventListener("input", noteCode);
  at("group").addEventListener("input", noteGroup);
  window.addEventListener("hashchange", () => {
    const fragment = location.hash;
    history.replaceState(null, "", location.pathname);
    if (fragment) fromLink(fragment);
  });
  window.addEventListener("pagehide", () => {
    if (asked || shown || at("code").value) forget("forgotten");
  });
  setInterval(countDown, 1000);
  document.addEventListener("visibilitychange", countDown);
}

// --- a code comes in --------------------------------------------------------------------------------

function fromLink(fragment) {
  running.abort();
  clearEntry();
  shown = null;
  try {
    const { code, tick } = parseFragment(fragment);
    begin(code, tick, false);
  } catch (error) {
    if (!(error instanceof CodeError)) throw error;
    asked = null;
    show({ name: "link", version: error.kind === "version" });
  }
}

function fromHand() {
  spread();
  const wrong = [noteCode(true), noteGroup(true)];
  if (wrong.some(Boolean)) {
    at(wrong[0] ? "code" : "group").focus();
    return;
  }
  begin(parseCode(at("code").value), at("group").value.trim() ? parseGroup(at("group").value) : null, true);
}

/** Put a pasted address, or six groups in one field, into the two fields. */
function spread() {
  const { code, group } = split(at("code").value);
  if (!group) return;
  at("code").value = code;
  at("group").value = group;
}

function noteCode(whole) {
  spread();
  if (at("group").value) noteGroup(false);
  return note("code", parseCode, whole === true);
}

function noteGroup(whole) {
  return note("group", parseGroup, whole === true);
}

/** Say what is right or wrong with a field; while it is being typed, too few symbols are no error. Tells whether it is wrong. */
function note(field, parse, whole) {
  const text = at(field).value;
  if (field === "group" && !text.trim()) {
    view.drawNote(field, "", "count");
    return false;
  }
  try {
    parse(text);
    view.drawNote(field, speech.say(`${field}Good`), "good");
    return false;
  } catch (error) {
    if (!(error instanceof CodeError)) throw error;
    const short = error.kind === "length" && Number(error.detail) < (field === "code" ? 25 : 5);
    if (!whole && short) {
      view.drawNote(field, field === "code" ? speech.say("codeCount", { n: error.detail }) : "", "count");
      return true;
    }
    const kind = { symbol: "Symbol", length: "Length", check: "Check" }[error.kind];
    view.drawNote(field, speech.say(field + kind, { symbol: error.detail, n: error.detail }), "bad");
    return true;
  }
}

// --- looking ----------------------------------------------------------------------------------------

/** Ask for the clock; then say how things stand or, when a button was pressed already, look. */
function begin(code, readyTick, pressed) {
  shown = null;
  asked = { code, readyTick };
  if (!globalThis.crypto?.subtle) {
    show({ name: "insecure" });
    return;
  }
  attempt(async (signal) => {
    show({ name: "asking" });
    await renewClock(signal, true);
    const phase = phaseOf(readyTick, clock, PRACTICE_TICK);
    if (pressed && (phase === "ready" || phase === "unknown")) await look(signal);
    else show({ name: "prompt", phase });
  });
}

/** Run what needs the network; whatever happens on the way ends in a sentence and a button. */
async function attempt(action) {
  running.abort();
  const mine = new AbortController();
  running = mine;
  again = () => attempt(action);
  try {
    await action(mine.signal);
  } catch (error) {
    if (!mine.signal.aborted) show({ name: error instanceof BusyError ? "busy" : "offline" });
  }
}

async function renewClock(signal, always = false) {
  const age = Date.now() - clockAt;
  if (!always && age >= 0 && age < CLOCK_FRESH_MS / view.speedOf(notice)) return;
  clock = await loadClock(signal);
  clockAt = Date.now();
}

async function look(signal) {
  await renewClock(signal);
  const { readyTick } = asked;
  const cohort = cohortFor(readyTick, clock, PRACTICE_TICK);
  const [result, bytes] = await lookInto(cohort, signal, 1, 1);
  const older = readyTick === null ? liveCohorts(clock).slice(1) : [];
  if (result) reveal(result);
  else if (older.length) show({ name: "more", count: older.length, bytes: older.length * bytes });
  else show({ name: "absent", phase: phaseOf(readyTick, clock, PRACTICE_TICK) });
}

/** Search what is left; `done` keeps what was searched before a connection broke, so that nothing is loaded twice. */
async function searchOlder(signal, done) {
  await renewClock(signal);
  const older = liveCohorts(clock).slice(1);
  for (const [index, cohort] of older.entries()) {
    if (done.has(cohort)) continue;
    const [result] = await lookInto(cohort, signal, index + 1, older.length);
    if (result) {
      reveal(result);
      return;
    }
    done.add(cohort);
  }
  done.clear();
  show({ name: "absent", phase: "unknown", all: true });
}

async function lookInto(cohort, signal, number, count) {
  let drawnAt = -Infinity;
  const progress = (done, total) => {
    if (performance.now() - drawnAt < PROGRESS_MS) return;
    drawnAt = performance.now();
    show({ name: "loading", done, total, number, count });
  };
  progress(0, 0);
  const file = await loadCohort(cohort, progress, signal);
  if (count === 1) show({ name: "opening" });
  const keys = await keysOf(asked.code);
  const result = await findResult(keys, file);
  keys.privateKey.fill(0);
  signal.throwIfAborted();
  return [result, file.length];
}

// --- showing and forgetting ---------------------------------------------------------------------------

function reveal(result) {
  asked = null;
  clearEntry();
  shown = { result };
  restartCountdown();
  state = { name: "result" };
  redraw();
  view.focusTitle();
}

function restartCountdown() {
  shown.since = { wall: Date.now(), steady: performance.now() };
  shown.warned = false;
  view.announce(""); // so that the same warning is heard a second time
}

// The steady clock may stand still while a device sleeps, and the wall clock may be set back: the later one counts.
function countDown() {
  if (!shown) return;
  const passed = Math.max(Date.now() - shown.since.wall, performance.now() - shown.since.steady);
  const left = Math.max(0, SHOWN_S - Math.floor(passed / 1000));
  view.drawCountdown(speech, left);
  if (left <= WARNED_S && !shown.warned) {
    shown.warned = true;
    view.announce(speech.say("hidesSoon"));
  }
  if (left === 0) forget("hidden");
}

function forget(name) {
  running.abort();
  asked = null;
  shown = null;
  again = () => {};
  clearEntry();
  show({ name });
}

function clearEntry() {
  for (const field of ["code", "group"]) {
    at(field).value = "";
    view.drawNote(field, "", "count");
  }
}

const ACTIONS = {
  look: () => attempt(look),
  search: () => {
    const done = new Set();
    attempt((signal) => searchOlder(signal, done));
  },
  again: () => again(),
  other: () => {
    running.abort();
    asked = null;
    state = { name: "start" };
    redraw();
    at("code").focus();
  },
  hide: () => forget("hidden"),
  longer: () => {
    restartCountdown();
    countDown();
  },
  print: () => window.print(),
};

function show(next) {
  const moved = next.name !== state.name;
  state = next;
  clearTimeout(waiting);
  if (next.phase === "early") wait(1000 * waitSeconds(asked.readyTick, clock, view.speedOf(notice)));
  draw();
  if (moved) view.focusTitle();
}

function wait(ms) {
  if (ms <= WAIT_MS_MAX) waiting = setTimeout(nowReady, ms);
}

/** The time has come, by the district's clock; nothing is asked for before a press. */
function nowReady() {
  if (state.name !== "prompt") return;
  show({ name: "prompt", phase: "ready" });
  view.announce(speech.say("readyTitle"));
}

function redraw() {
  view.drawFrame(speech, notice, choose);
  draw();
}

function draw() {
  const focused = document.activeElement?.id;
  drawNow();
  if (focused && document.activeElement?.id !== focused) at(focused)?.focus();
}

function drawNow() {
  if (state.name === "start") {
    view.drawStart();
  } else if (state.name === "result") {
    view.drawResult(shown.result, { speech, notice }, ACTIONS);
    countDown();
  } else {
    const speed = view.speedOf(notice);
    const wrong = speed === 1 && clock ? clockError(clockAt, clock) : 0; // a simulated district has a calendar of its own
    const practice = asked?.readyTick === PRACTICE_TICK;
    view.drawState(state, { ...asked, clock, speed, clockError: wrong, practice, speech }, ACTIONS);
  }
}

async function choose(language) {
  try {
    speech = await speechOf(language);
  } catch {
    return; // without network the page stays in the language that it has
  }
  redraw();
  for (const field of ["code", "group"]) if (at(field).value) note(field, field === "code" ? parseCode : parseGroup, false);
}
