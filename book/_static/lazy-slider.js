// The figures with a slider (lazy_course/interactive.py). The control answers at once; plotly's script, which is large,
// is asked for once, from the book's own folder, when a figure comes near the window or its slider is used.
(() => {
  const own = document.currentScript.src;
  let script;

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
    new IntersectionObserver((entries, observer) => {
      if (entries.some(entry => entry.isIntersecting)) {
        observer.disconnect();
        start();
      }
    }, { rootMargin: "600px" }).observe(box);
  };

  document.querySelectorAll(".lazy-slider").forEach(prepare);
})();
