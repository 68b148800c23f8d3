// The site's only script of our own: the ledger's filter.
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
