// What the page shows in each of its states, as data: {title, lines, actions, form, progress}. Pure.
//
// An action is [word, what it does, whether it is the main one]. `form` says whether the entry form is shown below.

import { expiry, readableFrom, waitSeconds } from "./clock.js";

const AGAIN = ["again", "again", true];
const OTHER = ["other", "other", false];

/** The content of a state; `now` is what the page knows: {readyTick, clock, speed, clockError, speech}. */
export function contentOf(state, now) {
  return { lines: [], actions: [], form: false, ...STATES[state.name](state, now) };
}

const STATES = {
  asking: (_, { speech }) => ({ lines: [speech.say("asking")], actions: [OTHER] }),
  prompt: prompt,
  loading: loading,
  opening: (_, { speech }) => ({ lines: [speech.say("opening")] }),
  offline: (_, { speech }) => plain(speech, "offline", [AGAIN, OTHER]),
  busy: (_, { speech }) => plain(speech, "busy", [AGAIN, OTHER]),
  absent: absent,
  more: ({ count, bytes }, { speech }) => ({
    title: speech.say("moreTitle"),
    lines: [speech.say("moreText", { count, size: speech.size(bytes) })],
    actions: [["more", "search", true], OTHER],
  }),
  hidden: (_, { speech }) => ({ ...plain(speech, "hidden", []), form: true }),
  forgotten: (_, { speech }) => ({ ...plain(speech, "forgotten", []), form: true }),
  insecure: (_, { speech }) => plain(speech, "insecure", []),
  link: ({ version }, { speech }) => ({
    title: speech.say("linkTitle"),
    lines: [speech.say(version ? "linkVersion" : "linkText")],
    form: true,
  }),
};

function plain(speech, name, actions) {
  return { title: speech.say(`${name}Title`), lines: [speech.say(`${name}Text`)], actions };
}

function prompt({ phase }, now) {
  const { speech } = now;
  const texts = {
    ready: () => speech.say("readyText"),
    early: () => speech.say("earlyText", { date: readyAt(now), span: speech.span(waitSeconds(now.readyTick, now.clock, now.speed)) }),
    expired: () => speech.say("expiredText", { date: expiresAt(now) }),
    unknown: () => speech.say("unknownText"),
  };
  const asked = phase === "ready" || phase === "unknown";
  return {
    title: speech.say(`${phase}Title`),
    lines: [texts[phase](), ...wrongClock(now)],
    actions: [[asked ? "show" : "anyway", "look", true], OTHER],
  };
}

function loading({ done, total, number, count }, { speech }) {
  const lines = count > 1 ? [speech.say("loadingMany", { n: number, count })] : [];
  if (total > 0) lines.push(speech.say("loadingText", { done: speech.size(done), total: speech.size(total) }));
  return { title: speech.say("loadingTitle"), lines, actions: [["stop", "other", false]], progress: { done, total } };
}

function absent({ phase, all }, now) {
  const { speech } = now;
  const hint = {
    ready: () => (now.practice ? null : speech.say("absentRetry", { date: expiresAt(now) })),
    early: () => speech.say("absentEarly", { date: readyAt(now) }),
    expired: () => speech.say("absentExpired", { date: expiresAt(now) }),
    unknown: () => (all ? speech.say("absentAll") : null),
  }[phase]();
  return {
    title: speech.say("absentTitle"),
    lines: [speech.say("absentText"), ...(hint ? [hint] : []), ...wrongClock(now)],
    actions: [AGAIN, OTHER],
  };
}

function wrongClock({ clockError, speech }) {
  return clockError ? [speech.say("wrongClock", { span: speech.span(Math.abs(clockError) / 1000) })] : [];
}

function readyAt({ readyTick, speech }) {
  return speech.moment(readableFrom(readyTick));
}

function expiresAt({ readyTick, speech }) {
  return speech.moment(expiry(readyTick));
}
