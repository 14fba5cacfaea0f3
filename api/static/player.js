// Makes the drawn waveform a slider beside the browser's own player, and offers speeds. Without it, both still play.
const STEP = 5;
const LEAP = 30;

for (const player of document.querySelectorAll("[data-player]")) {
  const audio = player.querySelector("audio");
  const wave = player.querySelector("[data-wave]");
  const length = () => (Number.isFinite(audio.duration) ? audio.duration : Number(player.dataset.duration) / 1000);
  // Nothing is loaded before somebody presses play: loading is listening, and listening is written down.
  const seek = (seconds) => {
    audio.currentTime = Math.min(Math.max(seconds, 0), length());
    audio.dispatchEvent(new Event("timeupdate"));
  };
  if (wave) slider(player, audio, wave, length, seek);
  speeds(player.querySelector("[data-speeds]"), audio);
}

function slider(player, audio, wave, length, seek) {
  const cut = wave.querySelector(".cut");
  const width = wave.querySelector("svg").viewBox.baseVal.width;
  const units = player.dataset.units.split(",");
  const said = (seconds) => {
    const whole = Math.floor(seconds);
    const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    const words = parts.map((value, at) => (value || (at === 2 && whole < 1) ? `${value} ${units[at]}` : ""));
    return words.filter(Boolean).join(" ");
  };
  const show = () => {
    const total = length();
    cut.setAttribute("width", total ? (width * audio.currentTime) / total : 0);
    wave.setAttribute("aria-valuemax", Math.round(total));
    wave.setAttribute("aria-valuenow", Math.round(audio.currentTime));
    wave.setAttribute("aria-valuetext", `${said(audio.currentTime)} ${player.dataset.of} ${said(total)}`);
  };
  const at = (event) => {
    const box = wave.getBoundingClientRect();
    seek(((event.clientX - box.left) / box.width) * length());
  };
  const keys = {
    ArrowLeft: () => audio.currentTime - STEP,
    ArrowDown: () => audio.currentTime - STEP,
    ArrowRight: () => audio.currentTime + STEP,
    ArrowUp: () => audio.currentTime + STEP,
    PageDown: () => audio.currentTime - LEAP,
    PageUp: () => audio.currentTime + LEAP,
    Home: () => 0,
    End: () => length(),
  };

  wave.tabIndex = 0;
  wave.setAttribute("role", "slider");
  wave.setAttribute("aria-label", player.dataset.label);
  wave.setAttribute("aria-valuemin", "0");
  wave.classList.add("live");
  wave.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    wave.setPointerCapture(event.pointerId);
    at(event);
  });
  wave.addEventListener("pointermove", (event) => {
    if (wave.hasPointerCapture(event.pointerId)) at(event);
  });
  wave.addEventListener("keydown", (event) => {
    if (event.key === " ") {
      event.preventDefault();
      if (audio.paused) audio.play();
      else audio.pause();
    } else if (event.key in keys) {
      event.preventDefault();
      seek(keys[event.key]());
    }
  });
  for (const change of ["timeupdate", "seeking", "durationchange", "loadedmetadata"]) {
    audio.addEventListener(change, show);
  }
  show();
}

function speeds(group, audio) {
  group.hidden = false;
  const buttons = [...group.querySelectorAll("[data-speed]")];
  group.addEventListener("click", (event) => {
    const chosen = event.target.closest("[data-speed]");
    if (!chosen) return;
    audio.playbackRate = Number(chosen.dataset.speed);
    for (const button of buttons) button.setAttribute("aria-pressed", String(button === chosen));
  });
}
