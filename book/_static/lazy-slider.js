// The figures with a slider (lazy_course/interactive.py). A still picture stands until a hand, a finger or the keyboard
// comes to the figure. Then plotly's script, which is large, runs; it was fetched from the book's own folder when the
// figure came near the window.
(() => {
  const own = document.currentScript.src;
  let script, ahead;

  const plotly = () => {
    script ??= new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = new URL("plotly.min.js", own).href;
      element.onload = () => resolve(window.Plotly);
      element.onerror = reject;
      document.head.append(element);
    });
    return script;
  };

  const fetchAhead = () => {
    if (ahead) return;
    ahead = document.createElement("link");
    Object.assign(ahead, { rel: "prefetch", as: "script", href: new URL("plotly.min.js", own).href });
    document.head.append(ahead);
  };

  const prepare = box => {
    const slider = box.querySelector("input"), shown = box.querySelector(".lazy-slider-value");
    const plot = box.querySelector(".lazy-slider-plot"), picture = box.querySelector(".lazy-slider-still");
    const values = JSON.parse(box.dataset.values);
    let drawing;

    const visible = groups => groups.map(group => group === -1 || group === Number(slider.value));

    const draw = async () => {
      const { data, layout, groups } = JSON.parse(box.querySelector("script[type='application/json']").textContent);
      const Plotly = await plotly();
      const seen = visible(groups);
      data.forEach((trace, i) => { trace.visible = seen[i]; });
      plot.hidden = false;
      await Plotly.newPlot(plot, data, layout, { displayModeBar: false, responsive: true });
      picture.hidden = true;
      const update = () => Plotly.restyle(plot, { visible: visible(groups) });
      slider.addEventListener("input", update);
      await update();  // the slider may have moved meanwhile
      box.dataset.drawn = "yes";
    };
    const start = () => { drawing ??= draw(); };

    slider.addEventListener("input", () => {
      shown.textContent = values[Number(slider.value)];
      slider.setAttribute("aria-valuetext", shown.textContent);
      start();
    });
    slider.disabled = false;
    for (const event of ["pointerenter", "pointerdown", "focusin"]) box.addEventListener(event, start, { once: true });
    new IntersectionObserver((entries, observer) => {
      if (entries.some(entry => entry.isIntersecting)) {
        observer.disconnect();
        fetchAhead();
      }
    }, { rootMargin: "600px" }).observe(box);
  };

  document.querySelectorAll(".lazy-slider").forEach(prepare);
})();
