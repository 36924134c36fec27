// The moving picture (lazy_course/moving.py): frames computed when the book was built, played once when they come into
// view. It stays still for readers who ask for little motion, until they press the button or move the slider.
(() => {
  const MILLISECONDS = 220;  // from one frame to the next
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  const prepare = box => {
    const { steps, scenes } = JSON.parse(box.querySelector("script[type='application/json']").textContent);
    const button = box.querySelector("button"), slider = box.querySelector("input");
    const shown = box.querySelector(".lazy-slider-value"), last = steps.length - 1;
    const parts = [...box.querySelectorAll(".lazy-moving-scene")].map(scene => ({
      trained: scene.querySelector(".trained"), twin: scene.querySelector(".twin"),
      ways: [...scene.querySelectorAll("line")], neurons: [...scene.querySelectorAll(".neuron")],
    }));
    let place = last, playing = false, before;

    const between = (rows, at) => {
      const low = Math.floor(at), share = at - low, next = rows[Math.min(low + 1, last)];
      return (i, j) => j === undefined ? rows[low][i] + share * (next[i] - rows[low][i])
        : rows[low][i][j] + share * (next[i][j] - rows[low][i][j]);
    };

    const show = at => {
      place = at;
      scenes.forEach((scene, s) => {
        for (const name of ["trained", "twin"]) {
          const y = between(scene[name], at);
          parts[s][name].setAttribute("points", scene.x.map((x, i) => `${x},${Math.round(y(i))}`).join(" "));
        }
        const neuron = between(scene.neurons, at);
        parts[s].neurons.forEach((circle, i) => {
          const x = Math.round(neuron(i, 0)), y = Math.round(neuron(i, 1));
          circle.setAttribute("cx", x); circle.setAttribute("cy", y);
          parts[s].ways[i].setAttribute("x2", x); parts[s].ways[i].setAttribute("y2", y);
        });
      });
      const nearest = Math.round(at);
      slider.value = nearest;
      shown.textContent = steps[nearest];
      slider.setAttribute("aria-valuetext", steps[nearest]);
    };

    const say = () => { button.textContent = playing ? "Pause" : place >= last ? "Play again" : "Play"; };
    const frame = now => {
      if (!playing) return;
      show(Math.min(place + (now - (before ?? now)) / MILLISECONDS, last));
      before = now;
      if (place >= last) { playing = false; say(); } else { requestAnimationFrame(frame); }
    };
    const play = () => {
      if (place >= last) show(0);
      playing = true; before = undefined;
      say();
      requestAnimationFrame(frame);
    };
    const pause = () => { playing = false; say(); };

    button.addEventListener("click", () => playing ? pause() : play());
    slider.addEventListener("input", () => { const at = Number(slider.value); pause(); show(at); say(); });
    still.addEventListener("change", () => { if (still.matches) pause(); });
    addEventListener("beforeprint", () => { pause(); show(last); });
    button.disabled = slider.disabled = false;
    say();
    if (still.matches) return;
    new IntersectionObserver((entries, observer) => {
      if (!entries.some(entry => entry.isIntersecting)) return;
      observer.disconnect();
      if (!playing && place >= last) play();
    }, { threshold: 0.4 }).observe(box);
  };

  document.querySelectorAll(".lazy-moving").forEach(prepare);
})();
