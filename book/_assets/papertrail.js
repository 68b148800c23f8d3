// The site's only script of our own: the ledger's filter, tables that sort, formulas that keys can scroll, and paper.
(() => {
  const form = document.querySelector(".pt-filter");
  if (form) {
    const rows = [...document.querySelectorAll(".pt-claim")];
    const selects = [...form.querySelectorAll("select")];
    const sections = [...document.querySelectorAll("section:has(.pt-claim)")].filter((part) => !part.contains(form));
    const apply = () => {
      let shown = 0;
      for (const row of rows) {
        row.hidden = selects.some((select) => select.value && row.dataset[select.dataset.filter] !== select.value);
        shown += !row.hidden;
      }
      for (const section of sections) {
        section.hidden = !section.querySelector(".pt-claim:not([hidden])");
      }
      form.querySelector("output").textContent = `${shown} of ${rows.length} rows`;
    };
    form.addEventListener("input", apply);
    form.hidden = false;
    // A permanent link must open its row whatever the filter says; going back restores what was chosen.
    const open = () => {
      const wanted = location.hash && document.getElementById(location.hash.slice(1));
      if (location.hash) selects.forEach((select) => { select.value = ""; });
      const lost = wanted && wanted.closest("[hidden]");
      apply();
      if (lost) wanted.scrollIntoView();
    };
    addEventListener("hashchange", open);
    addEventListener("pageshow", open);
  }
})();

// A heading of a sortable table becomes a button: numbers or words, up, then down; empty cells stay last.
(() => {
  const text = (row, column) => row.cells[column].textContent.trim();
  const number = (cell) => Number(cell.replace("−", "-").replace(/[,%]/g, ""));
  for (const table of document.querySelectorAll("table.pt-sortable")) {
    const body = table.tBodies[0], headings = [...table.tHead.rows[0].cells];
    const sort = (column) => {
      const heading = headings[column], down = heading.getAttribute("aria-sort") === "ascending", rows = [...body.rows];
      const numeric = rows.every((row) => !text(row, column) || !Number.isNaN(number(text(row, column))));
      const order = numeric ? (a, b) => number(a) - number(b) : (a, b) => a.localeCompare(b, "en");
      rows.sort((one, other) => {
        const a = text(one, column), b = text(other, column);
        return a && b ? order(a, b) * (down ? -1 : 1) : !a - !b;
      });
      body.append(...rows);
      for (const each of headings) each.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    };
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      button.addEventListener("click", () => sort(column));
      heading.append(button);
    });
    const region = table.closest("[aria-label]");
    if (region) region.setAttribute("aria-label", `${region.getAttribute("aria-label")} (headings sort)`);
  }
})();

// A formula that is wider than the screen scrolls sideways, so the keyboard must reach it.
addEventListener("load", () => window.MathJax?.startup?.promise.then(() => {
  const reach = () => {
    for (const formula of document.querySelectorAll("mjx-container[display]")) {
      if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
      else formula.removeAttribute("tabindex");
    }
  };
  addEventListener("resize", reach);
  reach();
}));

// On paper there is no dark mode and nothing opens. Pages turn light, and what folds hold goes to the end of its article,
// so that no question has its answer right beneath it. After printing everything is put back.
(() => {
  const make = (name, text, kind) => {
    const element = document.createElement(name);
    if (text) element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };
  // Folds that follow one another belong to one question: the bold paragraph before them, or else their heading.
  const questions = (article) => [...article.querySelectorAll("details")]
    .filter((fold) => fold.previousElementSibling?.tagName !== "DETAILS")
    .map((fold) => {
      const folds = [];
      for (let next = fold; next?.tagName === "DETAILS"; next = next.nextElementSibling) folds.push(next);
      const before = fold.previousElementSibling, asks = before?.matches("p:has(> strong:first-child)") && before;
      const heading = fold.closest("section")?.querySelector("h1, h2, h3, h4")?.cloneNode(true);
      heading?.querySelector(".headerlink")?.remove();
      return { folds, name: (asks || heading)?.textContent.trim() ?? "" };
    });
  let undo = [];
  const unfold = (article) => {
    const asked = questions(article);
    if (!asked.length) return;
    const hints = asked.every(({ folds }) => folds.every((fold) => fold.querySelector("summary").textContent.trim() === "Hint"));
    const chinese = document.documentElement.lang.startsWith("zh"), title = chinese ? "答案" : hints ? "Hints" : "Answers";
    // The course as one document brings the section along, because its contents name it.
    let end = article.querySelector(":scope > .pt-answers");
    if (!end) {
      end = make("section", "", "pt-answers");
      end.id = "answers";
      end.append(make("h2", title));
    }
    for (const { folds, name } of asked) {
      const list = make("dl", "", "pt-answer");
      list.append(make("dt", name));
      for (const fold of folds) {
        const held = make("dd");
        if (!hints) held.append(make("em", fold.querySelector("summary").textContent.trim()));
        const inside = [...fold.childNodes], summary = inside.findIndex((child) => child.tagName === "SUMMARY");
        for (const node of inside.slice(summary + 1)) {
          held.append(node);
          undo.push(() => fold.append(node));
        }
        list.append(held);
        fold.classList.toggle("pt-hint", hints);
      }
      const note = make("p", "", "pt-paper-only"), place = hints ? "assignment" : "chapter";
      const link = make("a", chinese ? "答案在本章末尾。" : `${title}: at the end of this ${place}.`);
      link.href = `#${end.id}`;
      note.append(link);
      folds.at(-1).after(note);
      undo.push(() => note.remove());
      end.append(list);
    }
    article.append(end);
    undo.push(() => end.remove());
  };
  const nameSteps = (figure) => {
    const labels = figure.querySelectorAll(":scope > label"), frames = figure.querySelectorAll(":scope > .pt-frame");
    const { width, height } = frames[0].querySelector("svg").viewBox.baseVal;
    figure.classList.toggle("pt-tall-frames", height > width);
    const legend = figure.querySelector("legend");
    legend.dataset.steps = labels.length; // the style sheet says it in words, above the steps
    undo.push(() => legend.removeAttribute("data-steps"));
    for (const at of [0, frames.length - 1]) {
      const name = make("p", labels[at].textContent, "pt-paper-only pt-step");
      frames[at].prepend(name);
      undo.push(() => name.remove());
    }
  };
  addEventListener("beforeprint", () => {
    if (undo.length) return;
    const root = document.documentElement, theme = root.dataset.theme;
    if (theme) {
      root.dataset.theme = "light";
      undo.push(() => { root.dataset.theme = theme; });
    }
    for (const link of document.querySelectorAll(".bd-article a.external")) {
      link.classList.toggle("pt-says-address", link.textContent.includes("://"));
    }
    document.querySelectorAll(".bd-article").forEach(unfold);
    document.querySelectorAll(".pt-moving").forEach(nameSteps);
  });
  addEventListener("afterprint", () => {
    for (const step of undo) step();
    undo = [];
  });
})();

// Opened as a file, a page may not fetch others, so the search lists titles without the lines around the word.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
