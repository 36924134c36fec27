// Previews of statements, folding of proofs, and the notation at hand. No library, no other host.
(() => {
  "use strict";
  const root = new URL(document.documentElement.dataset.content_root || "./", location.href);
  const DELAY = 250, PRESS = 500;

  // --- What the build wrote for a page: id -> HTML (book/_sphinx/proof_reading.py) --------------------------------
  const loading = {};
  const previewsOf = (page) => loading[page] ??= new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = new URL(`_static/previews/${page}.js`, root);
    script.onload = () => resolve(window.lazyPreviews?.[page] ?? {});
    script.onerror = () => resolve({});
    document.head.append(script);
  });
  const pageOf = (url) => url.href.startsWith(root.href) && url.pathname.endsWith(".html")
    ? decodeURI(url.pathname.slice(root.pathname.length)).replace(/\.html$/, "") : null;
  const typeset = async (element) => {
    await window.MathJax?.startup?.promise;
    await window.MathJax?.typesetPromise?.([element]);
  };

  // --- The preview ----------------------------------------------------------------------------------------------
  const box = document.createElement("div");
  box.id = "lazy-preview";
  box.className = "lazy-preview bd-article d-print-none";
  box.setAttribute("role", "note");
  box.tabIndex = -1;
  box.hidden = true;
  let shownFor = null, wanted = null, timer = 0;

  const hide = () => {
    clearTimeout(timer);
    wanted = null;
    if (!shownFor) return;
    shownFor.removeAttribute("aria-describedby");
    shownFor = null;
    box.hidden = true;
  };
  const place = (link) => {
    const at = link.getClientRects()[0] ?? link.getBoundingClientRect(), gap = 8;
    const below = innerHeight - at.bottom - gap, above = at.top - gap, under = below >= Math.min(box.offsetHeight, above);
    box.style.maxHeight = `${Math.max(120, (under ? below : above) - gap)}px`;
    const left = Math.max(gap, Math.min(at.left, document.documentElement.clientWidth - box.offsetWidth - gap));
    box.style.left = `${left + scrollX}px`;
    box.style.top = `${(under ? at.bottom + gap : at.top - gap - box.offsetHeight) + scrollY}px`;
  };
  const show = async (link) => {
    if (shownFor === link) return;
    hide();
    wanted = link;
    const url = new URL(link.href), page = pageOf(url);
    const html = page && (await previewsOf(page))[decodeURIComponent(url.hash.slice(1))];
    if (!html || wanted !== link) return;
    box.innerHTML = html;
    box.setAttribute("aria-label", `Preview of ${link.textContent.trim()}`);
    box.style.visibility = "hidden";
    box.hidden = false;
    shownFor = link;
    await typeset(box);
    if (shownFor !== link) return;
    place(link);
    box.style.visibility = "";
    link.setAttribute("aria-describedby", box.id);
  };
  const soon = (action, wait = DELAY) => { clearTimeout(timer); timer = setTimeout(action, wait); };
  const linkAt = (target) => target.closest?.("article a.internal[href*='#']");

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const link = linkAt(event.target);
    if (link) soon(() => show(link));
    else if (box.contains(event.target)) clearTimeout(timer); // The pointer may go on to the preview and stay there.
    else if (shownFor !== document.activeElement) soon(hide);
    else clearTimeout(timer);
  });
  document.addEventListener("focusin", (event) => {
    const link = linkAt(event.target);
    if (link?.matches(":focus-visible")) soon(() => show(link), 0);
    // A finger that rests on a link focuses it, too.
    else if (!box.contains(event.target) && !(link && link === shownFor)) hide();
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  // A long press on a touch screen; the click and the menu that would follow it are swallowed once.
  let pressed = false;
  document.addEventListener("pointerdown", (event) => {
    pressed = false;
    if (box.contains(event.target)) return;
    if (event.pointerType !== "touch") return;
    hide();
    const link = linkAt(event.target);
    if (link) soon(() => { pressed = true; show(link); }, PRESS);
  });
  for (const type of ["pointerup", "pointermove"])
    document.addEventListener(type, (event) => {
      const still = type === "pointermove" && Math.hypot(event.movementX, event.movementY) < 4;
      if (event.pointerType === "touch" && !pressed && !still) clearTimeout(timer);
    });
  for (const type of ["click", "contextmenu"])
    document.addEventListener(type, (event) => {
      if (pressed && linkAt(event.target)) event.preventDefault();
      else if (type === "click" && !box.contains(event.target)) hide();
    });
  addEventListener("resize", hide);

  // --- Proofs fold ------------------------------------------------------------------------------------------------
  const foldable = () => document.querySelectorAll("article details");
  const prepareProofs = () => {
    for (const proof of document.querySelectorAll("article div.proof.admonition")) {
      const steps = [...proof.querySelectorAll(":scope > details.proof-step")];
      if (steps.length < 2) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "proof-fold d-print-none";
      const name = () => { button.textContent = steps.some((step) => step.open) ? "Fold the steps" : "Unfold the steps"; };
      button.addEventListener("click", () => {
        const open = !steps.some((step) => step.open);
        for (const step of steps) step.open = open;
        name();
      });
      for (const step of steps) step.addEventListener("toggle", name);
      name();
      proof.prepend(button);
    }
  };
  const unfoldTarget = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let at = target && target.parentElement; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  };
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...foldable()].filter((one) => !one.open);
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of closed) one.open = false; });
  addEventListener("hashchange", unfoldTarget);

  // --- Notation ---------------------------------------------------------------------------------------------------
  const openNotation = async (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    let dialog = document.getElementById("lazy-notation");
    if (!dialog) {
      dialog = document.createElement("dialog");
      dialog.id = "lazy-notation";
      dialog.className = "bd-article d-print-none";
      dialog.setAttribute("aria-label", "Notation");
      dialog.innerHTML = `<form method="dialog"><label>Find <input type="search" placeholder="norm, kernel, alpha"></label>
        <button>Close</button></form><div tabindex="0" role="region" aria-label="Table of symbols"></div>`;
      const table = dialog.querySelector("div"), field = dialog.querySelector("input");
      document.body.append(dialog);
      table.innerHTML = (await previewsOf("book/notation")).tables ?? "";
      const home = new URL("book/notation.html", root);
      for (const link of table.querySelectorAll("a[href]")) link.href = new URL(link.getAttribute("href"), home);
      for (const one of table.querySelectorAll("[id], .headerlink")) one.matches(".headerlink") ? one.remove() : one.removeAttribute("id");
      const rows = [...table.querySelectorAll("tbody tr")].map((row) => [row, row.textContent.toLowerCase()]);
      field.addEventListener("input", () => {
        const words = field.value.toLowerCase().trim();
        for (const [row, text] of rows) row.hidden = !text.includes(words);
      });
      field.addEventListener("keydown", (key) => { if (key.key === "Enter") key.preventDefault(); });
      dialog.addEventListener("click", (click) => { if (click.target === dialog) dialog.close(); });
      typeset(table);
    }
    hide();
    dialog.showModal();
  };

  document.body.append(box);
  prepareProofs();
  unfoldTarget();
  for (const button of document.querySelectorAll(".btn-notation-button")) button.addEventListener("click", openNotation);
})();
