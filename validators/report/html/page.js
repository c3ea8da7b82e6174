"use strict";
// The page's data are strangers' texts: they reach the document as text nodes and attributes, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");
const count = (number, word) => `${whole.format(number)} ${word}${number === 1 ? "" : "s"}`;
const percent = (part, all) => (all ? `${((part * 100) / all).toPrecision(part * 10 >= all ? 3 : 2)} %` : "");
const NONE = -1;
const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "shade") element.style.setProperty("--shade", `var(--${value})`);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

function drawing(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const chip = (word) => make("span", { class: "chip", shade: word }, word);
const severityOf = (findings, index) => data.severities[findings.severity[index]];

// ---------------------------------------------------------------------------------------------------------- state

const view = {
  target: null, // one of data.targets
  mode: "findings",
  shown: [], // indices into the target's findings or rows, filtered
  at: 0, // position in `shown`
  rowsByPlace: new Map(), // "file:row" → index into target.rows
  findingsByPlace: new Map(), // "file:row" → indices of findings, for rows that are shown
};

const placeOf = (file, row) => `${file}:${row}`;

/** Texts in lower case, for searching; made once, when first asked for. */
const lowered = (() => {
  let texts = null;
  return () => (texts ??= data.texts.map((text) => text.toLowerCase()));
})();

/** What is searched of each shown row: file, texts, paths. */
function rowTexts(target) {
  return (target.rowTexts ??= target.rows.map((row) =>
    [data.texts[row.file], ...row.turns.map((turn) => turn[1]), ...row.media.map((medium) => medium[1])].join("\n").toLowerCase(),
  ));
}

// -------------------------------------------------------------------------------------------------------- summary

function showSummary(target) {
  const rows = (word, number) => `${word} ${count(number, "row")}`;
  const counted = target.datasets.reduce((sum, each) => sum + each.counted, 0);
  const sum = (name) => target.datasets.reduce((total, each) => total + each[name], 0);
  const verdict = target.stops ? "The run would stop before its first step. " : "";
  const figures = [
    ["Rows in", whole.format(target.rowsIn), count(target.datasets.length, "dataset")],
    ["Reach the loss", whole.format(target.rowsReaching), percent(target.rowsReaching, target.rowsIn)],
    ["Tokens in", counted ? whole.format(sum("tokens")) : "–", counted ? rows("in", counted) : "not counted"],
    ["Media tokens", counted ? whole.format(sum("media")) : "–", counted ? percent(sum("media"), sum("tokens")) : ""],
    ["Supervised tokens", counted ? whole.format(sum("supervised")) : "–", counted ? "after truncation" : ""],
  ];
  $("summary").replaceChildren(
    make("h1", {}, target.target),
    make(
      "p",
      { class: "facts" },
      make("span", {}, target.trainer),
      make("span", {}, target.template ? `template ${target.template}` : "no template"),
      make("span", {}, `cutoff_len ${whole.format(target.cutoff)}`),
    ),
    make("p", { class: "verdict", shade: target.passes ? "trained" : target.counts[0] ? "error" : "warning" }, verdict + target.verdict),
    target.datasets.length
      ? make("dl", { class: "figures" }, ...figures.map(([name, value, more]) =>
          make("div", { class: "figure" }, make("dt", {}, name), make("dd", {}, value, make("small", {}, more || "\u00a0")))))
      : "",
    ...[target.gates, target.knobs].filter((lines) => lines.length).map((lines) => make("ul", { class: "remarks" }, ...lines.map((text) => make("li", {}, text)))),
  );
}

function showDatasets(target) {
  $("datasets").hidden = !target.datasets.length;
  $("waterfalls").replaceChildren(...target.datasets.map((dataset) => {
    const parts = data.outcomes.map((name, index) => [name, dataset.outcomes[index]]).filter(([, rows]) => rows);
    const stack = make("div", { class: "stack", "aria-hidden": "true" }, ...parts.map(([name, rows]) => {
      const part = make("i", { shade: name, title: `${name}: ${count(rows, "row")}` });
      part.style.flexGrow = rows;
      return part;
    }));
    const tokens = dataset.counted
      ? `${whole.format(dataset.tokens)} tokens, ${whole.format(dataset.media)} of media, ${whole.format(dataset.supervised)} supervised`
      : "tokens not counted";
    return make(
      "article",
      { class: "waterfall" },
      make(
        "header",
        {},
        make("h3", {}, dataset.name, dataset.evaluates ? " (evaluation)" : ""),
        make("p", { class: "through" }, `${count(dataset.rows, "row")} in → `, make("b", {}, whole.format(dataset.reaching)), " reach the loss"),
      ),
      stack,
      make(
        "p",
        { class: "legend" },
        ...parts.map(([name, rows]) => make("span", { class: "key", shade: name }, `${name} ${whole.format(rows)}`)),
        make("span", { class: "tokens" }, tokens),
      ),
    );
  }));
}

// -------------------------------------------------------------------------------------------------------- lengths

const BINS = 80;
let chart = null; // what is plotted: see readLengths

/** Sorted lengths with the number of rows beyond each, and the supervised tokens under each tried cutoff_len. */
function readLengths(datasets) {
  const rows = new Map();
  for (const dataset of datasets) {
    let length = 0;
    dataset.lengths.steps.forEach((step, index) => {
      length += step;
      rows.set(length, (rows.get(length) ?? 0) + dataset.lengths.rows[index]);
    });
  }
  const lengths = [...rows.keys()].sort((left, right) => left - right);
  const beyond = new Array(lengths.length + 1).fill(0); // beyond[i]: rows of lengths[i] and longer
  for (let index = lengths.length - 1; index >= 0; index--) beyond[index] = beyond[index + 1] + rows.get(lengths[index]);
  const curves = datasets.filter((dataset) => dataset.lengths.cutoffs.length).map((dataset) => dataset.lengths);
  const cutoffs = curves.length ? curves[0].cutoffs : [];
  const supervised = cutoffs.map((_, index) => curves.reduce((sum, curve) => sum + curve.supervised[index], 0));
  return { lengths, rows, beyond, all: beyond[0], cutoffs, supervised, unit: Math.max(...datasets.map((each) => each.lengths.unit)) };
}

/** Index of the first value above `limit`. */
function firstAbove(values, limit) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** From lengths to 0…1 and back; logarithmic where a few rows are far longer than most. */
function scaleFor(values, own) {
  const highest = Math.max(values.lengths.at(-1), own) * 1.05;
  const median = values.lengths[firstAbove(values.beyond.map((rows) => -rows), -values.all / 2)] ?? highest;
  if (highest / median < 6) return { low: 0, high: highest, to: (x) => x / highest, from: (x) => x * highest, log: false };
  const lowest = Math.max(1, values.lengths[0] / 1.1);
  const span = Math.log(highest / lowest);
  return { low: lowest, high: highest, to: (x) => Math.log(x / lowest) / span, from: (x) => lowest * Math.exp(x * span), log: true };
}

/** Round numbers along the axis. */
function ticks(scale) {
  const wanted = window.innerWidth < 600 ? 4 : 8;
  if (scale.log) {
    const found = [];
    for (let value = 1; value <= scale.high; value *= 2) if (value >= scale.low) found.push(value);
    const every = Math.ceil(found.length / wanted);
    return found.filter((_, index) => index % every === 0);
  }
  const rough = scale.high / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= rough) * power);
  return Array.from({ length: Math.floor(scale.high / step) + 1 }, (_, index) => index * step);
}

function showLengths(target) {
  const known = target.datasets.filter((dataset) => dataset.lengths && dataset.lengths.rows.length);
  $("lengths").hidden = !known.length;
  if (!known.length) return;
  $("lengths-of").hidden = known.length < 2;
  $("lengths-dataset").replaceChildren(
    make("option", { value: "" }, "all"),
    ...known.map((dataset, index) => make("option", { value: index }, dataset.name)),
  );
  $("lengths-dataset").onchange = (event) => plot(target, event.target.value === "" ? known : [known[event.target.value]]);
  plot(target, known);
}

function plot(target, datasets) {
  const values = readLengths(datasets);
  const scale = scaleFor(values, target.cutoff);
  chart = { target, values, scale };
  const bars = new Array(BINS).fill(0);
  for (const [length, rows] of values.rows) bars[Math.min(BINS - 1, Math.max(0, Math.floor(scale.to(length) * BINS)))] += rows;
  const highest = Math.max(...bars);
  const group = (name) => {
    const clip = drawing("rect", { x: 0, y: 0, width: 1, height: 1 });
    const shapes = bars.map((rows, index) => {
      const height = rows ? Math.max(0.012, (rows / highest) * 0.94) : 0;
      const edges = [index, index + 1].map((edge) => whole.format(Math.round(scale.from(edge / BINS))));
      const title = drawing("title", {}, `${edges[0]} to ${edges[1]} tokens: ${count(rows, "row")}`);
      return drawing("rect", { x: (index + 0.06) / BINS, y: 1 - height, width: 0.88 / BINS, height }, title);
    });
    return { clip, parts: [drawing("clipPath", { id: `clip-${name}` }, clip), drawing("g", { class: name, "clip-path": `url(#clip-${name})` }, ...shapes)] };
  };
  chart.kept = group("kept");
  chart.cut = group("cut");
  chart.line = make("div", { class: "line" });
  const own = make("div", { class: `line own${scale.to(target.cutoff) > 0.8 ? " left" : ""}` }, make("span", {}, `yours ${whole.format(target.cutoff)}`));
  own.style.left = `${scale.to(target.cutoff) * 100}%`;
  const picture = drawing("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", role: "img", "aria-label": "Histogram of row lengths in tokens" });
  picture.append(...chart.kept.parts, ...chart.cut.parts);
  const most = make("span", { class: "most" }, count(highest, "row"));
  $("plot").replaceChildren(picture, most, own, chart.line);
  $("axis").replaceChildren(...ticks(scale).map((value) => {
    const label = make("span", {}, whole.format(value));
    label.style.left = `${scale.to(value) * 100}%`;
    return label;
  }));
  $("presets").replaceChildren(...[["yours", target.cutoff], ...target.advice.map(([share, cutoff]) => [`${share} % whole`, cutoff])].map(
    ([name, cutoff]) => make("button", { type: "button", onclick: () => tryCutoff(cutoff) }, `${name}: ${whole.format(cutoff)}`),
  ));
  $("lengths-note").textContent = `${count(values.all, "row")} with exactly known lengths`
    + (values.unit > 1 ? `, rounded up to multiples of ${values.unit}` : "")
    + `; the axis is in tokens${scale.log ? ", logarithmic" : ""}. A row that loses tokens of a medium may stop the run instead of being cut.`;
  tryCutoff(target.cutoff);
}

/** What a cutoff_len would do. */
function tryCutoff(cutoff, from = null) {
  const { values, scale } = chart;
  const cut = values.beyond[firstAbove(values.lengths, cutoff)];
  const at = Math.min(1, Math.max(0, scale.to(Math.max(cutoff, 1))));
  chart.line.style.left = `${at * 100}%`;
  chart.kept.clip.setAttribute("width", at);
  chart.cut.clip.setAttribute("x", at);
  if (from !== $("slider")) $("slider").value = Math.round(at * 1000);
  $("slider").setAttribute("aria-valuetext", `cutoff_len ${cutoff}: ${count(cut, "row")} longer`);
  if (from !== $("cutoff")) $("cutoff").value = cutoff;
  $("cut").replaceChildren(make("b", {}, whole.format(cut)), ` of ${count(values.all, "row")} cut ${cut ? `(${percent(cut, values.all)})` : ""}`);
  const supervised = supervisedUnder(values, cutoff);
  const most = values.supervised.at(-1);
  $("loss").replaceChildren(...(supervised === null ? [] : [
    make("b", {}, `${supervised.exact ? "" : "≈ "}${whole.format(supervised.tokens)}`), ` supervised tokens (${percent(supervised.tokens, most)})`,
  ]));
}

/** Supervised tokens under a cutoff_len: exact where that was tried, between two of those a straight line. */
function supervisedUnder(values, cutoff) {
  const { cutoffs, supervised } = values;
  if (!cutoffs.length || !supervised.at(-1)) return null;
  const after = firstAbove(cutoffs, cutoff);
  if (after && (cutoffs[after - 1] === cutoff || after === cutoffs.length || supervised[after] === supervised[after - 1])) {
    return { tokens: supervised[after - 1], exact: true };
  }
  const [left, low] = after ? [cutoffs[after - 1], supervised[after - 1]] : [0, 0];
  const share = (cutoff - left) / (cutoffs[after] - left);
  return { tokens: Math.round(low + share * (supervised[after] - low)), exact: false };
}

// ---------------------------------------------------------------------------------------------------------- rules

const PLACES = 3;

function showRules(target) {
  $("rules").hidden = !target.rules.length;
  const findings = target.findings;
  const places = new Map();
  const first = new Map();
  for (let index = 0; index < findings.rule.length; index++) {
    const rule = findings.rule[index];
    if (!first.has(rule)) first.set(rule, index);
    const known = places.get(rule) ?? places.set(rule, []).get(rule);
    if (known.length < PLACES) known.push(shortPlace(findings, index));
  }
  $("rule-list").replaceChildren(...target.rules.map(([number, amount]) => {
    const rule = data.rules[number];
    const index = first.get(number);
    const severity = index === undefined ? "error" : severityOf(findings, index);
    const outcome = index === undefined ? NONE : findings.outcome[index];
    const named = [...new Set(places.get(number) ?? [])];
    const details = make(
      "details",
      { class: "rule", shade: severity },
      make(
        "summary",
        {},
        make("span", { class: "code" }, rule.code),
        make("span", {}, rule.name),
        make("span", {}, severity === "error" && outcome !== NONE ? "" : chip(severity), outcome === NONE ? "" : chip(data.outcomes[outcome])),
        make("span", { class: "places" }, named.join(", ") + (amount > named.length ? " …" : "")),
        make("span", { class: "amount", title: severity }, whole.format(amount)),
      ),
    );
    details.addEventListener("toggle", () => {
      if (!details.open || details.querySelector(".body")) return;
      const cure = index === undefined ? "" : data.texts[findings.cure[index]];
      details.append(make(
        "div",
        { class: "body" },
        make("p", {}, make("button", { type: "button", onclick: () => explore({ rule: number }) }, `Show ${amount === 1 ? "the finding" : `all ${whole.format(amount)} findings`}`)),
        cure ? make("dl", { class: "told" }, make("dt", {}, "fix"), make("dd", {}, cure)) : "",
        rulePage(rule),
      ));
    });
    return details;
  }));
}

/** A rule's page; text between backticks is set as code. */
function rulePage(rule) {
  const spans = (text) => text.split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));
  return make("div", { class: "page" }, ...rule.page.map(([kind, text]) => {
    if (kind === "heading") return make("h3", {}, text);
    if (kind === "text") return make("p", {}, ...spans(text));
    const [name, ...lines] = text.split("\n");
    return make("pre", { tabindex: "0" }, make("b", {}, name), lines.join("\n"));
  }));
}

const fileName = (path) => path.split("/").at(-1);

function shortPlace(findings, index) {
  const row = findings.row[index];
  return row === NONE ? fileName(data.texts[findings.file[index]]) : `row ${row}`;
}

// --------------------------------------------------------------------------------------------------------- filter

/** Whether a text, by its number, holds a term: one byte for each text. */
function textHits(term) {
  const texts = lowered();
  const hits = new Uint8Array(texts.length);
  for (let index = 0; index < texts.length; index++) if (texts[index].includes(term)) hits[index] = 1;
  return hits;
}

/** The terms of a query; `row 412` and `row:412` ask for that row. */
function parseQuery(query) {
  let row = NONE;
  const rest = query.toLowerCase().replace(/(?:^|\s)row[\s:#]*(\d+)(?=\s|$)/, (_, digits) => {
    row = Number(digits);
    return " ";
  });
  return { row, terms: rest.split(/\s+/).filter(Boolean) };
}

const chosen = (id) => ($(id).value === "" ? NONE : Number($(id).value));

function filterFindings(target, { row, terms }) {
  const findings = target.findings;
  const [dataset, severity, rule, outcome] = ["by-dataset", "by-severity", "by-rule", "by-outcome"].map(chosen);
  const tests = terms.map((term) => ({
    texts: textHits(term),
    rules: data.rules.map((each) => each.code.toLowerCase().includes(term) || each.name.includes(term)),
  }));
  const found = [];
  for (let index = 0; index < findings.rule.length; index++) {
    if (rule !== NONE && findings.rule[index] !== rule) continue;
    if (severity !== NONE && findings.severity[index] !== severity) continue;
    if (dataset !== NONE && findings.dataset[index] !== dataset) continue;
    if (outcome !== NONE && findings.outcome[index] !== outcome) continue;
    if (row !== NONE && findings.row[index] !== row) continue;
    const said = ({ texts, rules }) =>
      rules[findings.rule[index]] || texts[findings.found[index]] || texts[findings.file[index]]
      || texts[findings.place[index]] || texts[findings.expected[index]] || texts[findings.cure[index]];
    if (tests.every(said)) found.push(index);
  }
  return found;
}

function filterRows(target, { row, terms }) {
  const texts = rowTexts(target);
  const [dataset, severity, rule, outcome] = ["by-dataset", "by-severity", "by-rule", "by-outcome"].map(chosen);
  const { findings } = target;
  return target.rows.map((_, index) => index).filter((index) => {
    const each = target.rows[index];
    if (dataset !== NONE && each.dataset !== dataset) return false;
    if (outcome !== NONE && each.outcome !== outcome) return false;
    if (row !== NONE && each.row !== row) return false;
    if (severity !== NONE || rule !== NONE) {
      const own = view.findingsByPlace.get(placeOf(each.file, each.row)) ?? [];
      const fits = (finding) => (severity === NONE || findings.severity[finding] === severity) && (rule === NONE || findings.rule[finding] === rule);
      if (!own.some(fits)) return false;
    }
    return terms.every((term) => texts[index].includes(term));
  });
}

/** Filter anew and show from the top. */
function refresh() {
  const target = view.target;
  const query = parseQuery($("search").value);
  const all = view.mode === "findings" ? target.findings.rule.length : target.rows.length;
  view.shown = view.mode === "findings" ? filterFindings(target, query) : filterRows(target, query);
  view.at = 0;
  const word = view.mode === "findings" ? "finding" : "row";
  const found = target.counts.reduce((sum, each) => sum + each, 0);
  let text = view.shown.length === all ? count(all, word) : `${whole.format(view.shown.length)} of ${count(all, word)}`;
  if (view.mode === "rows") text += `, a part of the ${whole.format(target.rowsIn)} that were read: some of each rule's, and a sample of the others`;
  else if (all < found) text += `; ${whole.format(found - all)} more are counted but not in this page`;
  $("count").textContent = text;
  list.scrollTop = 0;
  drawList();
  showDetail();
}

/** Let everything through again; `refresh` shows it. */
function clearFilters() {
  for (const field of $("search").form.elements) if (field.matches("input, select")) field.value = "";
}

/** Filter by what a button elsewhere on the page names, and go there. */
function explore({ rule = NONE }) {
  clearFilters();
  $("by-rule").value = rule;
  setMode("findings");
  $("explorer").scrollIntoView();
  list.focus();
}

// ----------------------------------------------------------------------------------------------------------- list

const list = $("list");
const HEIGHTS = { findings: 60, rows: 78 };
const OVERSCAN = 6;

/** Put into the document what is in sight of the list, and nothing else. */
function drawList() {
  const height = HEIGHTS[view.mode];
  list.style.setProperty("--item", `${height}px`);
  const start = Math.max(0, Math.floor(list.scrollTop / height) - OVERSCAN);
  const end = Math.min(view.shown.length, Math.ceil((list.scrollTop + list.clientHeight) / height) + OVERSCAN);
  const items = [];
  for (let position = start; position < end; position++) {
    const item = (view.mode === "findings" ? findingItem : rowItem)(view.shown[position]);
    item.id = `item-${position}`;
    item.setAttribute("aria-setsize", view.shown.length);
    item.setAttribute("aria-posinset", position + 1);
    item.setAttribute("aria-selected", position === view.at);
    item.style.top = `${position * height}px`;
    items.push(item);
  }
  const runway = $("runway");
  runway.style.height = `${view.shown.length * height}px`;
  runway.replaceChildren(...items);
  if (view.shown.length) list.setAttribute("aria-activedescendant", `item-${view.at}`);
  else list.removeAttribute("aria-activedescendant");
}

function findingItem(index) {
  const { findings } = view.target;
  const row = findings.row[index];
  const place = [fileName(data.texts[findings.file[index]]), row === NONE ? "" : `row ${row}`, data.texts[findings.place[index]]];
  return make(
    "div",
    { class: "item", role: "option", shade: severityOf(findings, index) },
    make(
      "div",
      { class: "text" },
      make("div", { class: "first" }, make("span", { class: "code" }, data.rules[findings.rule[index]].code), make("span", {}, data.texts[findings.found[index]])),
      make(
        "div",
        { class: "second" },
        make("span", {}, place.filter(Boolean).join("  ")),
        findings.outcome[index] === NONE ? chip(severityOf(findings, index)) : chip(data.outcomes[findings.outcome[index]]),
      ),
    ),
  );
}

function rowItem(index) {
  const row = view.target.rows[index];
  const pictured = row.media.find((medium) => medium[3] !== NONE);
  const said = row.turns.find((turn) => turn[1].trim());
  const tokens = row.tokens === null ? "" : ` · ${count(row.tokens, "token")}`;
  return make(
    "div",
    { class: "item", role: "option" },
    row.media.length ? make("div", { class: "thumbs" }, pictured ? picture(pictured) : data.kinds[row.media[0][0]]) : "",
    make(
      "div",
      { class: "text" },
      make("span", { class: "said", dir: "auto" }, said ? said[1].slice(0, 300) : "no text"),
      make("div", { class: "second" }, make("span", {}, `${fileName(data.texts[row.file])}  row ${row.row}${tokens}`), chip(data.outcomes[row.outcome])),
    ),
  );
}

function select(position) {
  if (!view.shown.length) return;
  view.at = Math.min(view.shown.length - 1, Math.max(0, position));
  const height = HEIGHTS[view.mode];
  const top = view.at * height;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + height > list.scrollTop + list.clientHeight) list.scrollTop = top + height - list.clientHeight;
  drawList();
  showDetail();
}

// --------------------------------------------------------------------------------------------------------- detail

function showDetail() {
  const index = view.shown[view.at];
  const pane = $("detail");
  const close = make("button", { class: "close", type: "button", onclick: closeDetail }, "Close");
  if (index === undefined) pane.replaceChildren(close, make("p", { class: "empty" }, "Nothing matches. Clear the filters to see all."));
  else pane.replaceChildren(close, ...(view.mode === "findings" ? findingDetail(index) : rowDetail(view.target.rows[index])));
  pane.scrollTop = 0;
}

function openDetail() {
  $("detail").classList.add("open");
  $("detail").focus();
}

function closeDetail() {
  $("detail").classList.remove("open");
  list.focus();
}

function findingDetail(index) {
  const { findings, rows } = view.target;
  const rule = data.rules[findings.rule[index]];
  const severity = severityOf(findings, index);
  const number = findings.row[index];
  const told = [
    ["file", data.texts[findings.file[index]]],
    ["row", number === NONE ? "" : String(number)],
    ["place", data.texts[findings.place[index]]],
    ["found", data.texts[findings.found[index]]],
    ["expected", data.texts[findings.expected[index]]],
    ["fix", data.texts[findings.cure[index]]],
  ].filter(([, text]) => text);
  const row = rows[view.rowsByPlace.get(placeOf(findings.file[index], number))];
  const missing = number === NONE ? "" : make("p", { class: "left-out" }, "This row's text is not in the page: some rows of each rule are.");
  return [
    make(
      "header",
      {},
      make("h3", { shade: severity }, make("span", { class: "code" }, rule.code), rule.name),
      make("p", { class: "chips" }, chip(severity), findings.outcome[index] === NONE ? "" : chip(data.outcomes[findings.outcome[index]])),
    ),
    make("dl", { class: "told" }, ...told.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)])),
    ...(row ? rowParts(row, index) : [missing].filter(Boolean)),
    make("details", {}, make("summary", {}, `About ${rule.code}`), rulePage(rule)),
  ];
}

function rowDetail(row) {
  const dataset = view.target.datasets[row.dataset];
  return [
    make(
      "header",
      {},
      make("h3", {}, `Row ${row.row}`),
      make("p", { class: "chips" }, chip(data.outcomes[row.outcome])),
    ),
    make("dl", { class: "told" }, make("dt", {}, "file"), make("dd", {}, data.texts[row.file]), make("dt", {}, "dataset"), make("dd", {}, dataset.name)),
    ...rowParts(row, NONE),
  ];
}

/** A row's tokens, media, turns, and its findings other than `known`. */
function rowParts(row, known) {
  const { findings } = view.target;
  const others = (view.findingsByPlace.get(placeOf(row.file, row.row)) ?? []).filter((index) => index !== known);
  const parts = [];
  if (row.tokens !== null) {
    const kept = row.kept < row.tokens ? `, ${whole.format(row.kept)} kept` : "";
    parts.push(make("p", { class: "note" }, `${count(row.tokens, "token")}${kept}, ${whole.format(row.supervised)} supervised`));
  }
  if (others.length) {
    parts.push(make("div", {}, make("h4", {}, known === NONE ? "Findings" : "Also found in this row"), make("p", { class: "links" }, ...others.map((index) =>
      make("button", { type: "button", onclick: () => jump(index) }, `${data.rules[findings.rule[index]].code} ${data.rules[findings.rule[index]].name}`)))));
  }
  if (row.media.length) {
    parts.push(make("div", {}, make("h4", {}, "Media, as the trainer reads them"), make("div", { class: "media" }, ...row.media.map(mediumBox)), leftOut(row.mediaLeftOut, "entry", "entries")));
  }
  if (row.turns.length) {
    parts.push(make("div", {}, make("h4", {}, "Turns"), ...row.turns.map(turnBox), leftOut(row.turnsLeftOut, "turn", "turns")));
  }
  return parts;
}

const leftOut = (number, one, many) => (number ? make("p", { class: "left-out" }, `and ${whole.format(number)} more ${number === 1 ? one : many}`) : "");

function turnBox([role, text, missing]) {
  const answer = ["assistant", "gpt"].includes(role);
  const pieces = text.split(/(<(?:image|video|audio)>)/).map((piece, index) => (index % 2 ? make("mark", {}, piece) : piece));
  return make("div", { class: `turn${answer ? " answer" : ""}` }, make("b", {}, role || "no role"), make("p", { dir: "auto" }, ...pieces), leftOut(missing, "character", "characters"));
}

function mediumBox(medium) {
  const [kind, path, note, preview, reason] = medium;
  const more = preview === NONE ? reason : data.previews[preview].note;
  return make(
    "div",
    { class: "medium" },
    make("div", { class: "frame" }, preview === NONE ? data.kinds[kind] : picture(medium)),
    make("span", { class: "path mono", title: path }, path || "inside the row"),
    make("span", {}, [note, more].filter((text, index, all) => text && all.indexOf(text) === index).join(" · ")),
  );
}

/** A preview as an image or a drawn sound. */
function picture([kind, path, , number]) {
  const preview = data.previews[number];
  const name = `${data.kinds[kind]} ${path}`;
  if (!preview.peaks) return make("img", { src: preview.address, width: preview.width, height: preview.height, alt: name, decoding: "async" });
  const parts = preview.peaks.length / 2;
  const upper = [];
  const lower = [];
  for (let part = 0; part < parts; part++) {
    upper.push(`${part} ${-Math.max(preview.peaks[2 * part + 1], 1)}`);
    lower.unshift(`${part} ${-Math.min(preview.peaks[2 * part], -1)}`);
  }
  const outline = drawing("path", { d: `M${[...upper, ...lower].join("L")}Z` });
  return drawing("svg", { class: "wave", viewBox: `0 -104 ${parts - 1 || 1} 208`, width: 76, height: 44, preserveAspectRatio: "none", role: "img", "aria-label": name }, outline);
}

/** Show one finding among all. */
function jump(index) {
  clearFilters();
  setMode("findings");
  select(index);
  list.focus();
}

// ----------------------------------------------------------------------------------------------------- whole page

function setMode(mode) {
  view.mode = mode;
  $("mode-findings").setAttribute("aria-pressed", mode === "findings");
  $("mode-rows").setAttribute("aria-pressed", mode === "rows");
  list.setAttribute("aria-label", mode === "findings" ? "Findings" : "Rows");
  refresh();
}

function options(id, pairs) {
  $(id).replaceChildren(make("option", { value: "" }, "all"), ...pairs.map(([value, text]) => make("option", { value }, text)));
}

function showTarget(target) {
  view.target = target;
  const { findings } = target;
  for (const button of $("targets").children) button.setAttribute("aria-current", button.textContent === target.target);
  view.rowsByPlace = new Map(target.rows.map((row, index) => [placeOf(row.file, row.row), index]));
  view.findingsByPlace = new Map();
  for (let index = 0; index < findings.rule.length; index++) {
    const key = placeOf(findings.file[index], findings.row[index]);
    if (!view.rowsByPlace.has(key)) continue;
    const known = view.findingsByPlace.get(key);
    if (known) known.push(index);
    else view.findingsByPlace.set(key, [index]);
  }
  showSummary(target);
  showDatasets(target);
  showLengths(target);
  showRules(target);
  options("by-dataset", target.datasets.map((dataset, index) => [index, dataset.name]));
  options("by-severity", data.severities.map((name, index) => [index, `${name} (${whole.format(target.counts[index])})`]));
  options("by-rule", target.rules.map(([number, amount]) => [number, `${data.rules[number].code} ${data.rules[number].name} (${whole.format(amount)})`]));
  options("by-outcome", data.outcomes.map((name, index) => [index, name]));
  $("explorer").hidden = !findings.rule.length && !target.rows.length;
  setMode(findings.rule.length ? "findings" : "rows");
}

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").setAttribute("aria-pressed", dark);
}

const isDark = () => getComputedStyle(document.documentElement).colorScheme === "dark"
  || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);

const MOVES = {
  ArrowDown: () => view.at + 1,
  j: () => view.at + 1,
  ArrowUp: () => view.at - 1,
  k: () => view.at - 1,
  PageDown: () => view.at + Math.floor(list.clientHeight / HEIGHTS[view.mode]),
  PageUp: () => view.at - Math.floor(list.clientHeight / HEIGHTS[view.mode]),
  Home: () => 0,
  End: () => view.shown.length - 1,
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const focus = document.activeElement;
  const typing = focus.matches("input, select, textarea");
  if (event.key === "Escape") {
    if ($("detail").contains(focus)) closeDetail();
    else if (focus === $("search")) {
      $("search").value = "";
      refresh();
      list.focus();
    }
    return;
  }
  if (focus === $("search") && (event.key === "ArrowDown" || event.key === "Enter")) {
    event.preventDefault();
    list.focus();
    return;
  }
  if (typing) return;
  const inList = focus === list || ((event.key === "j" || event.key === "k") && !$("explorer").hidden);
  if (event.key === "/") $("search").focus();
  else if (event.key === "t") setTheme(!isDark());
  else if (event.key === "?") $("help").showModal();
  else if (inList && event.key in MOVES) {
    if (focus !== list) list.focus();
    select(MOVES[event.key]());
  } else if (focus === list && event.key === "Enter") openDetail();
  else return;
  event.preventDefault();
}

function start() {
  $("theme").addEventListener("click", () => setTheme(!isDark()));
  $("theme").setAttribute("aria-pressed", isDark());
  $("help-button").addEventListener("click", () => $("help").showModal());
  document.addEventListener("keydown", onKey);
  if (!data.targets.length) {
    $("summary").replaceChildren(make("h1", {}, "Nothing was checked"));
    return;
  }
  if (data.targets.length > 1) {
    $("targets").replaceChildren(...data.targets.map((target) =>
      make("button", { type: "button", title: target.target, onclick: () => showTarget(target) }, target.target)));
  }
  $("slider").addEventListener("input", (event) => tryCutoff(Math.max(1, Math.round(chart.scale.from(event.target.value / 1000))), event.target));
  $("cutoff").addEventListener("input", (event) => event.target.value >= 1 && tryCutoff(Math.round(event.target.value), event.target));
  const form = $("search").form;
  form.addEventListener("submit", (event) => event.preventDefault());
  $("reset").addEventListener("click", () => {
    clearFilters();
    refresh();
  });
  form.addEventListener("input", refresh);
  $("mode-findings").addEventListener("click", () => setMode("findings"));
  $("mode-rows").addEventListener("click", () => setMode("rows"));
  list.addEventListener("scroll", () => requestAnimationFrame(drawList));
  list.addEventListener("click", (event) => {
    const item = event.target.closest(".item");
    if (!item) return;
    select(Number(item.id.split("-")[1]));
    if (getComputedStyle($("detail")).display === "none") openDetail(); // on small screens it lies over the page
  });
  new ResizeObserver(drawList).observe(list);
  showTarget(data.targets[0]);
}

start();
