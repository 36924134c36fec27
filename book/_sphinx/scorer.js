// How the search orders what it finds: the defaults of Sphinx, but the reference of the package comes last.
// A term of the theory stands in the names and docstrings of dozens of functions, and they would hide the chapter.
var Scorer = {
  score: ([docname, title, anchor, descr, score, filename]) => docname.startsWith("book/api/") ? score - 100 : score,
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
