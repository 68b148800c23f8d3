// The site's only script of our own: the ledger's filter, tables that sort, and wide formulas that keys can scroll.
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
