// Draw your own trap: the exact law, the trained translator and the distilled law, all computed in the page.
//
// Plain script, no library, no network. `rediscover.trap(place, data)` builds the widget inside an element; the
// functions before it are the physics, and are exported so that they can be tested against the library.
(function (root) {
  "use strict";

  const FINE = 6; // points of a line in each site

  // --- the three theories

  /** Exact wave: (psi, psi') at the right edge of every site, from (1, 0) at the left end. Chapter 1. */
  function propagate(V, spacing, energy) {
    let psi = 1, dpsi = 0;
    const wave = { psi: [], dpsi: [], density: [] };
    for (const v of V) {
      const u = 2 * (v - energy), k = Math.sqrt(Math.abs(u)), x = k * spacing;
      const c = u > 0 ? Math.cosh(x) : Math.cos(x);
      const s = k === 0 ? spacing : (u > 0 ? Math.sinh(x) : Math.sin(x)) / k;
      [psi, dpsi] = [c * psi + s * dpsi, u * s * psi + c * dpsi];
      wave.psi.push(psi);
      wave.dpsi.push(dpsi);
      wave.density.push(psi * psi);
    }
    return wave;
  }

  /** Density that the GRU writes, and its hidden state after the first site. Chapter 2. */
  function translate(net, V) {
    const n = net.units, sigmoid = (x) => 1 / (1 + Math.exp(-x)), inner = new Float64Array(3 * n);
    let h = new Float64Array(n), first = null;
    const density = V.map((potential) => {
      const v = (potential - net.shift) / net.scale, next = new Float64Array(n);
      inner.set(net.recurrent_bias);
      for (let i = 0; i < n; i++) {
        for (let j = 0, at = 3 * n * i; j < 3 * n; j++) inner[j] += h[i] * net.recurrent_kernel[at + j];
      }
      for (let j = 0; j < n; j++) {
        const input = (k) => v * net.kernel[k] + net.bias[k];
        const z = sigmoid(input(j) + inner[j]), r = sigmoid(input(n + j) + inner[n + j]);
        next[j] = z * h[j] + (1 - z) * Math.tanh(input(2 * n + j) + r * inner[2 * n + j]);
      }
      h = next;
      first = first || h;
      return h.reduce((sum, x, j) => sum + x * net.readout_kernel[j], net.readout_bias[0]);
    });
    return { density, first };
  }

  /** Two latents from one hidden state, carried along by the distilled law, and the density of them. Chapter 3. */
  function distil(law, net, V, hidden) {
    const hiddenUnits = law.encoder_bias.length;
    const g = [law.latent_bias[0], law.latent_bias[1]];
    for (let j = 0; j < hiddenUnits; j++) {
      let x = law.encoder_bias[j];
      for (let i = 0; i < net.units; i++) {
        x += ((hidden[i] - law.centre[i]) / law.spread[0]) * law.encoder_kernel[i * hiddenUnits + j];
      }
      for (const d of [0, 1]) g[d] += Math.tanh(x) * law.latent_kernel[2 * j + d];
    }
    const latents = V.map((potential, site) => {
      if (site > 0) {
        const v = (potential - net.shift) / net.scale;
        const T = [0, 1, 2, 3].map((e) => law.taylor[e] + v * (law.taylor[4 + e] + v * law.taylor[8 + e]));
        [g[0], g[1]] = [T[0] * g[0] + T[1] * g[1], T[2] * g[0] + T[3] * g[1]];
      }
      return [g[0], g[1]];
    });
    const [a, b, c, d] = law.form;
    return { latents, density: latents.map(([x, y]) => a * x * x + (b + c) * x * y + d * y * y) };
  }

  /** Latents in the basis of (psi, psi'), with the sign that a density cannot tell chosen to match the wave. */
  function inBasisOf(wave, latents, align) {
    const turned = latents.map(([x, y]) => [x * align[0] + y * align[2], x * align[1] + y * align[3]]);
    const overlap = turned.reduce((sum, [p, q], i) => sum + p * wave.psi[i] + q * wave.dpsi[i], 0);
    return overlap < 0 ? turned.map(([p, q]) => [-p, -q]) : turned;
  }

  /** Coefficient of determination of a density, 1 where it is exact. */
  function r2(exact, density) {
    const mean = exact.reduce((a, b) => a + b) / exact.length;
    const sum = (f) => exact.reduce((total, x, i) => total + f(x, i) ** 2, 0);
    return 1 - sum((x, i) => x - density[i]) / Math.max(sum((x) => x - mean), 1e-12);
  }

  /** Arrays of the page's data come as base64 of little-endian 32-bit floats. */
  function unpack(entries) {
    const floats = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
    return Object.fromEntries(Object.entries(entries).map(([k, x]) => [k, typeof x === "string" ? floats(x) : x]));
  }

  // --- drawing

  function element(name, attributes, parent) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    if (parent) parent.append(made);
    return made;
  }

  function html(name, attributes, parent, text) {
    const made = Object.assign(document.createElement(name), attributes);
    if (text) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }

  /** An svg with axes that is redrawn when its width changes; x and y map numbers to pixels. */
  class Panel {
    constructor(parent, label, height, margin) {
      this.svg = element("svg", { class: "trap-panel", role: "img", "aria-label": label }, parent);
      this.height = height;
      this.margin = margin;
      this.back = element("g", {}, this.svg);
      this.front = element("g", {}, this.svg);
    }
    scale(xRange, yRange) {
      const { left, right, top, bottom } = this.margin, width = this.svg.parentNode.clientWidth;
      if (width !== this.width) {
        this.width = width;
        this.svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
        this.svg.setAttribute("height", this.height);
      }
      const linear = ([from, to], start, end) => (value) => start + ((value - from) / (to - from)) * (end - start);
      this.x = linear(xRange, left, width - right);
      this.y = linear(yRange, this.height - bottom, top);
    }
    /** Axes and their numbers, redrawn only when something of them changes. */
    axes(xTicks, yTicks, xName, yName) {
      const wanted = JSON.stringify([this.width, xTicks, yTicks, this.y(yTicks[0]), this.y(yTicks[1])]);
      if (wanted === this.drawn) return;
      this.drawn = wanted;
      this.back.replaceChildren();
      const { left, right, top, bottom } = this.margin, low = this.height - bottom;
      element("path", { class: "trap-axis", d: `M${left} ${top}V${low}H${this.width - right}` }, this.back);
      for (const t of xTicks) {
        element("text", { x: this.x(t), y: low + 15, "text-anchor": "middle" }, this.back).textContent = shown(t);
      }
      for (const t of yTicks) {
        element("text", { x: left - 6, y: this.y(t) + 4, "text-anchor": "end" }, this.back).textContent = shown(t);
      }
      const names = { x: this.width - right, y: low + 30, "text-anchor": "end", class: "trap-name" };
      element("text", names, this.back).textContent = xName;
      element("text", { x: left - 30, y: top - 8, class: "trap-name" }, this.back).textContent = yName;
    }
  }

  const plain = (t) => (Math.abs(t) < 1e5 ? String(+t.toFixed(2)) : t.toExponential(0).replace("+", ""));
  const shown = (t) => plain(t).replace("-", "−");
  const path = (points) => "M" + points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // --- the widget

  function trap(place, data) {
    const net = unpack(data.translator), law = unpack(data.law), sites = data.sites;
    const [low, high] = data.range, [floor, ceiling] = data.canvas, bar = sites * data.spacing;
    const drawn = new Float64Array(sites);
    const state = { trap: Object.keys(data.traps)[0], depth: 1, roughness: 0, rough: 0, site: 12, V: [] };

    const box = html("div", { className: "trap" }, place);
    const controls = html("div", { className: "trap-controls" }, box);
    const left = html("div", { className: "trap-left" }, box), right = html("div", { className: "trap-right" }, box);
    const margin = { left: 44, right: 10, top: 24, bottom: 34 };
    const canvas = new Panel(left, "", 200, margin);
    const plot = new Panel(left, "Density along the trap", 220, margin);
    const legend = html("ul", { className: "trap-legend" }, left);
    for (const [kind, text] of [["exact", "exact"], ["translator", "translator, trained"],
                                ["distilled", "distilled law, two variables"], ["beyond", "beyond the edge"],
                                ["band", "potentials of the training"], ["dotted", "energy"]]) {
      html("li", { className: `trap-${kind}` }, legend, text);
    }
    const phasor = new Panel(right, "The state (ψ, ψ′) at every site", 300, { ...margin, left: 50, right: 14 });

    // controls
    const field = (text) => html("label", {}, controls, text + " ");
    const choose = html("select", {}, field("Trap"));
    for (const name of Object.keys(data.traps)) html("option", { value: name }, choose, name);
    const values = [];
    const slider = (text, attributes, parent) => {
      const span = html("span", { className: "trap-slider" }, parent || controls);
      const input = html("input", { type: "range" }, html("label", {}, span, text + " "));
      values.push([input, html("span", { ariaHidden: "true" }, span)]);  // a slider says its value itself
      return Object.assign(input, attributes);
    };
    const depth = slider("Depth", { min: 0, max: 2, step: 0.02, value: 1 });
    const roughness = slider("Roughness", { min: 0, max: 0.6, step: 0.01, value: 0 });
    const [another, undo, clear] = ["Other roughness", "Undo", "Clear drawing"].map(
      (text) => html("button", { type: "button" }, controls, text));
    const walk = html("div", { className: "trap-walk" }, right);
    const said = html("p", { className: "trap-said" }, right);
    said.setAttribute("role", "status");
    const at = slider("Site", { min: 1, max: sites, step: 1, value: state.site + 1 }, walk);
    const play = html("button", { type: "button" }, walk, "Play");

    // what is drawn anew at every change
    canvas.svg.setAttribute("role", "slider");
    canvas.svg.setAttribute("tabindex", "0");
    canvas.svg.setAttribute("aria-valuemin", floor);
    canvas.svg.setAttribute("aria-valuemax", ceiling);
    const keys = "left and right choose a site, up and down move its potential";
    canvas.svg.setAttribute("aria-label", `Potential, site by site: ${keys}`);
    canvas.svg.classList.add("trap-canvas");
    const trained = element("rect", { class: "trap-trained" }, canvas.front);
    const inside = element("path", { class: "trap-potential" }, canvas.front);
    const outside = element("path", { class: "trap-outside" }, canvas.front);
    const energy = element("path", { class: "trap-energy" }, canvas.front);
    const cursor = element("rect", { class: "trap-cursor" }, canvas.front);
    const lines = {}, dots = {}, orbit = {};
    lines.exact = element("path", { class: "trap-line trap-exact" }, plot.front);
    orbit.exact = element("path", { class: "trap-line trap-exact" }, phasor.front);
    for (const kind of ["translator", "distilled"]) {
      dots[kind] = element("path", { class: `trap-dots trap-${kind}` }, plot.front);
    }
    orbit.distilled = element("path", { class: "trap-dots trap-distilled" }, phasor.front);
    const here = element("path", { class: "trap-here" }, plot.front);
    const arrow = element("path", { class: "trap-arrow" }, phasor.front);
    const tip = element("circle", { class: "trap-tip", r: 5 }, phasor.front);
    const circle = (x, y) => `M${(x - 2.6).toFixed(1)} ${y.toFixed(1)}a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0 -5.2 0`;
    const edge = (x, y, up) => `M${(x - 3.5).toFixed(1)} ${y.toFixed(1)}h7l-3.5 ${up ? -7 : 7}Z`;
    const cross = (x, y) => `M${(x - 3).toFixed(1)} ${(y - 3).toFixed(1)}l6 6m0 -6l-6 6`;

    const unbounded = (i) => high - state.depth * (high - low) * data.traps[state.trap][i]
      + state.roughness * data.roughness[state.rough][i] + drawn[i];
    const potential = () => Array.from(drawn, (_, i) => clamp(unbounded(i), floor, ceiling));

    const rightEdge = (i) => (i + 1) * data.spacing;
    const outsider = (v) => v < low - 1e-9 || v > high + 1e-9;

    function render() {
      const V = state.V = potential();
      const wave = propagate(V, data.spacing, data.energy);
      const fine = propagate(V.flatMap((v) => Array(FINE).fill(v)), data.spacing / FINE, data.energy);
      const { density, first } = translate(net, V);
      const distilled = distil(law, net, V, first);
      for (const [input, value] of values) value.textContent = shown(+input.value);
      showPotential(V);
      showDensities(fine, { translator: density, distilled: distilled.density });
      showState(fine, inBasisOf(wave, distilled.latents, law.align));
      report(r2(wave.density, density), r2(wave.density, distilled.density), V.filter(outsider).length);
    }

    function showPotential(V) {
      const bottom = floor - 0.1;
      canvas.scale([0, bar], [bottom, ceiling]);
      canvas.axes([], [floor, low, high, 0], "", "potential V");
      const { x, y } = canvas, at = (value) => value.toFixed(1);
      const step = (v, i) =>
        `M${at(x(i * data.spacing))} ${at(y(bottom))}V${at(y(v))}H${at(x(rightEdge(i)))}V${at(y(bottom))}Z`;
      const steps = (wanted) => V.map((v, i) => (outsider(v) === wanted ? step(v, i) : "")).join("");
      inside.setAttribute("d", steps(false));
      outside.setAttribute("d", steps(true));
      energy.setAttribute("d", `M${x(0)} ${y(data.energy)}H${x(bar)}`);
      frame(trained, x(0), y(high), x(bar) - x(0), y(low) - y(high));
      frame(cursor, x(state.site * data.spacing), y(ceiling), x(data.spacing) - x(0), y(bottom) - y(ceiling));
      const here = V[state.site];
      canvas.svg.setAttribute("aria-valuenow", here.toFixed(2));
      canvas.svg.setAttribute("aria-valuetext", `site ${state.site + 1} of ${sites}: potential ${shown(here)}`);
    }

    function showDensities(fine, said) {
      const ticks = nice(Math.max(1, ...fine.density)), top = ticks[ticks.length - 1];
      plot.scale([0, bar], [0, top]);
      plot.axes([0, 4, 8, 12, 16], ticks, "distance", "density ρ");
      const { x, y } = plot, line = [1, ...fine.density].map((value, i) => [x((i * data.spacing) / FINE), y(value)]);
      lines.exact.setAttribute("d", path(line));
      for (const [kind, mark] of [["translator", circle], ["distilled", cross]]) {
        const spots = said[kind].map((value, i) => (value > 1.03 * top || value < -0.03 * top
          ? edge(x(rightEdge(i)), y(value > 0 ? top : 0), value > 0) : mark(x(rightEdge(i)), y(value))));
        dots[kind].setAttribute("d", spots.join(""));
      }
      here.setAttribute("d", `M${x(rightEdge(state.site)).toFixed(1)} ${y(0)}V${plot.margin.top}`);
    }

    function showState(fine, latents) {
      const [p, q] = [fine.psi, fine.dpsi].map((values) => 1.08 * Math.max(1.2, ...values.map(Math.abs)));
      phasor.scale([-p, p], [-q, q]);
      phasor.axes(around(p), around(q), "ψ", "slope ψ′");
      const spot = ([a, b]) => [phasor.x(clamp(a, -p, p)), phasor.y(clamp(b, -q, q))];
      orbit.exact.setAttribute("d", path([[1, 0], ...fine.psi.map((a, i) => [a, fine.dpsi[i]])].map(spot)));
      orbit.distilled.setAttribute("d", latents.map((state) => cross(...spot(state))).join(""));
      const [x, y] = spot(latents[state.site]);
      arrow.setAttribute("d", `M${phasor.x(0)} ${phasor.y(0)}L${x.toFixed(1)} ${y.toFixed(1)}`);
      tip.setAttribute("cx", x.toFixed(1));
      tip.setAttribute("cy", y.toFixed(1));
    }

    let waiting = 0, saying = 0, wanted = "";
    const soon = () => { waiting = waiting || requestAnimationFrame(() => { waiting = 0; render(); }); };
    function report(translator, distilled, beyond) {
      const score = (value) => (value < 0 ? "below 0" : value.toFixed(3)), range = `${shown(low)} … ${shown(high)}`;
      const words = "Agreement with the exact density (R²: 1 is perfect, 0 no better than its mean): " +
        `translator ${score(translator)}, distilled law ${score(distilled)}. ` +
        (beyond ? `${beyond} of ${sites} sites lie outside ${range}, the range of the training: which fails first?`
                : `All sites lie within ${range}, where they were trained.`);
      said.classList.toggle("trap-warning", beyond > 0);
      if (words === wanted) return;
      wanted = words;
      clearTimeout(saying);  // screen readers are told when the hand rests
      saying = setTimeout(() => { said.textContent = words; }, said.textContent ? 250 : 0);
    }

    // drawing by pointer: mouse, pen and touch alike; a drag that leaves the canvas goes on along its edge
    let last = null;
    function draw(event) {
      const frame = canvas.svg.getBoundingClientRect(), { left: l, right: r, top: t, bottom: b } = canvas.margin;
      const site = clamp(Math.floor(((event.clientX - frame.left - l) / (frame.width - l - r)) * sites), 0, sites - 1);
      const down = (event.clientY - frame.top - t) / (canvas.height - t - b);
      const value = clamp(ceiling - down * (ceiling - floor + 0.1), floor, ceiling);
      const from = last || [site, value], span = Math.abs(site - from[0]) || 1;
      for (let i = 0; i <= span; i++) {
        put(from[0] + Math.sign(site - from[0]) * i, from[1] + ((value - from[1]) * i) / span);
      }
      last = [site, value];
      state.site = site;
      at.value = site + 1;
      soon();
    }
    const past = [];  // what was drawn before each stroke
    const remember = () => past.push(Float64Array.from(drawn));
    function put(site, value) {
      drawn[site] += value - unbounded(site);
    }
    canvas.svg.addEventListener("pointerdown", (event) => {
      if (event.button || !event.isPrimary) return;  // another button opens a menu, a second finger zooms
      canvas.svg.setPointerCapture(event.pointerId);
      last = null;
      remember();
      draw(event);
    });
    canvas.svg.addEventListener("pointermove", (event) => canvas.svg.hasPointerCapture(event.pointerId) && draw(event));
    canvas.svg.addEventListener("keydown", (event) => {
      const by = event.shiftKey ? 0.1 : 0.02;
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], Home: [-sites, 0], End: [sites, 0] };
      const go = { ...moves, ArrowUp: [0, by], ArrowDown: [0, -by] }[event.key];
      if (!go) return;
      event.preventDefault();
      state.site = clamp(state.site + go[0], 0, sites - 1);
      at.value = state.site + 1;
      if (go[1]) {
        remember();
        put(state.site, clamp(potential()[state.site] + go[1], floor, ceiling));
      }
      soon();
    });
    choose.addEventListener("change", () => { state.trap = choose.value; drawn.fill(0); past.length = 0; soon(); });
    depth.addEventListener("input", () => { state.depth = +depth.value; soon(); });
    roughness.addEventListener("input", () => { state.roughness = +roughness.value; soon(); });
    another.addEventListener("click", () => {
      state.rough = (state.rough + 1) % data.roughness.length;
      if (+roughness.value === 0) roughness.value = state.roughness = 0.2;
      soon();
    });
    undo.addEventListener("click", () => { drawn.set(past.pop() || drawn); soon(); });
    clear.addEventListener("click", () => { remember(); drawn.fill(0); soon(); });
    at.addEventListener("input", () => { state.site = at.value - 1; soon(); });
    let playing = 0;
    play.addEventListener("click", () => {
      const on = !playing;
      clearInterval(playing);
      const next = () => { state.site = (state.site + 1) % sites; at.value = state.site + 1; soon(); };
      playing = on && setInterval(next, 120);
      play.textContent = on ? "Pause" : "Play";
    });
    new ResizeObserver(soon).observe(box);
    render();
    return { state, render, set(V) { V.forEach((v, i) => put(i, v)); render(); } };
  }

  const STEPS = Array.from({ length: 60 }, (_, i) => [1, 2, 5][i % 3] * 10 ** (Math.floor(i / 3) - 1));
  const around = (most) => [-1, 0, 1].map((sign) => sign * STEPS.findLast((s) => s <= most));

  function nice(top) {
    const step = STEPS.find((s) => top / s <= 4.5);
    return Array.from({ length: Math.max(Math.ceil(top / step), 1) + 1 }, (_, i) => i * step);
  }

  function frame(rect, x, y, width, height) {
    for (const [key, value] of Object.entries({ x, y, width, height })) rect.setAttribute(key, value.toFixed(1));
  }

  root.rediscover = { ...root.rediscover, propagate, translate, distil, inBasisOf, r2, unpack, trap };
})(typeof window === "undefined" ? globalThis : window);
