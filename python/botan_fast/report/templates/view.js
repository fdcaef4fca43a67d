// The particles of a report, coloured by a value, in a box that turns. WebGL where there is one, else a plain canvas.
"use strict";
(() => {
  const MOST_CONTEXTS = 8; // browsers keep about sixteen, and take away the oldest without a word
  const DISTANCE = 4; // of the eye from the middle of the box, in halves of its diagonal
  const LIGHT = [-0.35, 0.55, 0.76];
  let contexts = 0;

  const decoded = (text, Type) => {
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let k = 0; k < raw.length; k += 1) bytes[k] = raw.charCodeAt(k);
    return new Type(bytes.buffer);
  };

  // ---- what is drawn ------------------------------------------------------------------------------------------------

  // Positions about the middle of the cell, in halves of its diagonal; corners and edges of the cell likewise.
  function geometry(data) {
    const fractions = decoded(data.positions, Uint16Array);
    const number = fractions.length / 3;
    const [a, b, c] = data.cell;
    const flat = data.dimensions === 2;
    const place = (u, v, w) => [0, 1, 2].map((d) => a[d] * (u - 0.5) + b[d] * (v - 0.5) + (flat ? 0 : c[d] * (w - 0.5)));
    const corner = Math.max(...[[1, 1], [1, 0], [0, 1], [0, 0]].map(([u, v]) => Math.hypot(...place(u, v, 1))));
    const positions = new Float32Array(3 * number);
    for (let k = 0; k < number; k += 1) {
      const at = place(...[0, 1, 2].map((d) => (fractions[3 * k + d] + 0.5) / 65536));
      for (let d = 0; d < 3; d += 1) positions[3 * k + d] = at[d] / corner;
    }
    const corners = [];
    for (let k = 0; k < 8; k += 1) corners.push(place(k & 1, (k >> 1) & 1, k >> 2).map((x) => x / corner));
    const edges = [];
    for (let k = 0; k < 8; k += 1) {
      for (let bit = 1; bit < (flat ? 4 : 8); bit *= 2) if (!(k & bit) && !(flat && k > 3)) edges.push(corners[k], corners[k | bit]);
    }
    const types = decoded(data.types, Uint8Array);
    const radii = new Float32Array(number);
    for (let k = 0; k < number; k += 1) radii[k] = data.radii[types[k]] / corner;
    return { number, positions, types, radii, edges: new Float32Array(edges.flat()) };
  }

  // Which particles are shown, their colours and the ends of the scale.
  function chosen(data, held, state, maps) {
    const field = data.fields[state.field];
    const kinds = { predicted: field.predicted, actual: field.actual };
    for (const name of Object.keys(kinds)) {
      const key = `${name}${state.field}`;
      if (kinds[name] && !held[key]) held[key] = decoded(kinds[name], Float32Array);
    }
    const predicted = held[`predicted${state.field}`];
    const actual = held[`actual${state.field}`];
    const isError = state.shown === "error";
    const values = isError ? predicted.map((x, k) => x - actual[k]) : state.shown === "actual" ? actual : predicted;
    const [low, high] = isError ? [-field.error, field.error] : [field.low, field.high];
    const map = isError ? maps.error : maps.values;
    const size = isError ? values.map(Math.abs) : values;
    const visible = [];
    for (let k = 0; k < values.length; k += 1) if (state.species[held.types[k]]) visible.push(k);
    visible.sort((i, j) => size[j] - size[i]);
    visible.length = Math.ceil((visible.length * state.share) / 100);
    const colours = new Uint8Array(3 * values.length);
    for (const k of visible) {
      const level = Math.round(255 * Math.min(1, Math.max(0, (values[k] - low) / (high - low))));
      for (let d = 0; d < 3; d += 1) colours[3 * k + d] = map[3 * level + d];
    }
    return { visible, colours, low, high, map, isError };
  }

  // ---- turning ------------------------------------------------------------------------------------------------------

  const START = [1, 0, 0, 0, 1, 0, 0, 0, 1]; // rows: the screen's x, y, and towards the eye
  function turned(turn, dx, dy) {
    const multiply = (m, n) => m.map((_, k) => [0, 1, 2].reduce((sum, j) => sum + m[3 * Math.floor(k / 3) + j] * n[3 * j + (k % 3)], 0));
    const [c, s, e, f] = [Math.cos(dx), Math.sin(dx), Math.cos(dy), Math.sin(dy)];
    return multiply([1, 0, 0, 0, e, -f, 0, f, e], multiply([c, 0, s, 0, 1, 0, -s, 0, c], turn));
  }
  const first = (data) => (data.dimensions === 2 ? START : turned(START, -0.5, 0.35));

  // ---- two ways to draw ---------------------------------------------------------------------------------------------

  const VERTEX = `
    attribute vec3 position; attribute float radius; attribute vec3 colour;
    uniform mat3 turn; uniform vec2 stretch; uniform float pixels;
    varying vec3 shade;
    void main() {
      vec3 p = turn * position;
      float w = 1.0 - p.z / ${DISTANCE}.0;
      gl_Position = vec4(p.xy * stretch, -0.4 * p.z * w, w);
      gl_PointSize = 2.0 * radius * pixels / w;
      shade = colour;
    }`;
  const FRAGMENT = `
    precision mediump float;
    varying vec3 shade; uniform float ball;
    void main() {
      if (ball < 0.5) { gl_FragColor = vec4(shade, 1.0); return; }
      vec2 c = vec2(2.0, -2.0) * gl_PointCoord + vec2(-1.0, 1.0);
      float r = dot(c, c);
      if (r > 1.0) discard;
      float facing = max(0.0, dot(vec3(c, sqrt(1.0 - r)), vec3(${LIGHT.join(", ")})));
      gl_FragColor = vec4(shade * (0.62 + 0.38 * facing) * (r > 0.88 ? 0.6 : 1.0), 1.0);
    }`;

  function withWebGL(canvas, form) {
    if (contexts >= MOST_CONTEXTS) return null;
    const gl = canvas.getContext("webgl", { antialias: true, alpha: true, preserveDrawingBuffer: true }); // for printing
    if (!gl) return null;
    contexts += 1;
    let parts = null;
    const prepare = () => {
      const program = gl.createProgram();
      for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
        const shader = gl.createShader(kind);
        gl.shaderSource(shader, source);
        gl.compileShader(shader);
        gl.attachShader(program, shader);
      }
      gl.linkProgram(program);
      if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return false;
      gl.useProgram(program);
      gl.enable(gl.DEPTH_TEST);
      const fixed = (content) => {
        const buffer = gl.createBuffer();
        gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
        gl.bufferData(gl.ARRAY_BUFFER, content, gl.STATIC_DRAW);
        return buffer;
      };
      parts = { program, positions: fixed(form.positions), radii: fixed(form.radii), edges: fixed(form.edges), colours: gl.createBuffer(), order: gl.createBuffer(), given: null };
      return true;
    };
    if (!prepare()) return null;
    const wide = form.number > 65535 && gl.getExtension("OES_element_index_uint");
    return {
      name: "webgl",
      restore: prepare,
      draw(state, content, ink) {
        const [width, height] = [canvas.width, canvas.height];
        const scale = state.zoom * Math.min(width, height);
        gl.viewport(0, 0, width, height);
        gl.clearColor(0, 0, 0, 0);
        gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
        const at = (name) => gl.getUniformLocation(parts.program, name);
        const m = state.turn;
        gl.uniformMatrix3fv(at("turn"), false, [m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8]]);
        gl.uniform2f(at("stretch"), scale / width, scale / height);
        gl.uniform1f(at("pixels"), scale / 2);
        const attribute = (name, buffer, size, kind, normal) => {
          const where = gl.getAttribLocation(parts.program, name);
          gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
          gl.enableVertexAttribArray(where);
          gl.vertexAttribPointer(where, size, kind, normal, 0, 0);
        };
        if (parts.given !== content) {
          gl.bindBuffer(gl.ARRAY_BUFFER, parts.colours);
          gl.bufferData(gl.ARRAY_BUFFER, content.colours, gl.DYNAMIC_DRAW);
          gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, parts.order);
          gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, wide ? new Uint32Array(content.visible) : new Uint16Array(content.visible), gl.DYNAMIC_DRAW);
          parts.given = content;
        }
        attribute("position", parts.positions, 3, gl.FLOAT, false);
        attribute("radius", parts.radii, 1, gl.FLOAT, false);
        attribute("colour", parts.colours, 3, gl.UNSIGNED_BYTE, true);
        gl.uniform1f(at("ball"), 1);
        gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, parts.order);
        gl.drawElements(gl.POINTS, content.visible.length, wide ? gl.UNSIGNED_INT : gl.UNSIGNED_SHORT, 0);
        attribute("position", parts.edges, 3, gl.FLOAT, false);
        for (const name of ["radius", "colour"]) gl.disableVertexAttribArray(gl.getAttribLocation(parts.program, name));
        gl.vertexAttrib3f(gl.getAttribLocation(parts.program, "colour"), ...ink.map((x) => x / 255));
        gl.uniform1f(at("ball"), 0);
        gl.drawArrays(gl.LINES, 0, form.edges.length / 3);
      },
    };
  }

  function withCanvas(canvas, form) {
    const paper = canvas.getContext("2d");
    if (!paper) return null;
    return {
      name: "canvas",
      restore: () => true,
      draw(state, content, ink) {
        const [width, height] = [canvas.width, canvas.height];
        const scale = (state.zoom * Math.min(width, height)) / 2;
        const m = state.turn;
        const seen = (from, k) => {
          const [x, y, z] = [from[3 * k], from[3 * k + 1], from[3 * k + 2]];
          const depth = m[6] * x + m[7] * y + m[8] * z;
          const w = 1 - depth / DISTANCE;
          return [width / 2 + (scale * (m[0] * x + m[1] * y + m[2] * z)) / w, height / 2 - (scale * (m[3] * x + m[4] * y + m[5] * z)) / w, depth, scale / w];
        };
        paper.clearRect(0, 0, width, height);
        paper.lineWidth = Math.max(1, scale / 300);
        paper.strokeStyle = `rgb(${ink.join(" ")})`;
        paper.beginPath();
        for (let k = 0; k < form.edges.length / 3; k += 2) {
          paper.moveTo(...seen(form.edges, k).slice(0, 2));
          paper.lineTo(...seen(form.edges, k + 1).slice(0, 2));
        }
        paper.stroke();
        const spots = content.visible.map((k) => [k, ...seen(form.positions, k)]).sort((i, j) => i[3] - j[3]);
        paper.strokeStyle = "rgb(0 0 0 / 45%)";
        for (const [k, x, y, , size] of spots) {
          paper.fillStyle = `rgb(${content.colours[3 * k]} ${content.colours[3 * k + 1]} ${content.colours[3 * k + 2]})`;
          paper.beginPath();
          paper.arc(x, y, form.radii[k] * size, 0, 2 * Math.PI);
          paper.fill();
          paper.stroke();
        }
      },
    };
  }

  // ---- one view -----------------------------------------------------------------------------------------------------

  function start(figure, maps) {
    const data = JSON.parse(document.getElementById(figure.dataset.view).textContent);
    const form = geometry(data);
    const held = { types: form.types };
    const find = (selector) => figure.querySelector(selector);
    let canvas = find("canvas");
    const state = { turn: first(data), zoom: 1, field: 0, share: 100, species: data.species.map(() => true), shown: "predicted" };
    state.field = data.fields.length - 1;
    for (const part of [canvas, find(".controls"), find(".bar")]) part.hidden = false;
    let way = withWebGL(canvas, form);
    if (!way) {
      const fresh = canvas.cloneNode(); // a canvas keeps the kind of its first context
      canvas.replaceWith(fresh);
      canvas = fresh;
      way = withCanvas(canvas, form);
    }
    if (!way) return;
    canvas.dataset.way = way.name;

    let content = null;
    let waiting = false;
    const draw = () => {
      waiting = false;
      const ratio = Math.min(2, window.devicePixelRatio || 1);
      const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((x) => Math.max(1, Math.round(x * ratio)));
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
      const ink = getComputedStyle(figure).color.match(/\d+/g).slice(0, 3).map(Number);
      way.draw(state, content, ink);
      canvas.dataset.turn = state.turn.map((x) => x.toFixed(4)).join(" ");
    };
    const redraw = () => {
      if (!waiting) requestAnimationFrame(draw);
      waiting = true;
    };
    const recolour = () => {
      content = chosen(data, held, state, maps);
      canvas.dataset.visible = content.visible.length;
      const { low, high, map, isError } = content;
      const digits = (x) => Number(x.toPrecision(3)).toString().replace("-", "\u2212");
      find(".bar .low").textContent = digits(low);
      find(".bar .high").textContent = digits(high);
      find(".bar .of").textContent = isError ? `${data.quantity}, predicted − actual` : `${data.quantity}, ${state.shown}`;
      const stops = [];
      for (let k = 0; k < 256; k += 15) stops.push(`rgb(${map[3 * k]} ${map[3 * k + 1]} ${map[3 * k + 2]})`);
      find(".bar .colours").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
      redraw();
    };
    const reset = () => {
      Object.assign(state, { turn: first(data), zoom: 1 });
      redraw();
    };
    const zoom = (factor) => {
      state.zoom = Math.min(12, Math.max(0.4, state.zoom * factor));
      redraw();
    };
    const turn = (dx, dy) => {
      state.turn = turned(state.turn, dx, dy);
      redraw();
    };

    for (const [k, name] of data.species.entries()) {
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
      label.append(box, ` ${name}`);
      find(".species").append(label);
      box.addEventListener("change", () => {
        state.species[k] = box.checked;
        recolour();
      });
    }
    find(".species").hidden = data.species.length < 2;
    const choices = [...figure.querySelectorAll("input[type=radio]")];
    const limit = () => { // what nobody knows at this time cannot be chosen
      const known = data.fields[state.field].actual !== null;
      for (const choice of choices) choice.disabled = !known && choice.value !== "predicted";
      if (!known) [choices[0].checked, state.shown] = [true, "predicted"];
    };
    if (data.fields.length > 1) {
      const select = find("select");
      for (const [k, field] of data.fields.entries()) select.append(new Option(field.label, k, false, k === state.field));
      find(".time").hidden = false;
      select.addEventListener("change", () => {
        state.field = Number(select.value);
        limit();
        recolour();
      });
    }
    for (const choice of choices) {
      if (choice.checked) state.shown = choice.value;
      choice.addEventListener("change", () => {
        state.shown = choice.value;
        recolour();
      });
    }
    limit();
    find(".most input").addEventListener("input", (event) => {
      state.share = Number(event.target.value);
      find(".most output").textContent = `${state.share} %`;
      recolour();
    });
    find(".reset").addEventListener("click", reset);

    const fingers = new Map();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const now = [event.clientX, event.clientY];
      if (fingers.size === 1) turn((now[0] - before[0]) / 150, (now[1] - before[1]) / 150);
      const other = [...fingers].find(([id]) => id !== event.pointerId);
      if (other) zoom(Math.hypot(now[0] - other[1][0], now[1] - other[1][1]) / Math.max(1, Math.hypot(before[0] - other[1][0], before[1] - other[1][1])));
      fingers.set(event.pointerId, now);
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => fingers.delete(event.pointerId));
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // the wheel alone moves the page
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 300));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] };
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (steps[event.key]) turn(...steps[event.key]);
      else if (event.key === "+" || event.key === "=") zoom(1.15);
      else if (event.key === "-") zoom(1 / 1.15);
      else if (event.key === "0") reset();
      else return;
      event.preventDefault();
    });
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => way.restore() && recolour());
    new ResizeObserver(redraw).observe(canvas);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    recolour();
  }

  const packed = JSON.parse(document.getElementById("colours").textContent);
  const maps = { values: decoded(packed.values, Uint8Array), error: decoded(packed.error, Uint8Array) };
  for (const figure of document.querySelectorAll("[data-view]")) start(figure, maps);
})();
