// What every page does: show district time, and look again when the server says that something changed.
// A page is whole without this file; it only keeps it fresh. No date of the browser is ever used for data.

const QUIET_MS = 400; // several events at once are one look
const body = document.body;

// --- district time -------------------------------------------------------------------------------

async function startClock(element) {
  const asked = performance.now();
  const answer = await fetch("/api/v1/clock", { credentials: "same-origin" });
  if (!answer.ok) return;
  const clock = await answer.json();
  const received = (asked + performance.now()) / 2;
  const locale = document.documentElement.lang === "zh" ? "zh-CN" : "en-GB";
  const pattern = new Intl.DateTimeFormat(locale, {
    timeZone: "UTC", year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
  });
  const show = () => {
    const passed = (performance.now() - received) * clock.speed;
    const local = clock.now_ms + passed + clock.utc_offset_s * 1000;
    element.textContent = `${pattern.format(local)} ${clock.zone}`;
  };
  show();
  setInterval(show, Math.max(100, Math.min(1000, 60000 / clock.speed)));
}

// --- looking again -------------------------------------------------------------------------------

function isBusy(region) {
  const active = document.activeElement;
  if (active !== null && region.contains(active) && active.matches("input, textarea, select")) return true;
  return Array.from(region.querySelectorAll("textarea, input:not([type=hidden])")).some((field) => field.value !== field.defaultValue);
}

function keepOpen(before, after) {
  for (const details of before.querySelectorAll("details[open][id]")) {
    const same = after.querySelector(`#${CSS.escape(details.id)}`);
    if (same !== null) same.open = true;
  }
}

async function lookAgain() {
  const answer = await fetch(location.href, { credentials: "same-origin", headers: { accept: "text/html" } });
  if (answer.redirected && new URL(answer.url).pathname !== location.pathname) {
    location.assign(answer.url); // the session ended
    return;
  }
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.title = fresh.title;
  for (const region of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(region.id);
    if (other === null || isBusy(region) || region.innerHTML === other.innerHTML) continue;
    const focused = region.contains(document.activeElement) ? document.activeElement.id : "";
    keepOpen(region, other);
    region.replaceChildren(...Array.from(other.childNodes, (node) => document.importNode(node, true)));
    if (focused !== "") document.getElementById(focused)?.focus();
  }
}

function startLive() {
  const state = document.getElementById("live-state");
  let waiting = null;
  const later = () => {
    waiting ??= setTimeout(() => {
      waiting = null;
      lookAgain().catch(() => {});
    }, QUIET_MS);
  };
  const source = new EventSource("/events");
  source.addEventListener("open", () => { state.hidden = true; });
  source.addEventListener("error", () => {
    state.hidden = false;
    later(); // the stream of a session that ended ends too: looking again leads to the sign-in
  });
  source.addEventListener("alerts", () => lookAgain().catch(() => {}));
  source.addEventListener("tick", () => {
    if (document.visibilityState !== "visible") return;
    later();
    document.dispatchEvent(new CustomEvent("kioskwatch:tick")); // charts.js listens
  });
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") later(); });
}

// --- small things --------------------------------------------------------------------------------

function closeMenus(event) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (event.type === "keydown" ? event.key === "Escape" : !menu.contains(event.target)) {
      menu.open = false;
      if (event.type === "keydown") menu.querySelector("summary").focus();
    }
  }
}

document.addEventListener("click", closeMenus);
document.addEventListener("keydown", closeMenus);
document.addEventListener("submit", (event) => {
  const sentence = event.target.dataset.confirm;
  if (sentence !== undefined && !window.confirm(sentence)) event.preventDefault();
});
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

if (body.dataset.signedIn === "yes") {
  startClock(document.getElementById("clock")).catch(() => {});
  if (body.dataset.still === undefined) startLive(); // a page of which each look is noted looks once
}
