"use strict";
// Sorting and filtering of tables, and figures that answer to the pointer. Everything is readable without it.

// ---- tables ----
function sortBy(table, column, button) {
  const head = button.closest("th");
  const down = head.getAttribute("aria-sort") !== "descending";
  for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const key = (row) => (column ? parseFloat(row.cells[column].dataset.v) : row.cells[0].textContent.trim());
  const order = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (!column) return down ? y.localeCompare(x) : x.localeCompare(y);
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y); // gaps stay at the end
    return down ? y - x : x - y;
  };
  body.append(...[...body.rows].sort(order));
}

function makeSortable(table) {
  let column = 0;
  const heads = table.tHead.querySelectorAll("th:not(.group)");
  heads.forEach((head) => {
    const own = column++;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sortBy(table, own, button));
    head.append(button);
  });
}

function makeFilterable(tools) {
  const table = document.getElementById(tools.dataset.table);
  const words = tools.querySelector("input");
  const group = tools.querySelector("select");
  const count = tools.querySelector("output");
  const apply = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.cells[0].textContent.toLowerCase();
      const hit = wanted.every((word) => text.includes(word));
      row.hidden = !hit || Boolean(group && group.value && row.dataset.tag !== group.value);
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${table.tBodies[0].rows.length} methods`;
  };
  words.addEventListener("input", apply);
  if (group) group.addEventListener("change", apply);
  tools.hidden = false;
  apply();
}

// ---- figures ----
const hidden = new Set(); // names of methods that no figure shows
const plots = [];
const NEAR = 30; // CSS pixels within which a point answers

function setUpPlot(element) {
  const data = JSON.parse(element.querySelector("script").textContent);
  const svg = element.querySelector("svg");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  element.append(tip);
  const plot = { element, svg, data };
  plots.push(plot);
  element.addEventListener("pointermove", (event) => point(plot, tip, event));
  element.addEventListener("pointerleave", () => { tip.hidden = true; });
  element.addEventListener("click", (event) => {
    const part = event.target.closest("[data-series]");
    if (part) toggle(data.methods[part.dataset.series]);
  });
}

function point(plot, tip, event) {
  const box = plot.svg.getBoundingClientRect();
  const scale = box.width / plot.svg.viewBox.baseVal.width;
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  let best = null;
  let least = NEAR * NEAR;
  for (const found of plot.data.points) {
    if (hidden.has(plot.data.methods[found[0]])) continue;
    const away = (found[1] * scale - x) ** 2 + (found[2] * scale - y) ** 2;
    if (away < least) [best, least] = [found, away];
  }
  tip.hidden = !best;
  if (!best) return;
  const name = document.createElement("strong");
  name.textContent = plot.data.methods[best[0]];
  tip.replaceChildren(name, document.createElement("br"), best[3]);
  const left = Math.min(Math.max(0, best[1] * scale - tip.offsetWidth / 2), box.width - tip.offsetWidth);
  tip.style.left = `${left}px`;
  const above = best[2] * scale - tip.offsetHeight - 10;
  tip.style.top = `${above > 0 ? above : best[2] * scale + 12}px`;
}

function toggle(name) {
  if (!hidden.delete(name)) hidden.add(name);
  show();
}

function show() {
  for (const plot of plots) {
    for (const part of plot.svg.querySelectorAll("[data-series]")) {
      part.classList.toggle("off", hidden.has(plot.data.methods[part.dataset.series]));
    }
  }
  for (const chip of document.querySelectorAll(".chips button[data-name]")) {
    chip.setAttribute("aria-pressed", String(!hidden.has(chip.dataset.name)));
  }
}

function makeChips(box) {
  const own = plots.filter((plot) => box.closest("section").contains(plot.element));
  const names = [...new Set(own.flatMap((plot) => Object.values(plot.data.methods)))].sort();
  if (names.length < 2) return;
  const chip = (text, action) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", action);
    box.append(button);
    return button;
  };
  for (const name of names) chip(name, () => toggle(name)).dataset.name = name;
  chip("show all", () => { hidden.clear(); show(); }).className = "all";
  chip("hide all", () => { names.forEach((name) => hidden.add(name)); show(); }).className = "all";
  box.closest("details").hidden = false;
}

// ---- links into closed parts ----
function reveal() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  target.scrollIntoView();
}

document.querySelectorAll("table[data-sortable]").forEach(makeSortable);
document.querySelectorAll(".tools").forEach(makeFilterable);
document.querySelectorAll(".plot").forEach((element) => { if (element.querySelector("script")) setUpPlot(element); });
document.querySelectorAll(".chips").forEach(makeChips);
show();
window.addEventListener("hashchange", reveal);
reveal();
