// Slides start once their formulas are set, because hidden ones cannot be measured.
const fill = () => {
  // The frames of a moving figure are as high as its steps leave room; a hidden slide has no heights.
  const figure = Reveal.getCurrentSlide().querySelector(".pt-below .pt-moving"), frame = figure?.querySelector(".pt-frame");
  if (!figure || figure.style.getPropertyValue("--pt-left")) return;
  const shown = figure.querySelector("input:checked ~ .pt-frame:not([hidden])") ?? frame;
  figure.style.setProperty("--pt-left", `${figure.parentElement.clientHeight - (shown.offsetTop - figure.parentElement.offsetTop) - 4}px`);
};
addEventListener("DOMContentLoaded", () => window.MathJax.startup.promise.then(() => {
  Reveal.initialize({
    width: 1280, height: 720, margin: 0, center: false, hash: true, slideNumber: "c/t", transition: "none",
    controlsTutorial: false, plugins: [RevealNotes],
  }).then(fill);
  Reveal.on("slidechanged", fill);
}));
// A step of a moving figure that was clicked keeps the arrow keys. Escape gives them back; a presenter's keys always turn.
addEventListener("keydown", (event) => {
  if (!event.target.matches?.(".pt-moving > input")) return;
  if (!["Escape", "PageDown", "PageUp"].includes(event.key)) return;
  event.target.blur();
  event.stopPropagation();
  event.preventDefault();
  if (event.key === "PageDown") Reveal.next();
  if (event.key === "PageUp") Reveal.prev();
}, true);
