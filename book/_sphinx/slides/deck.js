// One slide at a time, moved by keys, buttons, wheel-less touch and the address (#slide-3); all of them with A.
(() => {
  const slides = [...document.querySelectorAll(".slide")], all = document.querySelector("[data-all]");
  const wide = matchMedia("(min-width: 701px)");
  let at = 0, together = false;

  const fit = slide => {  // the largest size at which nothing is cut off
    const box = slide.querySelector(".fit"), room = () => slide.clientHeight - 40;
    const fits = () => box.offsetTop + box.scrollHeight <= room() &&
      [box, ...box.querySelectorAll("div.math")].every(one => one.scrollWidth <= one.clientWidth + 1);
    let size = 1.25;
    box.style.setProperty("--fit", size);
    while (!fits() && size > 0.45) box.style.setProperty("--fit", (size -= 0.05).toFixed(2));
  };

  const show = (to, focus) => {
    at = Math.max(0, Math.min(slides.length - 1, to));
    const presenting = wide.matches && !together;
    document.body.classList.toggle("presenting", presenting);
    slides.forEach((slide, index) => slide.classList.toggle("now", index === at));
    if (presenting) fit(slides[at]); else slides[at].scrollIntoView();
    if (location.hash !== `#${slides[at].id}`) history.replaceState(null, "", `#${slides[at].id}`);
    if (focus) slides[at].focus({preventScroll: true});
  };
  const toggle = () => {
    together = !together;
    all.setAttribute("aria-pressed", together);
    document.querySelectorAll(".fit").forEach(box => box.style.removeProperty("--fit"));
    show(at, true);
  };
  const named = () => Math.max(0, slides.findIndex(slide => `#${slide.id}` === location.hash));

  const moves = {ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1};
  addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target.closest("button, a")) return;
    if (event.key === "a" || event.key === "A") return toggle();
    if (event.key === "f" || event.key === "F") return void document.documentElement.requestFullscreen?.();
    if (together || !wide.matches) return;
    const to = event.key === "Home" ? 0 : event.key === "End" ? slides.length - 1 : at + (moves[event.key] ?? NaN);
    if (Number.isNaN(to)) return;
    event.preventDefault();
    show(to, true);
  });
  document.querySelectorAll("[data-move]").forEach(button =>
    button.addEventListener("click", () => show(at + Number(button.dataset.move))));
  all.addEventListener("click", toggle);
  let start = null;
  addEventListener("touchstart", event => { start = event.changedTouches[0].clientX; }, {passive: true});
  addEventListener("touchend", event => {
    const way = event.changedTouches[0].clientX - start;
    if (!together && wide.matches && Math.abs(way) > 60) show(at - Math.sign(way));
  });
  addEventListener("hashchange", () => show(named()));
  addEventListener("resize", () => show(at));
  const ready = () => { show(named()); document.documentElement.dataset.ready = "true"; };
  // Formulas and pictures have their sizes first.
  Promise.all([window.MathJax?.startup?.promise, document.fonts.ready,
    ...[...document.images].map(image => image.decode().catch(() => {}))]).then(ready);
})();
