// The page of one record, made when it is asked for: a hypothesis or an entry in its own words, a run from its data.

function recordLink(id) {
  return element("a", { href: "#" + id }, id);
}

function dataTable(caption, heads, rows, numbers = []) {
  const cell = (value, at) => element(at ? "td" : "th", { scope: at ? null : "row", class: numbers.includes(at) ? "num" : null }, value === null ? "–" : value instanceof Node ? value : String(value));
  return element("div", { class: "wide", tabindex: 0, role: "region", "aria-label": caption },
    element("table", {}, element("caption", {}, caption),
      element("thead", {}, element("tr", {}, heads.map((head, at) => element("th", { scope: "col", class: numbers.includes(at) ? "num" : null }, head)))),
      element("tbody", {}, rows.map((row) => element("tr", {}, row.map(cell))))));
}

function folded(words, ...content) {
  return element("details", {}, element("summary", {}, words), ...content);
}

// Words of a hypothesis or an entry; they come as HTML that was made safe when the file was written.
function toldPage(found) {
  const page = element("div");
  page.innerHTML = found.html;
  const holder = page.querySelector("span.curves");
  const runs = (found.arms || []).map(record).filter((run) => run !== null && !run.fault);
  if (holder !== null) {
    const labels = runs.map((run, nth) => `${run.id}, ${run.id === found.arms[1] || found.arms.length === 1 ? "baseline" : "with the change"}`);
    holder.parentElement.replaceWith(runs.length ? new Chart(runs, labels).node : element("p", {}, "Its runs are not in this file."));
  }
  return page;
}

function runPage(run) {
  const page = element("div", {}, element("h2", {}, `Run ${run.id}`));
  if (run.fault) {
    page.append(element("p", { class: "damage" }, `The record is damaged and cannot be read: ${run.fault}`));
    return page;
  }
  if (run.faults.length) page.append(element("div", { class: "damage" }, element("p", {}, "Part of the record is damaged:"), element("ul", {}, run.faults.map((line) => element("li", {}, line)))));
  const facts = run.facts.flatMap(([name, words]) => [element("dt", {}, name), element("dd", {}, isRecord(words) ? recordLink(words) : words)]);
  page.append(element("dl", { class: "facts" }, facts));
  if (run.serves.length) page.append(element("ul", {}, run.serves.map(([id, part]) => element("li", {}, `${part} in `, recordLink(id)))));
  page.append(element("h3", {}, "Scores"));
  const mean = run.mean;
  page.append(element("p", {}, mean ? `Mean ${mean.words} over ${mean.n} seed${mean.n === 1 ? "" : "s"}${mean.interval ? `, 95 % interval ${mean.interval}` : ", no interval can be given"}.` : "No mean: not every declared seed has a score."));
  page.append(dataTable(`Every seed: ${run.score}`, ["seed", "state", "score", "remark", "env steps", "updates", "training time", "attempts"], run.seeds, [2, 4, 5, 6, 7]));
  page.append(element("h3", {}, "Curves"), new Chart([run], [run.id]).node);
  if (run.left_out) page.append(element("p", { class: "remark" }, "Only the evaluations that make the score had room in this file."));
  page.append(...findingsOf(run));
  if (run.films.length) page.append(element("h3", {}, "Films"), ...run.films.map(film));
  const pool = record("pool").rows;
  const config = run.config.map((at) => pool[at]);
  const chosen = config.filter((row) => row[2] !== "default");
  page.append(element("h3", {}, "Settings"));
  if (chosen.length) page.append(dataTable("Set by a file, the command line or the hypothesis", ["key", "value", "where it comes from"], chosen));
  page.append(folded(`All ${config.length} values with their origins`, dataTable("All values", ["key", "value", "where it comes from"], config)));
  page.append(element("h3", {}, "Where it comes from"), dataTable("Code and machine", ["what", "value"], run.provenance.map((at) => pool[at])));
  return page;
}

function film(one) {
  if (!one.src) return element("p", {}, `${one.name} is not in this file: ${one.left_out}.`);
  const words = `${one.name}: a film of the agent`;
  const shownFilm = one.type.startsWith("video") ? element("video", { controls: true, src: one.src, "aria-label": words }) : element("img", { src: one.src, alt: words });
  return element("figure", { class: "film" }, shownFilm, element("figcaption", {}, one.name));
}
