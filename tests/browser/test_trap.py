"""The page on which one draws a trap: it computes what Keras computes, and answers to mouse, touch and keyboard."""

import contextlib
import io
import os
import statistics
from pathlib import Path

import nbformat
import numpy as np
import pytest
from sklearn.metrics import r2_score

from rediscover import potentials, simulator
from rediscover.law import Law

BOOK = Path(__file__).resolve().parents[2] / "book"
CANVAS = ".trap-canvas"


@pytest.fixture(scope="module")
def networks():
    """Translator, population and best member, made as the page's own cells make them."""
    space, folder = {}, Path.cwd()
    before, os.environ["REDISCOVER_TIER"] = os.environ.get("REDISCOVER_TIER"), "standard"
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            for cell in nbformat.read(BOOK / "trap.ipynb", as_version=4).cells:
                if cell.cell_type == "code" and "noscript" not in cell.source:
                    exec(cell.source, space)
                if "align =" in cell.source:
                    break
    finally:
        os.chdir(folder)
        os.environ.pop("REDISCOVER_TIER") if before is None else os.environ.update(REDISCOVER_TIER=before)
    return space["gru"], space["population"], space["best"]


def told(page, theory):
    """The score of a theory, as the page says it."""
    said = page.locator(".trap-said").inner_text()
    return float(said.split(theory)[1].split()[0].strip(",."))


@pytest.fixture
def trap(visit, address):
    def open_it(**options):
        seen = visit(viewport={"width": 1200, "height": 900}, **options)
        seen.page.goto(f"{address}/book/trap.html", wait_until="load")
        seen.page.wait_for_selector(CANVAS)
        seen.page.locator(CANVAS).scroll_into_view_if_needed()
        return seen.page

    return open_it


def potential(page):
    return np.array(page.evaluate("rediscover.page.state.V"))


def settled(page):
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_equals_keras_on_a_hundred_potentials(trap, networks, measure):
    gru, population, best = networks
    V = potentials.random(100, 40, seed=5)
    said = trap().evaluate(
        """(chains) => {
            const data = rediscover.data, net = rediscover.unpack(data.translator), law = rediscover.unpack(data.law);
            return chains.map((V) => {
                const { density, first } = rediscover.translate(net, V);
                return [density, rediscover.distil(law, net, V, first).density,
                        rediscover.propagate(V, data.spacing, data.energy).density];
            });
        }""",
        V.tolist(),
    )
    translated, distilled, exact = np.moveaxis(np.array(said), 1, 0)
    # Keras's latents, carried on in float64 as the page does: single precision alone makes 1e-5 of a density of ten
    first = np.asarray(population.encode(gru.hidden_states(V)[:, 0]))[:, best]
    latents = Law(population.coefficients()[best], *gru.potential, spacing=0.4).roll_out(first, V[:, 1:])
    by_law = np.einsum("nsi,ij,nsj->ns", latents, population.forms()[best], latents)
    for what, found, expected, limit in (
        ("the translator", translated, gru.translate(V), 1e-5),
        ("the distilled law", distilled, by_law, 1e-5),
        ("the exact density", exact, simulator.propagate(V, 0.4).density, 1e-9),
    ):
        away = float(np.abs(found - expected).max())
        measure(f"largest difference between page and Python, 100 potentials, {what}", away, limit)


def test_scores_and_signs_as_the_library_does(trap):
    rng = np.random.default_rng(0)
    exact, density, wave = rng.normal(size=(3, 40))
    page = trap()
    given = page.evaluate("([exact, density]) => rediscover.r2(exact, density)", [exact.tolist(), density.tolist()])
    assert given == pytest.approx(r2_score(exact, density))
    turned = page.evaluate(
        """([psi, dpsi, align]) => rediscover.inBasisOf({ psi, dpsi }, psi.map((x, i) => [-x, -dpsi[i]]), align)""",
        [wave.tolist(), density.tolist(), [1, 0, 0, 1]],
    )
    assert np.allclose(turned, np.stack([wave, density], 1))  # the wave's own sign, not the one handed in


def test_mouse_draws_and_stays_on_the_canvas(trap):
    page = trap()
    box, before = page.locator(CANVAS).bounding_box(), potential(page)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 120, steps=4)
    page.mouse.move(box["x"] + box["width"] + 300, box["y"] - 200, steps=4)  # off the canvas, to the upper right
    page.mouse.up()
    page.mouse.move(box["x"] + 100, box["y"] + 100)  # not drawing any more
    settled(page)
    after = potential(page)
    assert np.array_equal(after[:15], before[:15])
    assert np.all(after[20:] != before[20:])
    assert after[-1] == pytest.approx(page.evaluate("rediscover.data.canvas[1]"))
    page.mouse.click(box["x"] + box["width"] * 0.3, box["y"] + 40)  # a second stroke
    settled(page)
    assert not np.array_equal(potential(page), after)
    page.get_by_role("button", name="Undo").click()
    settled(page)
    assert np.allclose(potential(page), after)
    page.get_by_role("button", name="Clear drawing").click()
    settled(page)
    assert np.allclose(potential(page), before)


def test_a_finger_draws_and_does_not_scroll(trap):
    page = trap(has_touch=True)
    box, before, top = page.locator(CANVAS).bounding_box(), potential(page), page.evaluate("scrollY")
    finger = page.context.new_cdp_session(page)
    for step in range(5):
        at = {"x": box["x"] + box["width"] * (0.4 + 0.05 * step), "y": box["y"] + 40 + 20 * step}
        kind = "touchMove" if step else "touchStart"
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    settled(page)
    assert np.sum(potential(page) != before) >= 8
    assert page.evaluate("scrollY") == top


def test_another_button_does_not_draw(trap):
    page = trap()
    before = potential(page)
    page.locator(CANVAS).click(button="right")
    settled(page)
    assert np.array_equal(potential(page), before)


def test_what_is_drawn_stays_where_the_trap_would_leave_the_canvas(trap):
    page = trap()
    for label, value in (("Depth", "2"), ("Roughness", "0.6")):
        page.get_by_label(label).fill(value)
    wanted = np.linspace(-1, -0.4, 40)
    page.evaluate("V => rediscover.page.set(V)", wanted.tolist())
    assert np.allclose(potential(page), wanted)
    page.locator(CANVAS).focus()
    page.keyboard.press("ArrowUp")
    settled(page)
    assert np.abs(potential(page) - wanted).max() == pytest.approx(0.02)


def test_keyboard_chooses_a_site_and_moves_it(trap):
    page = trap()
    canvas, before = page.locator(CANVAS), potential(page)
    canvas.focus()
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowUp"):
        page.keyboard.press(key)
    settled(page)
    change = potential(page) - before
    assert np.flatnonzero(change).tolist() == [2]
    assert change[2] == pytest.approx(0.12)
    assert canvas.get_attribute("aria-valuetext").startswith("site 3 of 40: potential")


def test_says_where_nobody_trained_it_and_lets_it_fail(trap):
    page = trap()
    said = page.locator(".trap-said")
    assert "All sites lie within" in said.inner_text()
    page.get_by_label("Depth").fill("2")
    page.wait_for_function("document.querySelector('.trap-said').textContent.includes('outside')")
    translator, law = told(page, "translator"), told(page, "distilled law")
    assert translator < 0.9 < law
    page.get_by_role("combobox").select_option("lattice")  # and there, roughened, the law fails, too
    page.get_by_label("Roughness").fill("0.6")
    page.wait_for_timeout(600)  # it is said when the hand rests
    assert told(page, "distilled law") < 0.9


def test_marks_beyond_the_edge_are_drawn_as_such(trap):
    page = trap()
    page.get_by_role("combobox").select_option("barrier")
    page.get_by_label("Depth").fill("2")
    settled(page)
    assert "Z" in page.locator(".trap-dots.trap-translator").first.get_attribute("d")


def test_every_control_does_something(trap):
    page = trap()
    seen = [potential(page)]
    for act in (
        lambda: page.get_by_role("combobox").select_option("barrier"),
        lambda: page.get_by_label("Roughness").fill("0.3"),
        lambda: page.get_by_role("button", name="Other roughness").click(),
    ):
        act()
        settled(page)
        seen.append(potential(page))
        assert not np.array_equal(seen[-1], seen[-2])
    page.get_by_role("button", name="Play").click()
    page.wait_for_timeout(400)
    site, tip = page.get_by_role("slider", name="Site", exact=True), page.locator(".trap-tip")
    assert site.input_value() != "13"
    page.get_by_role("button", name="Pause").click()
    settled(page)
    resting = site.input_value(), tip.get_attribute("cx")
    page.wait_for_timeout(400)
    assert (site.input_value(), tip.get_attribute("cx")) == resting
    site.fill("3")
    settled(page)
    assert tip.get_attribute("cx") != resting[1]


def test_scores_are_told_while_it_plays(trap):
    page = trap()
    page.get_by_role("button", name="Play").click()
    page.get_by_label("Depth").fill("2")
    page.wait_for_function("/lie outside/.test(document.querySelector('.trap-said').textContent)")


def test_a_change_is_drawn_in_time(trap, measure):
    page = trap()
    times = page.evaluate(
        """() => Array.from({ length: 200 }, (_, i) => {
            const V = rediscover.data.traps.flat.map((_, site) => -0.65 + 0.3 * Math.sin(site + i));
            const begin = performance.now();
            rediscover.page.set(V);
            document.querySelector(".trap").getBoundingClientRect();  // lays the page out, as a frame would
            return performance.now() - begin;
        })"""
    )
    measure("a change of the potential is drawn, median of 200, ms", statistics.median(times), 16)


def test_without_javascript_there_is_a_picture(visit, address):
    page = visit(java_script_enabled=False).page
    page.goto(f"{address}/book/trap.html")
    assert page.locator("noscript p").is_visible()  # "text=" does not look into it
    assert page.locator("#fig-trap img").is_visible()
    assert page.locator(".trap").count() == 0


def test_on_paper_there_is_a_picture(trap):
    page = trap()
    page.emulate_media(media="print")
    assert not page.locator(".trap").is_visible()
    assert page.locator("#fig-trap img").is_visible()


@pytest.mark.parametrize("chapter", ["03_distiller", "04_two_numbers", "08_parsimony"])
def test_sliders_move_by_keyboard_and_are_whole_without_javascript(visit, address, chapter):
    page = visit().page
    page.goto(f"{address}/book/{chapter}.html", wait_until="load")
    images, control = page.locator("figure.slider img"), page.locator("figure.slider input")
    shown = [image.is_visible() for image in images.all()]
    assert sum(shown) == 1
    control.focus()
    page.keyboard.press("ArrowRight")
    after = [image.is_visible() for image in images.all()]
    assert after.index(True) == shown.index(True) + 1
    assert sum(after) == 1
    assert control.get_attribute("aria-valuetext") == page.locator("figure.slider span").inner_text()
    still = visit(java_script_enabled=False).page
    still.goto(f"{address}/book/{chapter}.html")
    assert sum(image.is_visible() for image in still.locator("figure.slider img").all()) == 1
    assert not still.locator("figure.slider input").is_visible()
