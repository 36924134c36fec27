// Formulas are set some at a time, those in the window first, and between two batches the page answers its reader.
// MathJax waits for the promise that is returned here before it says that it is done.
(() => {
  const BATCH = 12;
  const rest = () => new Promise(resolve => setTimeout(resolve));

  const pageReady = async () => {
    const inSight = formula => {
      const { top, bottom } = formula.getBoundingClientRect();
      return bottom > 0 && top < innerHeight;
    };
    const formulas = [...document.querySelectorAll(".math")];
    const seen = formulas.filter(inSight), others = formulas.filter(formula => !seen.includes(formula));
    const order = [...seen, ...others];
    for (let at = 0; at < order.length; at += BATCH) {
      await MathJax.typesetPromise(order.slice(at, at + BATCH));
      await rest();
    }
    await MathJax.typesetPromise();  // what stands elsewhere, in the output of a cell
  };

  window.MathJax = { ...window.MathJax, startup: { ...window.MathJax?.startup, pageReady } };
})();
