// What the rules of diagnosis found in a run: symptom, evidence with a small chart each, likely causes, what to try.

const SMALL = { wide: 364, high: 170, left: 58, right: 14, top: 30, bottom: 26 };

function findingsOf(run) {
  const found = run.findings, parts = [element("h3", {}, "Findings")];
  const training = found.roots.filter((one) => one.while_training);
  if (!found.roots.length) parts.push(element("p", {}, found.looked ? "No rule found anything." : "Nothing was looked at."));
  if (training.length) {
    const item = (one) => element("li", {}, element("span", { class: `severity ${one.severity}` }, one.severity), ` ${one.words}`);
    parts.push(element("p", {}, "Said by seeds that train now:"), element("ul", {}, training.map(item)));
  }
  const known = record("rules") || {};
  found.all.forEach((one) => parts.push(finding(run, one, known[one.rule])));
  if (found.remarks.length) parts.push(element("p", {}, element("small", {}, `${found.remarks.join("; ")}.`)));
  return parts;
}

function finding(run, one, rule) {
  const kind = `finding ${rule.severity}${one.follows.length ? " follows" : ""}`;
  const facts = [one.rule + (one.about ? ` of ${one.about}` : ""), one.agreement, `by ${rule.reads}`];
  if (one.follows.length) facts.push(`follows from ${one.follows.join(", ")}`);
  facts.push(rule.sources, rule.page);
  const rows = one.evidence.map((piece) => [piece.name, piece.figure, piece.wanted, piece.stretch]);
  const plots = [...new Map(one.evidence.flatMap((piece) => piece.metrics.map((metric) => [metric, piece])))];
  return element("section", { class: kind },
    element("h4", {}, element("span", { class: `severity ${rule.severity}` }, rule.severity), ` ${rule.symptom}`),
    element("p", {}, element("small", {}, facts.join(" · "))),
    dataTable("Evidence", ["metric", "value", "held to", "env steps"], rows),
    element("div", { class: "plots" }, plots.map(([metric, piece]) => evidenceChart(run, one, metric, piece))),
    rule.causes.length ? [element("p", {}, "Likely causes:"), element("ol", {}, rule.causes.map((cause) => element("li", {}, cause)))] : [],
    element("p", {}, `Check next: ${rule.check.replaceAll("RUN", run.id)}`),
    one.try ? [element("p", {}, "Try:"), element("pre", {}, one.try)] : []);
}

// One metric over the run: seeds in which the rule fired coloured, the stretch that was looked at shaded.
function evidenceChart(run, one, metric, piece) {
  let seeds = seedsOf(run, metric, 0).map((each) => ({ seed: each.seed, points: each.points.filter((p) => typeof p.y === "number") }));
  seeds = seeds.filter((each) => each.points.length);
  const sketched = !seeds.length;
  if (sketched && metric === piece.metrics[0]) seeds = [{ seed: one.seeds[0], points: piece.sketch.map((y, x) => ({ x, y })).filter((p) => typeof p.y === "number") }];
  const points = seeds.flatMap((each) => each.points);
  if (points.length < 2) return null;
  const { wide, high, left, right, top, bottom } = SMALL;
  let low = Math.min(...points.map((p) => p.y)), most = Math.max(...points.map((p) => p.y));
  const room = (most - low) * 0.08 || Math.abs(most) * 0.1 || 0.5;
  low -= room; most += room;
  const end = Math.max(1, ...points.map((p) => p.x));
  const x = (value) => left + (Math.min(value, end) / end) * (wide - left - right);
  const y = (value) => high - bottom - ((value - low) / (most - low)) * (high - top - bottom);
  const words = `${metric} over ${sketched ? "the run, seed " + one.seeds[0] : "env steps"}`;
  const svg = drawn("svg", { viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": words }, drawn("title", {}, words));
  if (!sketched && piece.until > piece.since) {
    svg.append(drawn("rect", { class: "window", x: x(piece.since), y: top, width: x(piece.until) - x(piece.since), height: high - top - bottom }));
  }
  svg.append(drawn("text", { class: "b", x: 10, y: 18 }, metric));
  for (const value of ticks(low, most, 4)) {
    svg.append(drawn("line", { class: "grid-line", x1: left, x2: wide - right, y1: y(value), y2: y(value) }),
      drawn("text", { class: "label", x: left - 6, y: y(value) + 4, "text-anchor": "end" }, shown(value)));
  }
  if (!sketched) {
    for (const value of ticks(0, end, 3)) {
      svg.append(drawn("text", { class: "label", x: x(value), y: high - 8, "text-anchor": x(value) > wide - 40 ? "end" : "middle" }, shown(value)));
    }
  }
  const order = [...seeds].sort((a, b) => one.seeds.includes(a.seed) - one.seeds.includes(b.seed));
  for (const each of order) {
    const fired = one.seeds.includes(each.seed);
    const path = each.points.map((p) => `${x(p.x).toFixed(1)},${y(p.y).toFixed(1)}`).join(" ");
    svg.append(drawn("g", { class: "k1" }, drawn("polyline", { class: fired ? "line" : "line other", "stroke-width": 1.5, points: path }, drawn("title", {}, `seed ${each.seed}`))));
  }
  return element("figure", {}, svg, sketched ? element("figcaption", {}, `in outline, seed ${one.seeds[0]}: its curve is not in this file`) : null);
}
