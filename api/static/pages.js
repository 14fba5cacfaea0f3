// A double click on a slow line sends a form twice, and the second takes the place of the first: it finds the code used
// up, or opens a second request. So a button that was just pressed is not pressed again.
const AGAIN_AFTER_MS = 5000;
let pressed = new WeakMap();

document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  const button = event.submitter ?? event.target;
  if (event.timeStamp - pressed.get(button) < AGAIN_AFTER_MS) event.preventDefault();
  else pressed.set(button, event.timeStamp);
});

// Browsers keep whole pages for the back button, also what may not be stored. One that shows a recording is asked for
// anew: it may have been deleted, or its person logged out.
window.addEventListener("pageshow", (event) => {
  pressed = new WeakMap();
  if (event.persisted && document.querySelector("[data-recordings]")) {
    document.body.hidden = true;
    location.reload();
  }
});
