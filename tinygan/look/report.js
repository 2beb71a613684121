const slider = document.querySelector("#moment"), frames = [...document.querySelectorAll(".frame")];
function show() {
  const now = frames[slider.value];
  for (const frame of frames) frame.hidden = frame !== now;
  for (const line of document.querySelectorAll(".now")) {
    line.setAttribute("x1", now.dataset.at);
    line.setAttribute("x2", now.dataset.at);
  }
  for (const value of document.querySelectorAll("[data-metric]"))
    value.textContent = now.dataset[value.dataset.metric] || "";
  document.querySelector("#step").textContent = now.dataset.step;
  slider.setAttribute("aria-valuetext", "step " + now.dataset.step);
}
if (slider) {
  slider.addEventListener("input", show);
  show();
}
