// Draws states and results into the document: text nodes and attributes only, never markup (trusted types forbid it).

import { contentOf } from "./states.js";
import { LANGUAGES } from "./speech.js";

const NOTICE = ["controller", "contact", "legal_basis", "notification_rule", "confirmatory_path"];
const MARKS = { positive: "▲", negative: "●", inconclusive: "◆", invalid: "■" };
const ADVICE = { none: "todoNone", confirm: "todoConfirm", repeat: "todoRepeat" };

const at = (id) => document.getElementById(id);

/** A new element with attributes and children; a null child is left out. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Everything that does not change with the state. */
export function drawFrame(speech, notice, choose) {
  document.documentElement.lang = speech.language;
  document.documentElement.dir = speech.direction;
  document.title = speech.say("title");
  for (const node of document.querySelectorAll("[data-say]")) node.textContent = speech.say(node.dataset.say);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", speech.say(node.dataset.label));
  at("health").href = `health/${speech.language}.html`;
  at("stuck").hidden = true;
  drawLanguages(speech, choose);
  drawNotice(speech, notice);
}

function drawLanguages(speech, choose) {
  const nav = at("languages");
  if (!nav.firstChild) {
    for (const [code, name] of Object.entries(LANGUAGES)) {
      const button = element("button", { type: "button", lang: code, id: `language-${code}` }, name);
      button.addEventListener("click", () => choose(code));
      nav.append(button);
    }
  }
  for (const button of nav.children) button.setAttribute("aria-pressed", String(button.lang === speech.language));
}

function drawNotice(speech, notice) {
  const speed = speedOf(notice);
  at("simulated").hidden = speed === 1;
  at("simulated").textContent = speed === 1 ? "" : speech.say("simulated", { speed });
  const rows = NOTICE.map((field) => [speech.say(field), noticeText(notice, field, speech.language)]);
  if (notice?.page_hash) rows.push([speech.say("fingerprint"), notice.page_hash]);
  const said = rows.filter(([, text]) => text);
  at("notice").replaceChildren(...said.flatMap(([name, text]) => [element("dt", {}, name), element("dd", { dir: "auto" }, text)]));
}

/** How many times faster than real time the district's clock runs; 1 but for a simulated district. */
export function speedOf(notice) {
  return notice?.speed > 0 ? Number(notice.speed) : 1;
}

function noticeText(notice, field, language) {
  return String(notice?.notice?.[field]?.[language] ?? "");
}

/** One state in its card; the entry form below it or not. */
export function drawState(state, now, actions) {
  const content = contentOf(state, now);
  const title = element("h2", { id: "state-title", tabindex: "-1" }, content.title ?? content.lines[0]);
  const lines = content.title ? content.lines : [];
  const buttons = content.actions.map(([word, what, main]) => button(now.speech, word, actions[what], main));
  const parts = [title, ...lines.map((line) => element("p", {}, line))];
  if (content.progress) parts.push(bar(content.progress));
  if (buttons.length) parts.push(element("div", { class: "actions" }, ...buttons));
  if (at("state").dataset.name === state.name) update(at("state"), parts);
  else at("state").replaceChildren(...parts);
  at("state").dataset.name = state.name;
  at("state").hidden = false;
  at("entry").hidden = !content.form;
}

/** Change what differs and leave the rest: a title keeps the focus, and is not read out at every step of a download. */
function update(parent, fresh) {
  const old = [...parent.children];
  if (old.length !== fresh.length || old.some((node, index) => node.tagName !== fresh[index].tagName)) {
    parent.replaceChildren(...fresh);
    return;
  }
  for (const [index, node] of old.entries()) {
    if (node.isEqualNode(fresh[index])) continue;
    if (node.id === "state-title") node.textContent = fresh[index].textContent;
    else node.replaceWith(fresh[index]);
  }
}

/** The start: only the entry form. */
export function drawStart() {
  at("state").replaceChildren();
  at("state").dataset.name = "start";
  at("state").hidden = true;
  at("entry").hidden = false;
}

/** A result, with the time that it stays. */
export function drawResult(result, { speech, notice }, actions) {
  const practice = result.calls.some(([target]) => target === "practice");
  const calls = result.calls.length ? result.calls.map(([target, word]) => call(speech, speech.target(target), word)) : [call(speech, null, "invalid")];
  const confirming = noticeText(notice, "confirmatory_path", speech.language);
  at("state").replaceChildren(
    element("h2", { id: "state-title", tabindex: "-1" }, speech.say("resultTitle")),
    practice ? element("p", { class: "practice" }, speech.say("practice")) : "",
    element("p", {}, speech.say("tested", { day: speech.day(result.day) })),
    element("div", { class: "calls" }, ...calls),
    element("h3", {}, speech.say("todo")),
    element("p", { id: "advice" }, speech.say(ADVICE[result.advice])),
    result.advice === "confirm" && confirming ? element("p", { dir: "auto" }, confirming) : "",
    element("p", {}, speech.say("emergency")),
    element("p", { class: "hint" }, speech.say("noCertificate")),
    element("p", { id: "countdown", class: "time screen-only", role: "timer", "aria-live": "off" }),
    element("div", { class: "actions" }, button(speech, "hide", actions.hide, true), button(speech, "longer", actions.longer), button(speech, "print", actions.print)),
    element("p", { class: "hint screen-only" }, speech.say("printNote")),
  );
  at("state").dataset.name = "result";
  at("state").hidden = false;
  at("entry").hidden = true;
}

function call(speech, target, word) {
  return element(
    "section",
    { class: `call ${word}` },
    target === null ? null : element("h3", {}, target),
    element("p", { class: "word" }, element("span", { "aria-hidden": "true" }, `${MARKS[word]} `), speech.say(word)),
    element("p", {}, speech.say(`${word}Text`)),
  );
}

export function drawCountdown(speech, seconds) {
  const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  at("countdown").textContent = speech.say("hides", { time });
}

/** What is said about a field, and whether it stands in the way. */
export function drawNote(field, text, verdict) {
  const note = at(`${field}-note`);
  note.setAttribute("aria-live", verdict === "count" ? "off" : "polite");
  if (note.textContent !== text) note.textContent = text;
  note.className = `note ${verdict}`;
  at(field).setAttribute("aria-invalid", String(verdict === "bad"));
}

/** For those who hear the page. */
export function announce(text) {
  if (at("live").textContent !== text) at("live").textContent = text;
}

export function focusTitle() {
  at("state-title")?.focus();
}

function bar({ done, total }) {
  const attributes = { "aria-labelledby": "state-title" };
  return element("progress", total > 0 ? { ...attributes, max: String(total), value: String(done) } : attributes);
}

function button(speech, word, press, main = false) {
  const made = element("button", { type: "button", id: `do-${word}`, ...(main ? { class: "main" } : {}) }, speech.say(word));
  made.addEventListener("click", press);
  return made;
}
