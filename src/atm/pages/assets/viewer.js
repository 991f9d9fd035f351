/* The motion viewer: turns every <figure class="motion-view"> with its JSON data into panes with one time line.
   Data layout: see atm/pages/viewer.py. Needs painter.js. New fragments are brought to life by atmMotionView.mount(). */
const atmMotionView = (() => {
  "use strict";

  const SPEEDS = [0.25, 0.5, 1, 2];
  const END_PAUSE = 0.7; // seconds on the last frame before a loop
  const SETTLE = 0.2; // seconds without a change before a picture is drawn in full
  const FOV = (32 * Math.PI) / 180;
  const LABELS = 26; // CSS pixels at the top of a pane that its labels cover
  const AZIMUTH = 0.62, ELEVATION = 0.26; // three-quarter view from the figure's front left
  const ECHO_SECONDS = 0.6, ECHO_THINNER = 0.93; // a figure that stands still is not mixed with its echoes: they are inside it
  const PALEST = 0.55; // share of white in a figure that darkens, at its start
  const RING = 0.16; // metres, around a foot that stands
  const STILL = 5; // CSS pixels that a pointer may move between down and up, to be a click
  const NARROWEST = 200; // CSS pixels of a pane; where there is less room, half as many stand beside one another
  const ICONS = {
    play: '<path d="M7 4.5v15l12-7.5z"/>',
    pause: '<path d="M6 4.5h4.2v15H6zM13.8 4.5H18v15h-4.2z"/>',
  };
  const views = new Set();
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
  const mix = (a, b, t) => a + (b - a) * t;
  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "html") made.innerHTML = value;
      else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value != null) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }
  const icon = (name) => `<svg viewBox="0 0 24 24" aria-hidden="true">${ICONS[name]}</svg>`;

  /* ---------------------------------------------------------------- the motion of one figure */

  function figureOf(data, body) {
    const bytes = Uint8Array.from(atob(data.joints), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer), joints = new Float32Array(bytes.length / 2);
    for (let i = 0; i < joints.length; i++) joints[i] = view.getInt16(2 * i, true) * data.metres;
    const width = body.joints * 3, frames = joints.length / width;
    const root = Array.from({ length: frames }, (_, t) => [joints[t * width], joints[t * width + 2]]);
    const colours = { left: rgb(data.colours.left), right: rgb(data.colours.right), middle: rgb(data.colours.middle) };
    let low = Infinity, high = -Infinity;
    for (let i = 1; i < joints.length; i += 3) { low = Math.min(low, joints[i]); high = Math.max(high, joints[i]); }
    const highlights = data.highlights.map(([start, end, label, colour]) => ({ start, end, label, colour, rgb: rgb(colour) }));
    return {
      ...data, body, frames, colours, colours_css: data.colours, root, smooth: smoothed(root, 8), highlights, low, high, joints, width,
      seconds: (frames - 1) / data.fps,
      /* Frame (not whole) at a time of the view: the first before the motion begins, the last after its end. */
      frameAt: (time) => clamp((time - data.begins) * data.fps, 0, frames - 1),
      /* Share of the motion, or of its first highlight, that is over. */
      progress(time) {
        const { start, end } = highlights[0] || { start: 0, end: frames };
        return clamp((this.frameAt(time) - start) / Math.max(end - 1 - start, 1), 0, 1);
      },
      at(time) {
        const frame = this.frameAt(time), before = Math.floor(frame);
        const from = before * width, to = Math.min(before + 1, frames - 1) * width, share = frame - before;
        const pose = new Float32Array(width);
        for (let i = 0; i < width; i++) pose[i] = mix(joints[from + i], joints[to + i], share);
        return pose;
      },
      /* Feet that stand at a time, as the floor's rings see them: [ankle, toe] of each. */
      standing(time) {
        const frame = Math.min(Math.round(this.frameAt(time)), frames - 1);
        return (data.contacts || []).flatMap((foot, side) => (foot[frame] === "1" ? [body.feet[side]] : []));
      },
      lit: (time) => highlights.find((h) => (time - data.begins) * data.fps >= h.start && (time - data.begins) * data.fps < h.end),
    };
  }

  function smoothed(points, sigma) {
    return points.map((_, t) => {
      let sum = 0, x = 0, z = 0;
      for (let d = -3 * sigma; d <= 3 * sigma; d++) {
        const weight = Math.exp((-d * d) / (2 * sigma * sigma)), p = points[clamp(t + d, 0, points.length - 1)];
        sum += weight; x += weight * p[0]; z += weight * p[1];
      }
      return [x / sum, z / sum];
    });
  }

  /* Share of a highlight's colour in the figure's: a figure of one colour must still be told by it. */
  const tinted = (figure) => (figure.one_colour ? 0.12 : 0.72);

  const joint = (pose, j) => [pose[3 * j], pose[3 * j + 1], pose[3 * j + 2]];
  const unit = (v) => { const n = Math.hypot(...v) || 1; return v.map((x) => x / n); };
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

  /* Which way the face looks, across the shoulders and up to the head. */
  function facing(pose, body) {
    const [left, right, chest, head] = body.face.map((j) => joint(pose, j));
    const across = left.map((x, i) => x - right[i]), up = unit(head.map((x, i) => x - chest[i]));
    return { forward: unit(cross(across, up)), up, head };
  }

  function weighted(pose, terms) {
    const sum = [0, 0, 0];
    for (const [j, weight] of terms) for (let k = 0; k < 3; k++) sum[k] += weight * pose[3 * j + k];
    return sum;
  }

  function addCapsules(into, figure, pose, colourOf, flatness) {
    const { capsules, nose } = figure.body;
    for (const [side, a, b, ra, rb, acrossA, acrossB] of capsules) {
      into.push(...weighted(pose, a), ra, ...weighted(pose, b), rb, ...colourOf(figure.colours[side]), flatness);
      into.push(...weighted(pose, acrossA), ...weighted(pose, acrossB));
    }
    const { forward, up, head } = facing(pose, figure.body);
    const root = head.map((h, k) => h + up[k] * nose.up + forward[k] * nose.out);
    const tip = root.map((x, k) => x + (forward[k] - 0.5 * up[k]) * nose.length);
    into.push(...root, nose.radius, ...tip, nose.radius * 0.8, ...colourOf(figure.colours.middle), flatness, 0, 0, 0, 0, 0, 0);
  }

  /* A ring on the floor around a foot. */
  function ring(pose, ankle, toe, colour) {
    const [x, z] = [0, 2].map((k) => mix(pose[3 * ankle + k], pose[3 * toe + k], 0.6)), points = [], colours = [];
    for (let k = 0; k <= 24; k++) {
      points.push(x + RING * Math.cos((k * Math.PI) / 12), z + RING * Math.sin((k * Math.PI) / 12));
      colours.push([...colour, 0.85]);
    }
    return { points, colours };
  }

  /* ---------------------------------------------------------------- one pane: figures in a scene */

  function paneOf(figures, root) {
    const canvas = element("canvas", { role: "img" });
    const floor = Math.min(...figures.map((f) => f.low)) - 0.026;
    const height = clamp(Math.max(...figures.map((f) => f.high)) - floor, 1, 4);
    const box = figures.flatMap((f) => f.root).reduce(
      (b, [x, z]) => [Math.min(b[0], x), Math.max(b[1], x), Math.min(b[2], z), Math.max(b[3], z)],
      [Infinity, -Infinity, Infinity, -Infinity],
    );
    const centre = [(box[0] + box[1]) / 2, (box[2] + box[3]) / 2];
    const target = (seconds, follow) => {
      if (!follow) return [centre[0], floor + height * 0.48, centre[1]];
      const paths = figures.map((f) => {
        const frame = f.frameAt(seconds), before = Math.floor(frame);
        const from = f.smooth[before], to = f.smooth[Math.min(before + 1, f.frames - 1)];
        return [mix(from[0], to[0], frame - before), mix(from[1], to[1], frame - before)];
      });
      const mean = [0, 1].map((k) => paths.reduce((sum, p) => sum + p[k], 0) / paths.length);
      return [mean[0], floor + height * 0.48, mean[1]];
    };
    // Radius of the ball around the target that every joint stays in.
    const radius = (follow) => {
      let most = 0;
      for (const f of figures) {
        for (let t = 0; t < f.frames; t += 2) {
          const at = target(f.begins + t / f.fps, follow);
          for (let i = t * f.width; i < (t + 1) * f.width; i += 3) {
            most = Math.max(most, Math.hypot(f.joints[i] - at[0], f.joints[i + 1] - at[1], f.joints[i + 2] - at[2]));
          }
        }
      }
      return most + 0.24;
    };
    const radii = { true: radius(true), false: radius(false) };

    function scene(seconds, theme, { echo, contacts, lines }) {
      const capsules = [], trails = [...lines];
      for (const f of figures) {
        const lit = f.lit(seconds), pale = f.darkens ? PALEST * (1 - f.progress(seconds)) : 0;
        const tint = (colour) => colour.map((c, k) => mix(lit ? mix(c, lit.rgb[k], tinted(f)) : c, 1, pale));
        addCapsules(capsules, f, f.at(seconds), tint, 0);
      }
      const solid = capsules.length / atmPainter.STRIDE;
      for (const f of figures) {
        if (echo) {
          const now = f.frameAt(seconds) / f.fps;
          for (let k = 0; k * ECHO_SECONDS < now - 0.2; k++) {
            const age = 0.55 + 0.33 * (1 - (k * ECHO_SECONDS) / now), then = f.begins + k * ECHO_SECONDS;
            const lit = f.lit(then);
            const fade = (colour) => colour.map((c, i) => mix(lit ? mix(c, lit.rgb[i], tinted(f)) : c, theme.ground[i], age));
            const first = capsules.length;
            addCapsules(capsules, f, f.at(then), fade, 0.8);
            for (let at = first; at < capsules.length; at += atmPainter.STRIDE) {
              for (const k of [3, 7, 12, 13, 14, 15, 16, 17]) capsules[at + k] *= ECHO_THINNER;
            }
          }
        }
        const now = f.frameAt(seconds), line = { points: [], colours: [] };
        f.root.forEach(([x, z], t) => {
          const lit = f.highlights.find((h) => t >= h.start && t < h.end);
          const colour = lit ? lit.rgb : f.colours.middle.map((c) => mix(c, theme.ink[0], 0.35));
          line.points.push(x, z);
          line.colours.push([...colour, t <= now ? 0.18 + 0.72 * (t / Math.max(now, 1)) ** 1.5 : 0.1]);
        });
        trails.push(line);
        if (contacts) for (const [ankle, toe] of f.standing(seconds)) trails.push(ring(f.at(seconds), ankle, toe, theme.ink));
      }
      return { floor, capsules: new Float32Array(capsules), solid, trails };
    }

    return { canvas, figures, target, radii, scene, root, floor };
  }

  /* ---------------------------------------------------------------- one view: panes, controls, time */

  function start(host) {
    const data = JSON.parse(host.querySelector('script[type="application/json"]').textContent);
    const all = data.panes.map((pane) => figureOf({ ...pane, darkens: data.darkens }, data.bodies[pane.body]));
    const groups = data.overlaid ? [all] : all.map((figure) => [figure]);
    const seconds = Math.max(...all.map((f) => f.begins + f.seconds), 0.05);
    const pose = all[0].at(0), front = facing(pose, all[0].body).forward;
    const home = { azimuth: Math.atan2(front[0], front[2]) + AZIMUTH, elevation: ELEVATION, zoom: 1, pan: [0, 0] };
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const state = {
      time: clamp(data.start || 0, 0, seconds), playing: !calm && data.autoplay, speed: 1, loop: true, follow: true, echo: false, contacts: false,
      visible: false, dirty: true, rough: false, calm: 0, rested: 0, ...home, pan: [0, 0],
    };

    const grid = element("div", { class: "mv-panes" });
    function arrange() {
      let columns = Math.min(groups.length, data.columns);
      while (columns > 1 && grid.clientWidth && grid.clientWidth / columns < NARROWEST) columns = columns % 2 ? columns - 1 : columns / 2;
      grid.style.setProperty("--mv-columns", columns);
    }
    const panes = groups.map((figures) => {
      const box = element("div", { class: "mv-pane" });
      const pane = paneOf(figures, box);
      const names = figures.map((f) => f.label).filter(Boolean).join(" and ");
      pane.canvas.setAttribute("aria-label", `${names || data.title}: animated 3D figure, drag to turn it`);
      const labels = element("div", { class: "mv-labels" });
      for (const f of figures) {
        if (!f.label) continue;
        const dot = element("i");
        dot.style.background = f.one_colour;
        labels.append(element("span", { class: "mv-label" }, ...(f.one_colour ? [dot] : []), f.label));
      }
      pane.badge = element("span", { class: "mv-badge", hidden: true });
      box.append(element("div", { class: "mv-stage" }, pane.canvas, labels, pane.badge));
      const caption = figures.map((f) => f.caption).filter(Boolean).join(" · ");
      if (caption) box.append(element("p", { class: "mv-caption" }, caption));
      grid.append(box);
      return pane;
    });

    const play = element("button", { type: "button", class: "mv-play", onclick: () => toggle() });
    const scrub = element("input", {
      type: "range", min: 0, max: seconds, step: "any", value: 0, class: "mv-scrub", "aria-label": "Time in seconds",
      oninput: () => { pause(); seek(+scrub.value); },
    });
    const bars = element("div", { class: "mv-bars", "aria-hidden": "true" });
    for (const f of all) {
      if (!f.highlights.length) continue;
      const row = element("div", { class: "mv-bar" });
      for (const h of f.highlights) {
        const span = element("span", { title: [f.label, h.label].filter(Boolean).join(": ") });
        span.style.left = `${(100 * (f.begins + h.start / f.fps)) / seconds}%`;
        span.style.width = `${(100 * (Math.min(h.end, f.frames - 1) - h.start)) / f.fps / seconds}%`;
        span.style.background = h.colour;
        row.append(span);
      }
      bars.append(row);
    }
    const clock = element("output", { class: "mv-clock" });
    const speed = element("button", {
      type: "button", class: "mv-speed", onclick: () => setSpeed(SPEEDS[(SPEEDS.indexOf(state.speed) + 1) % SPEEDS.length]),
    });
    const offered = [["loop", "Loop"], ["follow", "Follow"], ["echo", "Ghosts"]];
    if (all.some((f) => f.contacts)) offered.push(["contacts", "Contacts"]);
    const switches = offered.map(([key, label]) => {
      const hints = {
        loop: "Start again at the end", follow: "Camera stays with the figure", echo: "Leave a picture every 0.6 s, darker with time",
        contacts: "A ring around each foot that stands",
      };
      const made = element("button", { type: "button", class: "mv-switch", title: hints[key], "aria-pressed": String(state[key]) }, label);
      made.addEventListener("click", () => {
        state[key] = !state[key];
        made.setAttribute("aria-pressed", String(state[key]));
        state.pan = [0, 0];
        state.dirty = true;
      });
      return made;
    });
    const home_button = element("button", { type: "button", class: "mv-switch", title: "Back to the first view", onclick: reset }, "Reset");
    const full = element("button", { type: "button", class: "mv-switch", title: "Full screen (f)", onclick: fullScreen }, "Full screen");
    full.hidden = !document.fullscreenEnabled;
    const controls = element("div", { class: "mv-controls" }, play, element("div", { class: "mv-time" }, scrub, bars), clock, speed, ...switches, home_button, full);

    host.replaceChildren(
      ...(data.title ? [element("figcaption", { class: "mv-title" }, data.title)] : []),
      grid, controls, legend(all),
    );
    host.setAttribute("tabindex", "0");

    function legend(figures) {
      const made = element("div", { class: "mv-legend" }), seen = new Set();
      const add = (colour, text) => {
        if (seen.has(colour + text)) return;
        seen.add(colour + text);
        const dot = element("i");
        dot.style.background = colour;
        made.append(element("span", {}, dot, text));
      };
      const plain = figures.filter((f) => !f.one_colour);
      for (const f of plain) { add(f.colours_css.left, "left arm and leg"); add(f.colours_css.right, "right arm and leg"); }
      if (!plain.length) made.append(element("span", {}, "lighter limbs: left, darker limbs: right"));
      for (const f of figures) for (const h of f.highlights) add(h.colour, h.label || "marked span");
      made.append(element("span", { class: "mv-help" }, "drag to turn · then wheel to zoom · space to play · ← → one frame"));
      return made;
    }

    function seek(time) { state.time = clamp(time, 0, seconds); state.rested = 0; state.dirty = true; }
    function pause() { state.playing = false; state.dirty = true; }
    function toggle() {
      state.playing = !state.playing;
      if (state.playing && state.time >= seconds) seek(0);
      state.dirty = true;
    }
    function setSpeed(value) { state.speed = value; state.dirty = true; }
    function fullScreen() {
      if (document.fullscreenElement) document.exitFullscreen();
      else if (document.fullscreenEnabled) host.requestFullscreen().catch(() => {}); // the browser may refuse
    }
    function reset() { Object.assign(state, home, { pan: [0, 0], dirty: true }); }

    host.addEventListener("keydown", (event) => {
      if (event.target.closest("button") && event.key === " ") return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const frame = 1 / all[0].fps, step = event.shiftKey ? 10 * frame : frame;
      const keys = {
        " ": toggle,
        ArrowLeft: () => { pause(); seek(state.time - step); },
        ArrowRight: () => { pause(); seek(state.time + step); },
        Home: () => seek(0), End: () => seek(seconds),
        ArrowUp: () => setSpeed(SPEEDS[Math.min(SPEEDS.indexOf(state.speed) + 1, SPEEDS.length - 1)]),
        ArrowDown: () => setSpeed(SPEEDS[Math.max(SPEEDS.indexOf(state.speed) - 1, 0)]),
        r: reset, f: fullScreen,
      };
      if (keys[event.key]) { keys[event.key](); event.preventDefault(); }
    });

    for (const pane of panes) listen(pane);
    function listen(pane) {
      const { canvas } = pane, fingers = new Map();
      let from = null;
      canvas.addEventListener("pointerup", (event) => {
        const still = from && Math.hypot(event.clientX - from[0], event.clientY - from[1]) < STILL;
        from = null;
        const place = still && view.onfloor && floorAt(pane, event);
        if (place) view.onfloor(...place, panes.indexOf(pane));
      });
      canvas.addEventListener("pointerdown", (event) => {
        from = [event.clientX, event.clientY];
        canvas.setPointerCapture(event.pointerId);
        fingers.set(event.pointerId, [event.clientX, event.clientY]);
        host.focus({ preventScroll: true });
      });
      canvas.addEventListener("pointermove", (event) => {
        const before = fingers.get(event.pointerId);
        if (!before) return;
        const now = [event.clientX, event.clientY], [dx, dy] = [now[0] - before[0], now[1] - before[1]];
        if (fingers.size === 2) {
          const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
          const gap = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
          state.zoom = clamp((state.zoom * gap(now)) / Math.max(gap(before), 1), 0.3, 5);
        } else if (event.shiftKey || event.buttons === 2) {
          state.pan = [state.pan[0] - dx / canvas.clientHeight, state.pan[1] + dy / canvas.clientHeight];
        } else {
          state.azimuth -= dx * 0.009;
          state.elevation = clamp(state.elevation + dy * 0.007, -0.05, 1.5);
        }
        fingers.set(event.pointerId, now);
        state.dirty = true;
      });
      for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
      canvas.addEventListener("contextmenu", (event) => event.preventDefault());
      canvas.addEventListener("dblclick", () => { if (!view.onfloor) reset(); });
      canvas.addEventListener("wheel", (event) => {
        // A reader who only scrolls past must not be caught.
        if (!host.contains(document.activeElement) && !event.ctrlKey) return;
        event.preventDefault();
        state.zoom = clamp(state.zoom * Math.exp(-event.deltaY * 0.0012), 0.3, 5);
        state.dirty = true;
      }, { passive: false });
    }

    function camera(pane, width, height) {
      const radius = Math.max(...panes.map((p) => p.radii[state.follow]));
      // The labels' part of the picture stays free of heads.
      const labels = LABELS / pane.canvas.clientHeight;
      const narrow = Math.min(1 - labels, width / height);
      const distance = radius / Math.sin(Math.atan(Math.tan(FOV / 2) * narrow)) / state.zoom;
      const target = pane.target(state.time, state.follow);
      const [ce, se] = [Math.cos(state.elevation), Math.sin(state.elevation)];
      const eye = [Math.sin(state.azimuth) * ce, se, Math.cos(state.azimuth) * ce].map((x, k) => target[k] + x * distance);
      const view = { eye, target, fov: FOV, near: 0.05, far: 200 };
      const { right, up } = atmPainter.axes(view), scale = 2 * distance * Math.tan(FOV / 2);
      for (let k = 0; k < 3; k++) {
        const shift = (right[k] * state.pan[0] + up[k] * (state.pan[1] + labels / 2)) * scale;
        eye[k] += shift;
        target[k] += shift;
      }
      return { view, radius };
    }

    /* Place on the floor under the pointer, [x, z]; null: it points to the sky. */
    function floorAt(pane, event) {
      const box = pane.canvas.getBoundingClientRect();
      const { view: seen } = camera(pane, box.width, box.height), { right, up } = atmPainter.axes(seen);
      const ahead = unit(seen.target.map((x, k) => x - seen.eye[k])), half = Math.tan(FOV / 2);
      const across = (((event.clientX - box.left) / box.width) * 2 - 1) * half * (box.width / box.height);
      const high = (1 - ((event.clientY - box.top) / box.height) * 2) * half;
      const ray = ahead.map((x, k) => x + right[k] * across + up[k] * high);
      const far = (pane.floor - seen.eye[1]) / ray[1];
      return ray[1] < -1e-3 && far > 0 ? [seen.eye[0] + far * ray[0], seen.eye[2] + far * ray[2]] : null;
    }

    function draw(still) {
      const style = getComputedStyle(host), colour = (name) => rgb(style.getPropertyValue(name).trim());
      const theme = { background: colour("--mv-background"), ground: colour("--mv-ground"), grid: colour("--mv-grid"), ink: colour("--mv-ink") };
      theme.dark = theme.background[0] < 0.5;
      const ratio = Math.min(devicePixelRatio || 1, 2);
      for (const pane of panes) {
        const width = Math.round(pane.canvas.clientWidth * ratio), height = Math.round(pane.canvas.clientHeight * ratio);
        if (!width || !height) continue;
        if (pane.canvas.width !== width || pane.canvas.height !== height) Object.assign(pane.canvas, { width, height });
        const { view: seen, radius } = camera(pane, width, height);
        theme.reach = Math.max(6, radius * 3.2);
        host.dataset.painter = atmPainter.paint(pane.canvas, pane.scene(state.time, theme, { ...state, lines: view.lines }), seen, theme, !still);
        const lit = pane.figures.map((f) => f.lit(state.time)).find(Boolean);
        pane.badge.hidden = !(lit && lit.label);
        // A ring where the colour of the figure says something of its own.
        pane.canvas.style.outline = lit && pane.figures.some((f) => f.one_colour) ? `3px solid ${lit.colour}` : "none";
        if (lit) { pane.badge.textContent = lit.label; pane.badge.style.background = lit.colour; }
      }
      scrub.value = state.time;
      scrub.style.setProperty("--mv-done", `${(100 * state.time) / seconds}%`);
      scrub.setAttribute("aria-valuetext", `${state.time.toFixed(2)} of ${seconds.toFixed(2)} seconds`);
      const frame = Math.round(all[0].frameAt(state.time));
      clock.textContent = `${state.time.toFixed(1)} / ${seconds.toFixed(1)} s · frame ${frame}`;
      clock.title = `Frame ${frame} of ${all[0].frames}, counted from 0`;
      speed.textContent = `${state.speed}×`;
      speed.setAttribute("aria-label", `Speed ${state.speed} times, press to change`);
      const label = state.playing ? "Pause" : "Play";
      if (play.getAttribute("aria-label") !== label) {
        play.innerHTML = icon(label.toLowerCase());
        play.setAttribute("aria-label", label);
      }
      state.dirty = false;
      state.rough = !still && atmPainter.slow();
    }

    function tick(elapsed) {
      if (state.playing && state.visible) {
        if (state.time < seconds) state.time = Math.min(state.time + elapsed * state.speed, seconds);
        else if ((state.rested += elapsed) >= END_PAUSE) {
          if (state.loop) seek(0);
          else pause();
        }
        state.dirty = true;
      }
      if (!state.visible) return;
      state.calm = state.dirty ? 0 : state.calm + elapsed;
      // Where pictures are slow, one is drawn in full once nothing has moved for a moment.
      if (state.dirty) draw(!atmPainter.slow());
      else if (state.rough && state.calm > SETTLE) draw(true);
    }

    const view = {
      host, tick, draw, state, seconds, seek, pause, toggle, touch: () => { state.dirty = true; },
      lines: [], // drawn on the floor of every pane, as trails of the painter
      onfloor: null, // called with x, z and the pane's number where the floor is clicked
    };
    new IntersectionObserver(
      ([entry]) => { state.visible = entry.isIntersecting; state.dirty = true; },
      { rootMargin: "80px" },
    ).observe(host);
    new ResizeObserver(() => { arrange(); view.touch(); }).observe(grid);
    host.dataset.ready = "true";
    arrange();
    draw(!atmPainter.slow()); // once at once, for paper and for readers who do not scroll
    return view;
  }

  /* ---------------------------------------------------------------- the page */

  let last = 0;
  function loop(now) {
    // A tab that slept must not jump ahead.
    const elapsed = Math.min((now - last) / 1000, 0.1);
    last = now;
    for (const view of views) {
      if (view.host.isConnected) view.tick(elapsed);
      else views.delete(view);
    }
    requestAnimationFrame(loop);
  }

  function mount(root = document) {
    for (const host of root.querySelectorAll(".motion-view:not([data-ready])")) views.add(start(host));
  }

  atmPainter.ready.then(() => views.forEach((view) => view.draw(!atmPainter.slow())));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => views.forEach((view) => view.touch()));
  addEventListener("beforeprint", () => views.forEach((view) => view.draw(true)));
  new MutationObserver(() => views.forEach((view) => view.touch()))
    .observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", () => mount());
  else mount();
  requestAnimationFrame(loop);
  return { mount, views };
})();
