// Says five minutes before a session ends that it will, with a button that keeps it open (WCAG 2.2.1), and when it has.
// The server says when; the clock on the wall is asked, since timers stand still while a computer sleeps.
const SOON_MS = 300_000;
const LOOK_EVERY_MS = 10_000;
const LOCALE = { da: "da-DK", en: "en-GB" }[document.documentElement.lang];

const region = document.querySelector("[data-ending]");
let end;
let said = "";

function say(what) {
  if (what === said) return;
  said = what;
  const words = region.querySelector(`template[data-say="${what}"]`)?.content.cloneNode(true);
  const time = words?.querySelector("time");
  if (time) time.textContent = new Date(end).toLocaleTimeString(LOCALE, { timeStyle: "short" });
  region.querySelector("[data-said]").replaceChildren(...(words ? [words] : []));
}

function look() {
  const left = end - Date.now();
  const listening = [...document.querySelectorAll("audio")].some((audio) => !audio.paused);
  if (left <= 0) say("over");
  else if (left > SOON_MS) say("");
  else if (said === "" && listening) stay();
  else if (said !== "last") say("soon");
}

async function stay() {
  const answer = await fetch(region.dataset.stay, { method: "POST" });
  if (!answer.ok) return say("over");
  end = Date.now() + Number(await answer.text()) * 1000;
  say(end - Date.now() > SOON_MS ? "" : "last"); // it ends all the same: a day's work is over, or the link is
}

if (region) {
  end = Date.now() + Number(region.dataset.ending) * 1000;
  region.addEventListener("click", (event) => event.target.closest("[data-keep]") && stay());
  document.addEventListener("visibilitychange", look);
  setInterval(look, LOOK_EVERY_MS);
  look();
}
