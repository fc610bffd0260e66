"""One HTML page on what was found: everything is in it, it loads nothing, and it holds no script."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape
from io import StringIO
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import store
from .law import with_error
from .plots import COLOURS
from .verdict import Limit

if TYPE_CHECKING:
    from .discovery import Discovery

MEASURED, PREDICTED, MUTED = COLOURS["exact"], COLOURS["density"], COLOURS["potential"]
MARKS = {"quadratic": "o", "linear": "s"}  # tell readouts apart where colours do not
RESIDUAL = "#882255"
LONGEST = 1000  # sites of a chain that are drawn: more would be no clearer, but a larger page
STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "rediscover",  # or names within a figure would be drawn at random
    "text.parse_math": False,
}
MEANS = {
    "unexplained": "Share of the density's variance that is left, on pictures held out.",
    "over its rivals": "What this law leaves, over what the best that it must match leaves.",
    "over fewer variables": "Ten times what this law leaves, over what the best with fewer variables leaves.",
    "residual": "How far the trace of the law strays from that of a wave, as a share of the trace's range.",
    "scattering": "The same where two potentials meet.",
    "determinant": "How far the determinant of the law is from 1, as a share of the trace's range.",
    "local over best law": "What the potential at each site alone leaves, over what the best law leaves. Within the"
    " limit, no memory is needed.",
}
CSS = """
:root{color-scheme:light dark;--page:#fff;--text:#1a1a1a;--soft:#595959;--line:#d4d4d4}
@media(prefers-color-scheme:dark){:root{--page:#16181b;--text:#e9e9e9;--soft:#b4b4b4;--line:#4a4f55}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:74rem;padding:1.5rem 1rem 3rem;background:var(--page);color:var(--text);
font:1rem/1.55 system-ui,sans-serif;overflow-wrap:break-word}
h1{font-size:clamp(2.2rem,9vw,4rem);line-height:1.1;margin:0 0 .75rem} h1::first-letter{text-transform:uppercase}
h2{font-size:1.3rem;margin:2.5rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--line)}
p,dl{max-width:46rem;margin:.5rem 0} .lead{font-size:1.2rem} .wave{font-size:1.35rem}
.wave span{display:inline-block;margin-right:2rem} .soft,figcaption{color:var(--soft);font-size:.9rem}
dl{display:grid;grid-template-columns:fit-content(40%) minmax(0,1fr);gap:.3rem 1.25rem}
dt{font-weight:600} dd{margin:0}
table{border-collapse:collapse;margin:.75rem 0} td{font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem 1.5rem .3rem 0;border-bottom:1px solid var(--line)}
ul,.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,19rem),1fr));gap:1.25rem;
margin:1rem 0;padding:0;list-style:none} li p{margin:.2rem 0}
.bar{display:block;height:.65rem;border:1px solid var(--text)}
.bar i{display:block;height:100%;background:var(--soft);print-color-adjust:exact}
.bar .over{background:repeating-linear-gradient(45deg,var(--text) 0 4px,var(--page) 4px 7px)}
figure{margin:0} figcaption{padding-top:.35rem}
figure svg{display:block;width:100%;height:auto;background:#fff;border:1px solid var(--line);border-radius:4px}
pre{font:.9rem/1.6 ui-monospace,monospace;white-space:pre-wrap;max-width:60rem;margin:.75rem 0}
pre span{display:block;padding-left:2.5em;text-indent:-2.5em}
@media print{:root{color-scheme:light;--page:#fff;--text:#000;--soft:#444;--line:#bbb}
body{font-size:10pt;max-width:none;padding:0} ul,.figures{grid-template-columns:1fr 1fr}
figure,li,tr,pre{break-inside:avoid} h2{break-after:avoid}}
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{css}</style>
</head>
<body><main>
{body}
</main></body>
</html>
"""


def write(found: Discovery, path: Path) -> Path:
    """Write the report of a fitted `Discovery`, complete or not at all; the same one gives the same bytes.

    Raises
    ------
    OSError
        If nothing can be written there.
    """
    with mpl.style.context(["default", STYLE]):  # a report does not look as the session around it does
        parts = [_verdict(found), _given(found), _limits(found), _variables(found), _law(found), _fit(found)]
        parts.append(_history(found))
    page = PAGE.format(title=escape(f"What was found: {found.verdict_.kind}"), css=CSS, body="\n".join(parts))
    with store.atomic_write(path) as file:
        file.write(page.encode())
    return path


def _verdict(found: Discovery) -> str:
    verdict, beside, law = found.verdict_, found.beside_, found.law_
    way = "by direct fits" if found.method == "direct" else "through networks"
    out = [_text(f"What was found, {way}", "soft"), f"<h1>{escape(verdict.kind)}</h1>", _text(verdict.because, "lead")]
    if wave := verdict.wave:
        mass, energy = with_error(wave.mass, wave.mass_error), with_error(wave.energy, wave.energy_error)
        out.append(f'<p class="wave"><span>mass <i>m</i> = {mass}</span> <span>energy <i>E</i> = {energy}</span></p>')
        units = "Every ± is one standard error. Units: ħ = 1, lengths as the spacing, energies as the potential."
        known = law is not None and law.energy is not None
        out.append(_text(units + (f" The energy that you gave is {law.energy:.6g}." if known else ""), "soft"))
    if beside is not None:
        same = "the same" if beside.kind == verdict.kind else "something else"
        wave = f", {beside.wave}" if beside.wave else ""
        out.append(_text(f"A direct fit, without networks, says {same}: {beside.kind}{wave}. {_large(beside.because)}"))
    return "\n".join(out) + _section("What would change the verdict", _text(verdict.change))


def _given(found: Discovery) -> str:
    rows = [f"<dt>{escape(str(name))}</dt><dd>{escape(str(said))}</dd>" for name, said in found.given_]
    return _section("What was given, and what was assumed", "<dl>", *rows, "</dl>")


def _limits(found: Discovery) -> str:
    intro = _text("The limits were fixed before anything was found. A full bar is a limit reached.")
    return _section(
        "The numbers that the verdict rests on", intro, "<ul>", *map(_limit, found.verdict_.limits), "</ul>"
    )


def _limit(limit: Limit) -> str:
    known = bool(np.isfinite(limit.share))
    used = f"{limit.value:.3g} where {limit.limit:g} is allowed" if known else "no finite number"
    word, look = ("within its limit", "") if limit.passes else ("beyond its limit", "over")
    width = 100 * min(limit.share, 1) if known else 100
    bar = f'<span class="bar" aria-hidden="true"><i class="{look}" style="width:{width:.1f}%"></i></span>'
    means = _text(MEANS.get(limit.name, ""), "soft")
    return f"<li><p><b>{escape(limit.name)}</b>: {word}</p>{bar}<p>{used}</p>{means}</li>"


def _variables(found: Discovery) -> str:
    variables = found.n_variables_
    dims = sorted({d for by in variables.values() for d in by["held_out"]})

    def paint(ax: Axes) -> None:
        for shift, (readout, by) in zip((-0.1, 0.1), variables.items(), strict=True):
            look = {"color": COLOURS[readout], "marker": MARKS[readout]}
            for d, losses in by["losses"].items():
                ax.plot([d + shift] * len(losses), _within(losses, 3), **look, ms=3, alpha=0.45, ls="")
            best = by["held_out"]
            x, y = [d + shift for d in best], _within([*best.values()], 3)
            ax.plot(x, y, **look, label=f"{readout} readout", markerfacecolor="white")
        ax.axhline(1, color=MUTED, linestyle=":", linewidth=1)
        ax.set(xlabel="number of variables", ylabel="share left unexplained", xticks=dims)
        _decades(ax, _percent)
        _legend(ax)

    caption = (
        "Large marks, joined: the best law, on pictures held out. Small marks: every start, as its own search left it."
        " Dotted: no law at all. What lies above 300 % is drawn there."
    )
    says = [(readout, by["elbow"]) for readout, by in variables.items()]
    return _section(
        "The number of variables",
        _text(
            "How many numbers must move from site to site? The rule: the number at which the loss falls most, if it"
            " falls there at least 10-fold, and at the next at most 2-fold. The linear readout decides. With a"
            " quadratic one the density is a square, and fewer may do."
        ),
        *(
            _text(f"{readout} readout: {f'{n} by the rule' if n else 'no clear number by the rule'}.")
            for readout, n in says
        ),
        _figures(_figure("Share left unexplained against the number of variables, both readouts", caption, paint)),
        _text("What the best law of each number of variables leaves unexplained, on pictures held out:"),
        "<table>",
        _row("th", "variables", *variables),
        *(_row("td", d, *(_share(by["held_out"].get(d)) for by in variables.values())) for d in dims),
        "</table>",
    )


def _law(found: Discovery) -> str:
    law, title = found.law_, "The law"
    if law is None:
        return _section(title, _text("The verdict names no law, so none is shown."))
    lines = "".join(f"<span>{escape(line)}</span>" for line in str(law).splitlines())
    read = "Read ← as “at the next site”. V is the potential, ρ the density; every ± is one standard error."
    if law.latent_dim in (2, 3) and found.verdict_.wave is None:
        read += " A wave equation in the last line is only the nearest one: by the verdict, the law is not that wave."
    return _section(title, f"<pre>{lines}</pre>", _text(read, "soft"))


def _fit(found: Discovery) -> str:
    title, held = "Predicted and measured", getattr(found, "held_out_", None)
    if held is None:
        return _section(title, _text("A saved discovery does not keep the pictures held out, so none are shown here."))
    guess = {"no law": "the guesses of the best law there was", "local, no memory": "from the potential at each site"}
    by, n = guess.get(found.verdict_.kind, "by the law"), len(held["loss"])
    shown = f" The first {found.prompt} densities of each were shown: shaded." if found.prompt else ""
    order = np.argsort(held["loss"])
    measured, predicted = (_table(held[name]) for name in ("density", "predicted"))
    unit = np.nanstd(measured[:, found.prompt :]) or 1.0
    rest = np.ma.masked_invalid(np.clip((predicted - measured) / unit, -3, 3))

    def by_site(ax: Axes) -> None:
        _shade(ax, found.prompt)
        site = np.arange(1, rest.shape[1] + 1)[:LONGEST]
        for values, name, line in ((rest.mean(0), "mean", "-"), ((rest**2).mean(0) ** 0.5, "root mean square", "--")):
            ax.plot(site, values[:LONGEST], color=RESIDUAL, linestyle=line, label=name)
        ax.axhline(0, color=MUTED, linestyle=":", linewidth=1)
        ax.set(xlabel="site", ylabel="predicted − measured")
        ax.yaxis.set_major_formatter(_percent)
        _legend(ax)

    def histogram(ax: Axes) -> None:
        values = rest[:, found.prompt :].compressed()
        ends = np.percentile(values, [0.5, 99.5]) if len(values) else (-1, 1)
        ax.stairs(*np.histogram(np.clip(values, *ends), 41), fill=True, color=RESIDUAL)
        ax.set(xlabel="predicted − measured", ylabel="sites")
        ax.xaxis.set_major_formatter(_percent)

    site = "By site, in units of the density's standard deviation. More than three of them are drawn as three."
    both = "All sites that were not shown, in the same units. The outermost bars hold what lies beyond."
    return _section(
        title,
        _text(f"Predictions are {by}, for {n} pictures held out.{shown}"),
        _figures(*(_chain(found, *x) for x in (("Worst", order[-1]), ("Median", order[n // 2]), ("Best", order[0])))),
        _figures(
            _figure("Predicted minus measured, mean and root mean square by site", site, by_site),
            _figure("Histogram of predicted minus measured", both, histogram),
        ),
    )


def _chain(found: Discovery, name: str, row: int) -> str:
    density, predicted = (np.asarray(found.held_out_[of][row])[:LONGEST] for of in ("density", "predicted"))
    low, high = np.nanmin(density), np.nanmax(density)
    room = 0.25 * ((high - low) or 1.0)

    def paint(ax: Axes) -> None:
        site = np.arange(1, len(density) + 1)
        _shade(ax, found.prompt)
        ax.plot(site, density, color=MEASURED, lw=0.6, marker="o" if len(site) <= 100 else "", ms=3.5, label="measured")
        ax.plot(site, np.clip(predicted, low - room, high + room), color=PREDICTED, label="predicted")
        ax.set(xlabel="site", ylabel="density")
        _legend(ax)

    whole = len(found.held_out_["density"][row])
    cut = f" Drawn are the first {LONGEST} of {whole} sites." if whole > LONGEST else ""
    caption = f"{name}: {_share(found.held_out_['loss'][row])} of the density's variance is unexplained.{cut}"
    return _figure(f"Predicted and measured density, {name.lower()} of the pictures held out", caption, paint)


def _history(found: Discovery) -> str:
    groups: dict[str, dict[str, np.ndarray]] = {}
    for name, losses in found.history_.items():
        if len(losses) > 1:  # or there is nothing to see fall
            readout, _, d = name.partition(", ")
            groups.setdefault(readout, {})[d] = _within(losses, 1e3)

    def figure(name: str, curves: dict[str, np.ndarray]) -> str:
        def paint(ax: Axes) -> None:
            for (d, losses), line in zip(curves.items(), cycle([":", "-.", "--", "-"])):
                at = np.unique(np.geomspace(1, len(losses), 300).astype(int))
                ax.plot(at, losses[at - 1], ls=line, color=COLOURS.get(name, PREDICTED), label=d)
            ax.set(xscale="log", xlabel="records, one after the other", ylabel="loss")
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_formatter("")
            _decades(ax, "{x:g}")
            if name in MARKS:
                _legend(ax, 4)

        kind = " readout, by number of variables" if name in MARKS else ""
        return _figure(f"Training losses: {name}", f"{_large(name)}{kind}.", paint)

    said = (
        "On the pictures to learn from." if groups else "Each search left one loss only, so there is nothing to draw."
    )
    return _section("Losses as they fell", _text(said), _figures(*(figure(*group) for group in groups.items())))


def _figure(label: str, caption: str, paint: Callable[[Axes], None]) -> str:
    """Let `paint` draw on fresh axes; small, so that text is as large on a telephone as on a desk."""
    figure, text = Figure((3.7, 2.7), layout="constrained"), StringIO()
    paint(figure.subplots())
    figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = text.getvalue()
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg[svg.index("<svg ") :]).replace("xlink:href", "href")
    own = f"{crc32((label + svg).encode()):08x}-"  # or figures of one page would share names
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{own}", svg)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _section(title: str, *parts: str) -> str:
    return "\n".join([f"<section>\n<h2>{title}</h2>", *parts, "</section>"])


def _figures(*figures: str) -> str:
    return "\n".join(['<div class="figures">', *figures, "</div>"])


def _row(tag: str, head: object, *cells: str) -> str:
    return f"<tr><th>{head}</th>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def _text(sentence: str, look: str = "") -> str:
    return f'<p class="{look}">{escape(_large(sentence))}</p>'.replace(' class=""', "")


def _large(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _share(loss: float | None) -> str:
    return "—" if loss is None else f"{100 * loss:.3g} %" if loss < 10 else "far more than all"


def _percent(x: float, _: int = 0) -> str:
    return f"{100 * x:g} %".replace("-", "−")


def _within(losses: Sequence[float], top: float) -> np.ndarray:
    """Losses as a logarithmic axis can show them; that of a search that went astray may be infinite."""
    return np.clip(np.asarray(losses, float), 1e-12, top)


def _decades(ax: Axes, form: Callable | str) -> None:
    """Whole powers of ten, so that a logarithmic axis has marks wherever losses lie."""
    low, high = np.log10(ax.dataLim.intervaly)
    ax.set(yscale="log", ylim=(10 ** np.floor(low - 0.01), 10 ** np.ceil(high + 0.01)))
    ax.yaxis.set_major_formatter(form)
    ax.yaxis.set_minor_formatter("")


def _legend(ax: Axes, columns: int = 3) -> None:
    ax.legend(loc="lower left", bbox_to_anchor=(-0.05, 1), ncols=columns, columnspacing=1, handlelength=1.8)


def _shade(ax: Axes, prompt: int) -> None:
    if prompt:
        ax.axvspan(0.5, prompt + 0.5, color="#e4e4e4", linewidth=0, label="shown")


def _table(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of unequal length, filled up with what is not a number."""
    out = np.full((len(rows), max(map(len, rows))), np.nan)
    for line, row in zip(out, rows, strict=True):
        line[: len(row)] = row
    return out
