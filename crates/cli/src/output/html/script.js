
"use strict";
(() => {
  const form = document.getElementById("filters");
  const files = [...document.querySelectorAll(".file")].map((file) => ({
    file,
    path: file.querySelector("h3").textContent.toLowerCase(),
    articles: [...file.querySelectorAll("article")],
  }));
  const total = document.querySelectorAll("article").length;
  if (total === 0) return;
  const chosen = (name) =>
    new Set([...form.querySelectorAll(`input[name=${name}]:checked`)].map((box) => box.value));
  const filter = () => {
    const words = document.getElementById("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const rule = document.getElementById("rule").value;
    const severities = chosen("severity");
    const states = chosen("status");
    let n = 0;
    for (const { file, path, articles } of files) {
      let shown = 0;
      for (const article of articles) {
        const { severity, status, rule: code } = article.dataset;
        let fits = severities.has(severity) && states.has(status) && (rule === "" || rule === code);
        if (fits && words.length > 0) {
          const text = `${path} ${article.textContent.toLowerCase()}`;
          fits = words.every((word) => text.includes(word));
        }
        article.hidden = !fits;
        shown += fits;
      }
      file.hidden = shown === 0;
      n += shown;
    }
    document.getElementById("count").textContent = `${n} of ${total} shown`;
    document.getElementById("nothing").hidden = n > 0;
  };
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
})();
