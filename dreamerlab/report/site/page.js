"use strict";
// What every part of the page uses: elements made of text, never of markup; the embedded records; files made here.

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  fill(made, attributes, children);
  return made;
}

function drawn(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  fill(made, attributes, children);
  return made;
}

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
}

const parsed = new Map();

// The record with an id as it was embedded, read once; null when there is none.
function record(id) {
  if (!parsed.has(id)) {
    const holder = document.getElementById(id);
    const fits = holder !== null && holder.type === "application/json";
    parsed.set(id, fits ? JSON.parse(holder.textContent) : null);
  }
  return parsed.get(id);
}

function isRecord(id) {
  return /^[HRE][0-9]{4,12}-[a-z0-9]{3}$/.test(id);
}

// A cell of a CSV file. A word that a spreadsheet would take for a formula gets an apostrophe in front.
function csvCell(value) {
  let text = value === null || value === undefined ? "" : String(value);
  if (/^[=@\t\r]|^[+-](?![0-9.])/.test(text)) text = "'" + text;
  return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

function saveCsv(name, rows) {
  const text = rows.map((row) => row.map(csvCell).join(",")).join("\n") + "\n";
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

// A number with as many digits as a reader needs; what is not finite keeps its name.
function shown(value) {
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2);
  return value.toLocaleString("en", { maximumSignificantDigits: size >= 1000 ? 6 : 4 });
}
