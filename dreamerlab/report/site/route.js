// What the address asks for: #H0007-k3f a record, #hypotheses?verdict=SUPPORTED a table as it was filtered, #lineage a part.

const overview = document.getElementById("overview");
const place = document.getElementById("record");
const tables = new Map(["hypotheses", "runs"].map((name) => [name, new RecordTable(name)]));
const title = document.title;

function showRecord(id) {
  const found = record(id);
  const page = found === null ? element("div", {}, element("h2", {}, id), element("p", {}, "There is no such record in this file.")) : id.startsWith("R") ? runPage(found) : toldPage(found);
  const back = element("p", { class: "no-print" }, element("a", { href: "#" + (id.startsWith("R") ? "runs" : id.startsWith("E") ? "notes" : "hypotheses") }, "← Back to the overview"));
  place.replaceChildren(back, page);
  place.hidden = false;
  overview.hidden = true;
  const heading = page.querySelector("h2");
  document.title = `${heading ? heading.textContent : id} – ${title}`;
  if (heading) { heading.tabIndex = -1; heading.focus({ preventScroll: true }); }
  window.scrollTo({ top: 0, behavior: "instant" });
}

function route() {
  const [name, query] = location.hash.slice(1).split(/\?(.*)/s);
  if (isRecord(name)) { showRecord(name); return; }
  place.hidden = true;
  place.replaceChildren();
  overview.hidden = false;
  document.title = title;
  if (tables.has(name) && query !== undefined) tables.get(name).restore(query);
  const target = name && document.getElementById(name);
  if (target) target.scrollIntoView({ behavior: "instant" });
}

// A report that is followed is loaded again, where it was scrolled to; not while somebody types or reads values.
function reloadLater() {
  const live = document.getElementById("live");
  if (!live || !live.dataset.every) return;
  setTimeout(() => {
    if (document.activeElement && document.activeElement.matches("input, select")) reloadLater();
    else { keep(window.scrollY); location.reload(); }
  }, 1000 * live.dataset.every);
}

// How far the page was scrolled before it loaded itself again; browsers that keep nothing for a file start at the top.
function keep(scrolled) {
  try { sessionStorage.setItem("scrolled", scrolled); } catch { /* not allowed here */ }
}

function scrollBack() {
  try {
    const scrolled = sessionStorage.getItem("scrolled");
    sessionStorage.removeItem("scrolled");
    if (scrolled !== null) setTimeout(() => window.scrollTo({ top: Number(scrolled), behavior: "instant" }));
  } catch { /* not allowed here */ }
}

window.addEventListener("hashchange", route);
route();
scrollBack();
reloadLater();
