// Curves of one or several runs: every seed thin, their mean thick, their range shaded; read by mouse or by a slider.

const CLOCKS = [["env steps", 0], ["updates", 1], ["seconds of training", 2]];
const WIDE = 760, HIGH = 380, LEFT = 66, RIGHT = 20, TOP = 22, BOTTOM = 46;

// Points {x, y} of every seed of a run, of one metric against one clock.
function seedsOf(run, metric, clock) {
  const found = [];
  for (const part of run.curves) {
    const held = part.of[metric];
    if (!held) continue;
    const at = held[0] || part.clock[0].map((_, place) => place);
    found.push({ seed: part.seed, points: at.map((place, nth) => ({ x: part.clock[clock][place], y: held[1][nth] })) });
  }
  return found;
}

// Mean and range where every seed has a finite value: one of fewer seeds would jump.
function bandOf(seeds) {
  if (seeds.length < 2) return [];
  const maps = seeds.map((one) => new Map(one.points.filter((p) => typeof p.y === "number").map((p) => [p.x, p.y])));
  return [...maps[0].keys()].filter((x) => maps.every((map) => map.has(x))).sort((a, b) => a - b).map((x) => {
    const values = maps.map((map) => map.get(x));
    return { x, mean: values.reduce((a, b) => a + b) / values.length, low: Math.min(...values), high: Math.max(...values) };
  });
}

function ticks(low, high, wanted) {
  const raw = (high - low) / wanted, ten = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * ten).find((size) => size >= raw * 0.999999);
  const found = [];
  for (let place = Math.ceil(low / step - 1e-9); place * step <= high + step * 1e-9; place++) found.push(place * step + 0);
  return found;
}

class Chart {
  // `labels`: what each run is called in the legend.
  constructor(runs, labels) {
    this.runs = runs;
    this.labels = labels;
    const metrics = [...new Set(runs.flatMap((run) => run.curves.flatMap((part) => Object.keys(part.of))))].sort();
    const first = runs[0].metric;
    if (!metrics.length) { this.node = element("p", {}, "No curve of it is in this file."); return; }
    this.metric = element("select", {}, metrics.map((name) => element("option", { selected: name === first }, name)));
    this.clock = element("select", {}, CLOCKS.map(([words, at]) => element("option", { value: at }, words)));
    this.each = element("input", { type: "checkbox", checked: true });
    this.band = element("input", { type: "checkbox", checked: true });
    const save = element("button", { type: "button" }, "Download curves as CSV");
    save.addEventListener("click", () => this.save());
    const controls = element("div", { class: "controls" },
      element("label", {}, "Metric ", this.metric), element("label", {}, "Against ", this.clock),
      element("label", {}, this.each, " every seed"), element("label", {}, this.band, " mean and range"), save);
    controls.addEventListener("change", () => this.draw());
    this.picture = element("div");
    this.slider = element("input", { type: "range", min: 0, max: 1000, value: 1000, step: 5, "aria-label": "Read the values at" });
    this.slider.addEventListener("input", () => this.read(this.slider.value / 1000));
    this.told = element("p", { class: "read", role: "status", "aria-live": "polite" });
    this.node = element("figure", { class: "chart" }, controls, this.picture, this.slider, this.told);
    this.draw();
  }

  draw() {
    const metric = this.metric.value, clock = Number(this.clock.value);
    this.arms = this.runs.map((run) => { const seeds = seedsOf(run, metric, clock); return { run, seeds, band: bandOf(seeds) }; });
    const points = this.arms.flatMap((arm) => arm.seeds.flatMap((one) => one.points));
    const finite = points.filter((point) => typeof point.y === "number");
    const levels = this.runs[0].return_metrics.includes(metric) ? Object.entries(this.runs[0].levels) : [];
    const ys = [...finite.map((p) => p.y), ...levels.map((level) => level[1])];
    let low = Math.min(...ys), high = Math.max(...ys);
    if (!finite.length) { low = 0; high = 1; }
    const room = (high - low) * 0.06 || Math.abs(high) * 0.06 || 0.5;
    low -= room; high += room;
    this.most = Math.max(1, ...points.map((point) => point.x));
    this.x = (value) => LEFT + (value / this.most) * (WIDE - LEFT - RIGHT);
    this.y = (value) => HIGH - BOTTOM - ((value - low) / (high - low)) * (HIGH - TOP - BOTTOM);
    const words = `${metric} of ${this.runs.map((run) => run.id).join(" and ")} against ${CLOCKS[clock][0]}`;
    const svg = drawn("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": words }, drawn("title", {}, words));
    svg.append(...this.axes(low, high, clock), ...levels.map(([name, level]) => this.level(name, level)));
    this.arms.forEach((arm, nth) => svg.append(this.arm(arm, nth)));
    this.hair = drawn("line", { class: "hair", y1: TOP, y2: HIGH - BOTTOM, visibility: "hidden" });
    svg.append(this.hair);
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const share = (((event.clientX - box.left) / box.width) * WIDE - LEFT) / (WIDE - LEFT - RIGHT);
      this.slider.value = Math.round(1000 * Math.min(1, Math.max(0, share)));
      this.read(this.slider.value / 1000);
    });
    const broken = points.length - finite.length;
    const note = broken ? element("p", {}, `${broken} value${broken === 1 ? " is" : "s are"} not finite, marked × on the axis.`) : null;
    const bandless = this.arms.some((arm) => arm.seeds.length > 1 && !arm.band.length);
    const alone = bandless ? element("p", {}, "No mean: the seeds were not measured at the same places of this axis.") : null;
    this.picture.replaceChildren(this.legend(), svg, ...[note, alone].filter(Boolean));
    this.told.textContent = "Move over the curves, or the slider, to read values.";
  }

  axes(low, high, clock) {
    const parts = [];
    for (const value of ticks(low, high, 5)) {
      parts.push(drawn("line", { class: "grid-line", x1: LEFT, x2: WIDE - RIGHT, y1: this.y(value), y2: this.y(value) }));
      parts.push(drawn("text", { x: LEFT - 8, y: this.y(value) + 4, "text-anchor": "end" }, shown(value)));
    }
    for (const value of ticks(0, this.most, 6)) {
      parts.push(drawn("text", { x: this.x(value), y: HIGH - BOTTOM + 18, "text-anchor": "middle" }, shown(value)));
    }
    parts.push(drawn("text", { class: "label", x: LEFT, y: TOP - 4 }, this.metric.value));
    parts.push(drawn("line", { class: "axis", x1: LEFT, x2: WIDE - RIGHT, y1: HIGH - BOTTOM, y2: HIGH - BOTTOM }));
    parts.push(drawn("text", { x: (LEFT + WIDE - RIGHT) / 2, y: HIGH - 8, "text-anchor": "middle" }, CLOCKS[clock][0]));
    return parts;
  }

  level(name, value) {
    return drawn("g", {}, drawn("line", { class: name === "random" ? "level low" : "level", x1: LEFT, x2: WIDE - RIGHT, y1: this.y(value), y2: this.y(value) }),
      drawn("text", { class: "label", x: LEFT + 6, y: this.y(value) - 4 }, `${name === "random" ? "random play" : name} (${shown(value)})`));
  }

  arm(arm, nth) {
    const group = drawn("g", { class: "k" + (nth % 5) });
    const line = (points) => points.map((p) => `${this.x(p.x).toFixed(1)},${this.y(p.y).toFixed(1)}`).join(" ");
    if (this.band.checked && arm.band.length > 1) {
      const there = arm.band.map((p) => ({ x: p.x, y: p.high })), back = arm.band.map((p) => ({ x: p.x, y: p.low })).reverse();
      group.append(drawn("polygon", { class: "band", points: line([...there, ...back]) }));
    }
    for (const one of arm.seeds) {
      const finite = one.points.filter((p) => typeof p.y === "number");
      if (this.each.checked || arm.seeds.length === 1) {
        group.append(drawn("polyline", { class: "line seed", points: line(finite) }, drawn("title", {}, `${arm.run.id}, seed ${one.seed}`)));
        if (finite.length === 1) group.append(drawn("circle", { class: "dot", cx: this.x(finite[0].x), cy: this.y(finite[0].y), r: 3 }));
      }
      for (const p of one.points) {
        if (typeof p.y === "number") continue;
        const x = this.x(p.x), y = HIGH - BOTTOM;
        group.append(drawn("path", { class: "bad-point", d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8` }, drawn("title", {}, `seed ${one.seed}: ${p.y} at ${shown(p.x)}`)));
      }
    }
    if (this.band.checked && arm.band.length > 1) group.append(drawn("polyline", { class: "line mean", points: line(arm.band.map((p) => ({ x: p.x, y: p.mean }))) }));
    return group;
  }

  legend() {
    const items = this.arms.map((arm, nth) => element("li", {},
      drawn("svg", { width: 30, height: 10, class: "k" + (nth % 5), "aria-hidden": "true" }, drawn("g", { class: "k" + (nth % 5) }, drawn("line", { class: "line mean", x1: 0, x2: 30, y1: 5, y2: 5 }))),
      ` ${this.labels[nth]}: ${arm.seeds.length === 1 ? "seed " + arm.seeds[0].seed : arm.seeds.length + " seeds"}`));
    return element("ul", { class: "legend", "aria-label": "Curves" }, items);
  }

  // Say what every arm was worth at a share of the axis: the nearest measured place, mean and range, each seed.
  read(share) {
    const at = share * this.most;
    this.hair.setAttribute("x1", this.x(at));
    this.hair.setAttribute("x2", this.x(at));
    this.hair.setAttribute("visibility", "visible");
    const nearest = (points) => points.reduce((best, p) => (best === null || Math.abs(p.x - at) < Math.abs(best.x - at) ? p : best), null);
    const parts = this.arms.map((arm) => {
      const mean = nearest(arm.band);
      const seeds = arm.seeds.map((one) => { const p = nearest(one.points); return p ? `seed ${one.seed}: ${shown(p.y)}` : null; }).filter(Boolean);
      const band = mean ? `mean ${shown(mean.mean)}, ${shown(mean.low)} to ${shown(mean.high)} at ${shown(mean.x)}; ` : "";
      return `${arm.run.id}: ${band}${seeds.join(", ")}`;
    });
    this.told.textContent = `At ${shown(Math.round(at))} ${CLOCKS[Number(this.clock.value)][0]}. ${parts.join(". ")}.`;
    this.slider.setAttribute("aria-valuetext", this.told.textContent);
  }

  save() {
    const rows = [["run", "seed", "metric", "env_steps", "updates", "wall_s", "value"]];
    for (const run of this.runs) for (const part of run.curves) for (const [metric, [places, values]] of Object.entries(part.of)) {
      values.forEach((value, nth) => { const at = places ? places[nth] : nth; rows.push([run.id, part.seed, metric, ...part.clock.map((column) => column[at]), value]); });
    }
    saveCsv(this.runs.map((run) => run.id).join("-") + "-curves.csv", rows);
  }
}
