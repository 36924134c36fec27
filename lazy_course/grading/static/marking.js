// The desk for marking by hand: keys, saving, formulas. The server checks every mark; this only carries them.
'use strict';

// Formulas are set in elements of the class "math" alone. No package that makes links, styles or classes is loaded, and
// none is fetched later; what stands outside the answer is set first, so that no \def of an answer changes it.
window.MathJax = {
  tex: {
    inlineMath: [['\\(', '\\)']], displayMath: [['\\[', '\\]']], processEnvironments: true, maxMacros: 1000,
    packages: ['base', 'ams', 'newcommand', 'boldsymbol', 'braket', 'cancel', 'cases', 'color', 'mathtools', 'noundefined',
      'textmacros', 'upgreek', 'verb'],
  },
  options: { ignoreHtmlClass: 'no-math', processHtmlClass: 'math', enableMenu: false },
  startup: {
    typeset: false,
    pageReady: async () => {
      await MathJax.typesetPromise([...document.querySelectorAll('.trusted')]);
      await MathJax.typesetPromise([...document.querySelectorAll('.answer')]);
      document.body.dataset.formulas = 'set';
    },
  },
};

const desk = document.querySelector('main.desk');
if (desk) {
  const points = document.getElementById('points');
  const comment = document.getElementById('comment');
  const state = document.getElementById('state');
  const most = Number(desk.dataset.outOf);
  let seen = { points: points.defaultValue, comment: comment.defaultValue };
  let waiting = 0;
  let chain = Promise.resolve(true);

  const now = () => ({ points: points.value.trim(), comment: comment.value.trim() });
  const number = (text) => text.replace(',', '.');
  const same = (one, other) => number(one.points) === number(other.points) && one.comment === other.comment;

  function say(words, kind) {
    state.textContent = words;
    state.className = `state ${kind}`;
    points.setAttribute('aria-invalid', String(kind === 'bad'));
  }

  async function send() {
    const given = now();
    if (same(given, seen)) return true;
    let answer;
    try {
      const reply = await fetch(desk.dataset.save, {
        method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ given, seen }), keepalive: true,
      });
      answer = await reply.json();
    } catch {
      say('Not saved: the command that serves this page does not answer. Start `lazy-course mark` again.', 'bad');
      return false;
    }
    if (answer.row) {
      seen = answer.row;
      say(`Not saved: the file was changed by somebody else; it now says ${answer.row.points || 'no'} points` +
        `${answer.row.comment ? `, “${answer.row.comment}”` : ''}. Save again to write yours over it.`, 'bad');
      return false;
    }
    if (answer.error) {
      say(`Not saved: ${answer.error}`, 'bad');
      return false;
    }
    seen = answer.saved;
    document.getElementById('progress').textContent = answer.progress;
    document.getElementById('notice')?.remove();
    say(seen.points ? 'Saved.' : 'Saved, without points yet.', 'good');
    return true;
  }

  // One save after another: each tells the server what the one before it left.
  function save() {
    clearTimeout(waiting);
    chain = chain.then(send, send);
    return chain;
  }

  function later() {
    clearTimeout(waiting);
    waiting = setTimeout(save, 700);
  }

  async function go(link) {
    const target = document.getElementById(link)?.getAttribute('href');
    if (target && await save()) location.assign(target);
  }

  function step(by) {
    if (!points.value && by < 0) return; // no mark is not zero points
    const value = Number(number(points.value)) || 0;
    points.value = String(Math.min(most, Math.max(0, value + by)));
    later();
  }

  const keys = {
    ArrowRight: () => go('next'), ArrowLeft: () => go('previous'), n: () => go('open'), Enter: () => go('open'),
    ArrowUp: (event) => step(event.shiftKey ? 0.5 : 1), ArrowDown: (event) => step(event.shiftKey ? -0.5 : -1),
    c: () => comment.focus(), r: () => document.querySelectorAll('details').forEach((part) => { part.open = !part.open; }),
  };

  document.addEventListener('keydown', (event) => {
    if (event.altKey || event.metaKey || event.isComposing) return;
    if (event.target === comment) {
      if (event.key === 'Escape') comment.blur();
      if (event.key === 'Enter' && event.ctrlKey) { event.preventDefault(); go('open'); }
      return;
    }
    if (event.target.closest('.answer') && /^Arrow(Up|Down)$/.test(event.key)) return; // it scrolls
    if (event.ctrlKey || (event.key === 'Enter' && event.target.closest('a, button, summary'))) return;
    if (event.target === points) {
      if (event.key === 'Escape') points.blur();
      if (!(event.key in keys)) return;
    } else if (/^[0-9.,]$/.test(event.key)) {
      points.value = '';
      points.focus();
      return;
    } else if (event.key === 'Backspace' || event.key === 'Delete') {
      points.value = '';
      later();
      return;
    }
    if (keys[event.key]) { event.preventDefault(); keys[event.key](event); }
  });

  for (const field of [points, comment]) {
    field.addEventListener('input', later);
    field.addEventListener('change', save);
  }
  for (const link of document.querySelectorAll('a')) {
    link.addEventListener('click', async (event) => {
      if (event.ctrlKey || event.shiftKey || event.metaKey) return;
      event.preventDefault();
      if (await save()) location.assign(link.href);
    });
  }
  document.getElementById('mine')?.addEventListener('click', (event) => {
    points.value = event.target.dataset.points;
    comment.value = event.target.dataset.comment;
    save();
  });
  document.addEventListener('visibilitychange', () => { if (document.hidden) save(); });
  window.addEventListener('beforeunload', (event) => { if (!same(now(), seen)) { save(); event.preventDefault(); } });
}
