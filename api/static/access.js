// The landing page: the token stands in the address behind the #, which browsers never send.
// It goes into the form, and the field for pasting it goes out of sight. Nothing is sent before a press.
const form = document.querySelector("[data-landing]");

function take() {
  const token = location.hash.slice(1);
  if (!form || !/^[A-Za-z0-9_-]{20,200}$/.test(token)) return;
  form.querySelector("input[name=token]").value = token;
  form.querySelector("[data-paste]").hidden = true;
}

take();
window.addEventListener("hashchange", take); // a newer link, pasted where the page is open already
