// Tables that filter and sort. What is chosen stands in the address, so that a view can be sent on and gone back to.

class RecordTable {
  constructor(name) {
    this.name = name;
    this.form = document.getElementById(name + "-filter");
    this.table = document.getElementById(name + "-table");
    this.body = this.table.tBodies[0];
    this.rows = [...this.body.rows].map((row, place) => ({ row, place, words: null }));
    this.count = this.form.querySelector("[role=status]");
    this.heads = [...this.table.tHead.rows[0].cells];
    this.sort = null;
    this.down = false;
    this.timer = 0;
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.changed(), 80);
    });
    this.form.addEventListener("reset", () => setTimeout(() => { this.sort = null; this.changed(); }));
    this.form.querySelector(".csv").addEventListener("click", () => this.save());
    for (const head of this.heads) head.firstElementChild.addEventListener("click", (event) => this.sortBy(event.currentTarget.dataset.sort));
  }

  // Everything chosen, as the part of the address after `?`.
  state() {
    const chosen = new URLSearchParams();
    for (const [name, value] of new FormData(this.form)) if (value) chosen.set(name, value);
    if (this.sort) chosen.set("sort", (this.down ? "-" : "") + this.sort);
    return chosen.toString();
  }

  restore(text) {
    const chosen = new URLSearchParams(text);
    for (const field of this.form.elements) if (field.name) field.value = chosen.get(field.name) || "";
    const sort = chosen.get("sort") || "";
    const key = sort.replace(/^-/, "");
    this.sort = this.heads.some((head) => head.firstElementChild.dataset.sort === key) ? key : null;
    this.down = sort.startsWith("-");
    this.show();
  }

  changed() {
    this.show();
    const state = this.state();
    history.replaceState(null, "", "#" + this.name + (state ? "?" + state : ""));
  }

  sortBy(key) {
    this.down = this.sort === key && !this.down;
    this.sort = key;
    this.changed();
  }

  show() {
    const words = this.form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = [...this.form.elements].filter((field) => field.tagName === "SELECT" && field.value);
    let left = 0;
    for (const one of this.rows) {
      if (words.length && one.words === null) one.words = one.row.textContent.toLowerCase();
      const fits = chosen.every((field) => one.row.dataset[field.name] === field.value) && words.every((word) => one.words.includes(word));
      one.row.hidden = !fits;
      left += fits;
    }
    const all = this.rows.length;
    const noun = all === 1 ? { hypotheses: "hypothesis", runs: "run" }[this.name] : this.name;
    const text = left === all ? `${all} ${noun}` : `${left} of ${all} ${noun}`;
    if (this.count.textContent !== text) this.count.textContent = text;
    this.order();
  }

  order() {
    const column = this.heads.findIndex((head) => head.firstElementChild.dataset.sort === this.sort);
    this.heads.forEach((head, at) => head.setAttribute("aria-sort", at !== column ? "none" : this.down ? "descending" : "ascending"));
    const key = (one) => one.row.cells[column].dataset.v ?? one.row.cells[column].textContent.trim();
    const sorted = column < 0 ? [...this.rows] : this.rows.map((one) => ({ one, key: key(one) })).sort((a, b) => this.compare(a, b)).map((pair) => pair.one);
    if (sorted.some((one, at) => this.body.rows[at] !== one.row)) this.body.append(...sorted.map((one) => one.row));
  }

  // Empty cells come last whichever way; numbers by size, words by letter, equal ones as they were.
  compare(a, b) {
    if (!a.key || !b.key) return a.key === b.key ? a.one.place - b.one.place : a.key ? -1 : 1;
    const numbers = [Number(a.key), Number(b.key)];
    const by = numbers.some(Number.isNaN) ? a.key.localeCompare(b.key) : numbers[0] - numbers[1];
    return (this.down ? -by : by) || a.one.place - b.one.place;
  }

  save() {
    const words = (cell) => [...cell.childNodes].map((node) => node.textContent.trim()).filter(Boolean).join(" | ");
    const rows = [...this.body.rows].filter((row) => !row.hidden).map((row) => [...row.cells].map(words));
    saveCsv(this.name + ".csv", [this.heads.map((head) => head.textContent.trim()), ...rows]);
  }
}
