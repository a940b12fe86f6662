"""A diagnosis as one HTML file with curves, that asks nothing of any network and runs no script.

Each piece of evidence is drawn over the whole run, every seed a line: those in which the rule fired are coloured, the
others grey, and the stretch that was looked at is shaded. Equal records give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dreamerlab.diagnostics.engine import Evidence, Finding
from dreamerlab.diagnostics.series import Course
from dreamerlab.metrics import CATALOGUE
from dreamerlab.protocol.violations import count_of
from dreamerlab.report.diagnosis import Changed, RunDiagnosis, agreement
from dreamerlab.report.diagnosis_text import figure_of, shown_metric, stretch_of
from dreamerlab.report.html_text import escaped
from dreamerlab.report.palette import SHADES
from dreamerlab.report.svg import Drawing, Scale, drawable, tick_text, ticks, widened

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 364, 184, 58, 34, 34
_POINTS = 200
_CONTEXT = ("eval/return_mode", "eval/return_sample", "train/return")


def render(runs: Sequence[RunDiagnosis], both: Changed | None) -> str:
    """Return the whole page of one run, or of two side by side."""
    title = "Diagnosis of " + " and ".join(one.title for one in runs)
    parts = [f"<h1>{escaped(title)}</h1>"]
    if both is not None:
        parts.append(_changes(both))
    for one in runs:
        parts += _run(one, level=2 if len(runs) > 1 else 1)
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{_style()}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def _run(one: RunDiagnosis, level: int) -> Iterator[str]:
    heading = f"h{level + 1}"
    if level > 1:
        yield f"<h2>{escaped(one.title)}</h2>"
    roots = one.roots
    facts = f"{one.env}, {len(one.read)} of {count_of(len(one.seeds), 'seed')}, {one.env_steps:,} env steps."
    following = len(one.diagnosis.findings) - len(roots)
    told = f"{count_of(len(roots), 'cause')} found" if roots else "No finding"
    told += f", {count_of(following, 'finding')} following from that." if following else "."
    yield f"<p><strong>{told}</strong> {escaped(facts)}</p>"
    context = next((name for name in _CONTEXT if any(len(course.of(name)[1]) for course in one.courses.values())), None)
    if context is not None:
        yield f'<div class="plots">{_plot(context, one.courses, (), None)}</div>'
    for place, finding in enumerate(one.diagnosis.findings, 1):
        yield from _finding(one, finding, place, heading)
    if one.diagnosis.healthy:
        signs = "".join(
            f"<li>{escaped(sign.rule.symptom)} <small>({agreement(sign)})</small></li>"
            for sign in one.diagnosis.healthy
        )
        yield f"<{heading}>Signs of health</{heading}><ul>{signs}</ul>"
    if one.unasked:
        rows = "".join(
            f"<li><code>{escaped(rule)}</code>: {escaped(', '.join(dict.fromkeys(missing)))}</li>"
            for rule, missing in one.unasked.items()
        )
        count = count_of(len(one.unasked), "rule")
        yield f"<details><summary>{count} could not be asked</summary><ul>{rows}</ul></details>"
    if one.remarks:
        yield "<p><small>" + "<br>".join(escaped(remark) for remark in one.remarks) + "</small></p>"


def _finding(one: RunDiagnosis, finding: Finding, place: int, heading: str) -> Iterator[str]:
    rule = finding.rule
    follows = "" if finding.is_root else " follows"
    yield f'<section class="finding {rule.severity}{follows}">'
    yield f'<{heading}><span class="mark">{rule.severity}</span> {place}. {escaped(rule.symptom)}</{heading}>'
    facts = [f"<code>{escaped(rule.id)}</code>", agreement(finding)]
    facts += [f"of <code>{escaped(finding.subject)}</code>"] if finding.subject else []
    facts.append("by metrics and config" if rule.reads_config else "by metrics alone")
    if finding.explained_by:
        facts.append("follows from " + ", ".join(f"<code>{escaped(cause)}</code>" for cause in finding.explained_by))
    facts.append(escaped(", ".join(rule.sources)))
    yield f"<p><small>{' · '.join(facts)}</small></p>"
    rows = "".join(_row(piece) for piece in (*finding.evidence, *finding.also))
    head = "<tr><th>metric</th><th>value</th><th>held to</th><th>env steps</th></tr>"
    yield f'<div class="wide"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
    plots = "".join(_plots(finding, one.courses))
    yield f'<div class="plots">{plots}</div>'
    if rule.causes:
        yield "<p>Likely causes:</p><ol>" + "".join(f"<li>{escaped(cause)}</li>" for cause in rule.causes) + "</ol>"
    yield f"<p>Check next: {escaped(rule.check.replace('RUN', one.run))}</p>"
    if (command := one.tries.get(finding.key)) is not None:
        yield f"<p>Try:</p><pre>{escaped(command)}</pre>"
    yield "</section>"


def _row(piece: Evidence) -> str:
    cells = (
        f"<code>{escaped(shown_metric(piece.metric))}</code>",
        figure_of(piece),
        escaped(piece.wanted),
        stretch_of(piece),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _plots(finding: Finding, courses: Mapping[int, Course]) -> Iterator[str]:
    done = set[str]()
    for piece in (*finding.evidence, *finding.also):
        for metric in piece.metric.split(" / "):
            if metric not in done and any(len(course.of(metric)[1]) for course in courses.values()):
                done.add(metric)
                yield _plot(metric, courses, finding.seeds, piece if piece.wanted else None)


def _plot(metric: str, courses: Mapping[int, Course], fired: Sequence[int], piece: Evidence | None) -> str:
    """Return one small picture of a metric over the run, a line a seed."""
    known = {seed: found for seed, course in courses.items() if len(found := course.of(metric)[1])}
    values = [value for found in known.values() for value in found.values if drawable(value)]
    most = max(found.steps[-1] for found in known.values())
    unit = f", {CATALOGUE[metric].unit}" if metric in CATALOGUE else ""
    drawing = Drawing(_WIDTH, _HEIGHT, f"{metric} over env steps, {count_of(len(known), 'seed')}")
    drawing.text(12, 20, metric + unit, bold=True)
    across = Scale(0.0, float(most or 1), _LEFT, _WIDTH - 14)
    up = Scale(*widened(values), _HEIGHT - _BOTTOM, _TOP)
    if piece is not None and piece.until > piece.since:
        left, right = across(piece.since), across(piece.until)
        drawing.box(left, up.end, right - left, up.start - up.end, "grid", 0.7)
    marks = ticks(up.low, up.high, 4)
    step = marks[1] - marks[0] if len(marks) > 1 else abs(marks[0]) or 1.0 if marks else 1.0
    for value in marks:
        drawing.line([_LEFT, _WIDTH - 14], [up(value)] * 2, "grid")
        drawing.text(_LEFT - 6, up(value) + 4, tick_text(value, step), "soft", anchor="end", size=11)
    across_marks = ticks(across.low, across.high, 3)
    for value in across_marks:
        anchor = "end" if across(value) > _WIDTH - 40 else "middle"
        drawing.text(across(value), up.start + 18, f"{value:,.0f}", "soft", anchor=anchor, size=11)
    for seed, found in sorted(known.items(), key=lambda item: item[0] in fired):
        every = max(1, len(found) // _POINTS)
        points = [(x, y) for x, y in zip(found.steps[::every], found.values[::every], strict=True) if drawable(y)]
        coloured = seed in fired or not fired
        xs, ys = [across(x) for x, _ in points], [up(y) for _, y in points]
        ink = ("control" if fired else "treatment") if coloured else "soft"
        drawing.line(xs, ys, ink, width=1.4, opacity=0.9 if coloured else 0.45)
    return f"<figure>{_bare(drawing)}</figure>"


def _bare(drawing: Drawing) -> str:
    """Return a picture without the style that every one brings: the page has it once."""
    text = drawing.to_svg()
    start, end = text.find("<style>"), text.find("</style>")
    return text[:start] + text[end + len("</style>") :] if start >= 0 else text


def _changes(both: Changed) -> str:
    rows = "".join(
        f"<tr><td><code>{escaped(key)}</code></td><td>{escaped(old)}</td><td>{escaped(new)}</td><td>{escaped(zone)}</td></tr>"
        for zone, key, old, new in both.differences
    )
    head = f"<tr><th>set otherwise</th><th>{both.first.run}</th><th>{both.second.run}</th><th>zone</th></tr>"
    table = f'<div class="wide"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>' if rows else ""
    lines = "".join(f"<li>{escaped(remark)}</li>" for remark in both.remarks)
    lists = [f"<ul>{lines}</ul>"] if lines else []
    for title, found in (("Gone", both.gone), ("New", both.new), ("In both", [new for _, new in both.kept])):
        if found:
            items = "".join(f"<li>{escaped(one.rule.symptom)} <small>({one.rule.id})</small></li>" for one in found)
            lists.append(f"<h3>{title}</h3><ul>{items}</ul>")
    return f"<section><h2>What changed</h2>{table}{''.join(lists) or '<p>No finding in either run.</p>'}</section>"


def _style() -> str:
    def shades(dark: bool) -> str:
        names = ("card", "edge", "grid", "ink", "soft", "treatment", "control", "good")
        rules = "".join(f".f-{n}{{fill:{SHADES[n][dark]}}}.s-{n}{{stroke:{SHADES[n][dark]}}}" for n in names)
        variables = "".join(f"--{n}:{SHADES[n][dark]};" for n in names)
        return f":root{{{variables}}}{rules}"

    return (
        f"{shades(False)}@media (prefers-color-scheme:dark){{{shades(True)}}}"
        ":root{color-scheme:light dark}*{box-sizing:border-box}"
        "body{margin:0 auto;max-width:76rem;padding:0 1rem 3rem;background:var(--card);color:var(--ink);"
        "font:16px/1.5 -apple-system,BlinkMacSystemFont,'Segoe UI','Noto Sans',Helvetica,Arial,sans-serif}"
        "h1{font-size:1.6rem;overflow-wrap:anywhere}h2{font-size:1.2rem;line-height:1.35;overflow-wrap:anywhere}"
        "h3{font-size:1.05rem}p,li{max-width:56rem;overflow-wrap:anywhere}small{color:var(--soft)}"
        "code,pre{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}"
        "pre{border:1px solid var(--edge);border-radius:6px;padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere}"
        ".finding{border:1px solid var(--edge);border-left:5px solid var(--soft);border-radius:6px;"
        "padding:.1rem 1rem .6rem;margin:1.2rem 0}.critical{border-left-color:var(--control)}"
        ".follows{margin-left:1.6rem}.mark{font-size:.75em;font-weight:600;text-transform:uppercase;"
        "letter-spacing:.04em;border:1px solid currentColor;border-radius:4px;padding:.1em .4em;vertical-align:.1em}"
        ".critical .mark{color:var(--control)}.wide{overflow-x:auto}"
        "table{border-collapse:collapse;font-size:.9rem}th,td{text-align:left;padding:.25rem .9rem .25rem 0;"
        "border-bottom:1px solid var(--grid);vertical-align:top}"
        ".plots{display:flex;flex-wrap:wrap;gap:.8rem;margin:.8rem 0}figure{margin:0}"
        "figure svg{max-width:100%;height:auto;display:block}svg text{font-size:12px}.b{font-weight:600}"
    )
