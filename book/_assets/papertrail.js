// The site's only script of our own: the ledger's filters, and names for controls that the theme leaves unnamed.
(() => {
  const form = document.querySelector(".pt-filter");
  if (form) {
    const rows = [...document.querySelectorAll(".pt-claim")];
    const selects = [...form.querySelectorAll("select")];
    const apply = () => {
      let shown = 0;
      for (const row of rows) {
        row.hidden = selects.some((select) => select.value && row.dataset[select.dataset.filter] !== select.value);
        shown += !row.hidden;
      }
      form.querySelector("output").textContent = `${shown} of ${rows.length} rows`;
    };
    form.addEventListener("input", apply);
    form.hidden = false;
    // A permanent link must open its row whatever the filter says; going back restores what was chosen.
    const open = () => { if (location.hash) selects.forEach((select) => { select.value = ""; }); apply(); };
    addEventListener("hashchange", open);
    addEventListener("pageshow", open);
  }
})();
