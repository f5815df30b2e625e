// Two things that a page cannot do without a script: notice that the kiosk's state has changed, and that nobody is there.
"use strict";

const POLL_MS = 1000;
const body = document.body;
let asked = false; // a slip is being made: what comes back is the next page

function poll() {
  fetch(body.dataset.poll, { cache: "no-store" })
    .then((answer) => (answer.ok ? answer.json() : { key: null }))
    .then((state) => {
      if (!asked && state.key !== body.dataset.key) location.replace(state.key === null ? "/" : location.pathname);
    })
    .catch(() => {}) // the agent starts anew: ask again
    .finally(() => setTimeout(poll, POLL_MS));
}

function watchSilence(dialog) {
  const silence = Number(dialog.dataset.silenceS) * 1000;
  const warning = silence - Number(dialog.dataset.warnS) * 1000;
  let ask, end;
  function touched() {
    clearTimeout(ask);
    clearTimeout(end);
    if (dialog.open) dialog.close();
    ask = setTimeout(() => dialog.showModal(), warning);
    end = setTimeout(() => document.getElementById("leave").submit(), silence);
  }
  for (const kind of ["pointerdown", "keydown", "input"]) addEventListener(kind, touched, { passive: true });
  dialog.querySelector("button").addEventListener("click", touched);
  touched();
}

for (const form of document.querySelectorAll("form[data-wait]")) {
  form.addEventListener("submit", () => {
    asked = true;
    document.getElementById("waiting").hidden = false;
    for (const button of form.querySelectorAll("button")) button.disabled = true;
  });
}
if (body.dataset.poll) poll();
const still = document.getElementById("still");
if (still) watchSilence(still);
