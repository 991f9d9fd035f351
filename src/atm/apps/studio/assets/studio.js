/* The studio's page: a project (sentences, lengths, seed, ...), what the server made of it, and the two drawn.
   Routes: atm/apps/studio/server.py. The figures are those of the motion viewer (atmMotionView). */
(() => {
  "use strict";

  const VERSION = 1;
  const SHORTEST = 0.5, NEXT_SECONDS = 3, UNKNOWN_SECONDS = 6; // seconds of a block: at least, of a new one, of one that is not known yet
  const COLOURS = ["var(--one)", "var(--two)", "var(--three)", "var(--four)"];
  const KEPT = ["studio-project", "studio-theme", "studio-token"];
  const $ = (id) => document.getElementById(id);
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
  const tenth = (x) => Math.round(x * 10) / 10;
  const store = {
    get(name) { try { return localStorage.getItem(name); } catch { return null; } },
    set(name, value) { try { localStorage.setItem(name, value); } catch { /* a private window keeps nothing */ } },
  };

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (name === "style") made.style.cssText = value;
      else if (value !== false && value != null) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  /* ---------------------------------------------------------------- the server */

  const fromLink = new URLSearchParams(location.hash.slice(1)).get("token");
  if (fromLink) { store.set(KEPT[2], fromLink); history.replaceState(null, "", location.pathname); }

  async function ask(path, { method = "GET", body, raw = false } = {}) {
    const headers = {}, token = store.get(KEPT[2]);
    if (token) headers.authorization = `Bearer ${token}`;
    if (body) headers["content-type"] = "application/json";
    let answer;
    try {
      answer = await fetch(`api/${path}`, { method, headers, body: body && JSON.stringify(body) });
    } catch {
      throw new Error("the studio does not answer: is it still running?");
    }
    if (answer.status === 401) {
      const given = prompt("This studio asks for its token. It was printed where the studio was started.");
      if (given) { store.set(KEPT[2], given.trim()); return ask(path, { method, body, raw }); }
    }
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail || `the studio answered ${answer.status}`);
    return raw ? answer : answer.json();
  }

  /* ---------------------------------------------------------------- the project, and its undo */

  const blank = () => ({ version: VERSION, model: null, parts: [{ text: "", seconds: null }], seed: 0, locked: false, samples: 1, guidance: null, best_of: 1 });
  let project = blank(), selected = 0, past = [], typing = false;
  let models = [], formats = [], styles = {}, job = null, motions = [], view = null;

  const model = () => models.find((one) => one.name === project.model) || models[0];
  const part = () => project.parts[selected];

  function change(edit, merge = false) {
    if (!merge) past.push(JSON.stringify(project));
    edit();
    draw();
  }
  function undo() {
    if (!past.length) return;
    project = JSON.parse(past.pop());
    selected = clamp(selected, 0, project.parts.length - 1);
    typing = false;
    draw();
    read();
  }

  /* Throws a sentence on what is wrong with a project file. */
  function checked(found) {
    const number = (x, low, high) => typeof x === "number" && x >= low && x <= high;
    const wrong = (what) => { throw new Error(`this file is no project of the studio: ${what}; the one on the page is unchanged`); };
    if (!found || typeof found !== "object" || found.version !== VERSION) wrong(`expected version ${VERSION}`);
    if (!Array.isArray(found.parts) || !found.parts.length || found.parts.length > 24) wrong("it needs 1 to 24 sentences");
    for (const one of found.parts) {
      if (!one || typeof one.text !== "string" || !(one.seconds === null || number(one.seconds, SHORTEST, 120))) wrong("a sentence has a text, and seconds or null");
    }
    if (!Number.isInteger(found.seed) || !number(found.seed, 0, Number.MAX_SAFE_INTEGER)) wrong("its seed is no whole number");
    if (!number(found.samples, 1, 4) || !number(found.best_of, 1, 8)) wrong("1 to 4 samples, the best of 1 to 8");
    if (!(found.guidance === null || number(found.guidance, 0, 50))) wrong("guidance is 0 to 50, or null");
    const { version, seed, samples, guidance, best_of } = found;
    const parts = found.parts.map(({ text, seconds }) => ({ text, seconds }));
    return { version, model: found.model ?? null, parts, seed, locked: Boolean(found.locked), samples, guidance, best_of };
  }

  async function open(file) {
    try {
      let found;
      try { found = JSON.parse(await file.text()); } catch { found = null; }
      found = checked(found);
      change(() => { project = found; selected = 0; });
      say(`${file.name} is open: generate makes its motions again.`);
      read();
    } catch (error) { say(error.message, true); }
  }

  const save = () => download(new Blob([JSON.stringify(project, null, 2)], { type: "application/json" }), "project.json");
  function download(blob, name) {
    const link = element("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  /* ---------------------------------------------------------------- generating */

  function say(text, bad = false) { $("status").textContent = text; $("status").className = bad ? "bad" : ""; }
  const dice = () => change(() => { project.seed = Math.floor(Math.random() * 1e6); });

  function request() {
    const { seed, guidance, samples, best_of, parts } = project;
    const common = { model: model().name, seed, guidance, samples };
    if (parts.length === 1) return ["generate", { ...common, best_of, text: parts[0].text, seconds: parts[0].seconds }];
    return ["sequence", { ...common, parts: parts.map(({ text, seconds }) => ({ text, seconds: seconds ?? tenth(lengthOf({ text, seconds })) })) }];
  }

  async function generate() {
    if (job) return;
    const empty = project.parts.findIndex((one) => !one.text.trim());
    if (empty >= 0) {
      choose(empty);
      $("text").focus();
      say("Write what shall be done.", true);
      return;
    }
    if (!project.locked && motions.length) dice();
    job = { id: null };
    busy(true);
    try {
      await Promise.all(project.parts.map((one) => understand(one.text)));
      const [route, body] = request();
      let now = await ask(route, { method: "POST", body });
      job = now;
      while (now.state === "queued" || now.state === "running") {
        $("progress").value = now.progress;
        say(now.state === "queued" ? `Waiting behind ${now.ahead}.` : "Making it.");
        await new Promise((done) => setTimeout(done, 250));
        now = await ask(`jobs/${now.id}`);
      }
      if (now.state === "failed") throw new Error(now.error);
      if (now.state === "done") {
        motions = await Promise.all(now.motions.map((name) => ask(`motions/${name}`)));
        Object.assign(motions, { command: now.command, python: now.python });
        show();
        const unheard = project.parts.length > 1 ? now.warnings.join(" · ") : ""; // of one sentence the chips say it
        say(unheard || told(), Boolean(unheard));
      } else say("Cancelled.");
    } catch (error) {
      say(error.message, true);
    }
    job = null;
    busy(false);
    draw();
  }
  function told() {
    const [least, most] = [Math.min, Math.max].map((of) => of(...motions.map((motion) => motion.seconds)).toFixed(1));
    return `${motions.length > 1 ? `${motions.length} motions` : "A motion"} of ${least === most ? least : `${least} to ${most}`} s.`;
  }
  async function cancel() {
    if (job && job.id) await ask(`jobs/${job.id}`, { method: "DELETE" }).catch((error) => say(error.message, true));
  }
  function busy(on) {
    $("generate").disabled = on;
    $("cancel").hidden = $("progress").hidden = !on;
    $("progress").value = 0;
  }

  /* Puts the motions into a viewer, each with its verdict below it. */
  function show() {
    const bodies = motions.flatMap((motion) => motion.bodies), panes = [];
    let body = 0;
    for (const [k, motion] of motions.entries()) {
      const said = motion.parts.map((told) => told.verdict || "– not judged").join(" · ");
      const score = motion.score === null ? "" : `match ${motion.score.toFixed(2)}`;
      panes.push({ ...motion.pane, body: motion.pane.body + body, label: motions.length > 1 ? `sample ${k + 1}` : "", caption: [said, score].filter(Boolean).join(" · ") });
      body += motion.bodies.length;
    }
    const data = { title: "", overlaid: false, columns: 4, autoplay: true, start: 0, darkens: false, bodies, panes };
    const figure = element("figure", { class: "motion-view", role: "group", "aria-label": motions[0].text });
    figure.append(element("script", { type: "application/json" }, JSON.stringify(data)));
    $("stage").replaceChildren(figure);
    atmMotionView.mount($("stage"));
    view = [...atmMotionView.views].at(-1);
  }

  /* ---------------------------------------------------------------- what is understood, while one types */

  const understood = new Map(); // by model and sentence: actions, a warning, and the seconds that the model would take
  const keyOf = (text) => `${model()?.name} ${text}`;
  async function understand(text) {
    const key = keyOf(text);
    if (text.trim() && !understood.has(key)) understood.set(key, await ask("read", { method: "POST", body: { text, model: model()?.name } }));
    return understood.get(key);
  }

  let reading = 0;
  function read() {
    clearTimeout(reading);
    const text = part().text;
    if (!text.trim()) { $("chips").replaceChildren(); return; }
    reading = setTimeout(async () => {
      const found = await understand(text).catch(() => null);
      if (!found || part().text !== text) return;
      const chips = found.actions.map((action) => element("span", { class: action.taught ? "chip" : "chip bad" }, action.words));
      if (found.warning) chips.push(element("span", { class: "chip bad" }, found.warning));
      $("chips").replaceChildren(...chips);
      drawTimeline();
    }, 300);
  }

  /* ---------------------------------------------------------------- the time line */

  /* Seconds of a sentence; where none are said, those of its motion, or that the model would take, or a guess. */
  function lengthOf(one) {
    const several = project.parts.length > 1;
    if (one.seconds !== null) return one.seconds;
    if (!several && motions.length && motions[0].parts.length === 1 && motions[0].text === one.text) return motions[0].seconds;
    return understood.get(keyOf(one.text))?.seconds ?? (several ? NEXT_SECONDS : model()?.default_seconds ?? UNKNOWN_SECONDS);
  }
  const total = () => Math.max(project.parts.reduce((sum, one) => sum + lengthOf(one), 0), ...motions.map((motion) => motion.seconds), 1);
  const at = (begin, end) => `left:${(100 * begin) / total()}%;width:${(100 * (end - begin)) / total()}%`;

  function drawTimeline() {
    const whole = total(), step = whole > 60 ? 10 : whole > 24 ? 5 : whole > 12 ? 2 : 1;
    $("ruler").replaceChildren(...Array.from({ length: Math.ceil(whole / step) }, (_, k) => element("span", { style: `left:${(100 * k * step) / whole}%` }, String(k * step))));
    let begin = 0;
    $("blocks").replaceChildren(...project.parts.map((one, k) => {
      const seconds = lengthOf(one), made = block(one, k, begin, seconds);
      begin += seconds;
      return made;
    }));
    $("plans").replaceChildren(...motions.flatMap((motion, k) => (motion.plan ? planLane(motion, k) : [])));
    const curves = motions.filter((motion) => motion.curve);
    $("match-name").hidden = $("curve").hidden = !curves.length;
    if (curves.length) drawCurve();
  }

  function choose(k) {
    selected = k;
    typing = false;
    draw();
    read();
  }
  const leaveOut = (k) => change(() => {
    project.parts.splice(k, 1);
    selected = clamp(selected, 0, project.parts.length - 1);
  });

  function block(one, k, begin, seconds) {
    const longest = model()?.longest ?? 10, what = "Leave this sentence out";
    const made = element("div", {
      class: `block${k === selected ? " selected" : ""}`,
      style: at(begin, begin + seconds),
      title: `${one.text} · ${one.seconds === null ? "as long as it takes" : `${tenth(seconds)} s`}`,
      onclick: () => choose(k),
    }, one.text.trim() ? one.text : element("span", { class: "silent" }, "nothing said yet"));
    if (project.parts.length > 1) {
      const drop = (event) => { event.stopPropagation(); leaveOut(k); };
      made.append(element("button", { class: "drop", title: what, "aria-label": what, onclick: drop }, "×"));
    }
    const edge = element("div", {
      class: "edge", tabindex: 0, role: "slider", "aria-label": `Seconds of sentence ${k + 1}`,
      "aria-valuenow": tenth(seconds), "aria-valuemin": SHORTEST, "aria-valuemax": longest,
    });
    const set = (value, merge) => change(() => { project.parts[k].seconds = clamp(tenth(value), SHORTEST, longest); }, merge);
    edge.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      event.stopPropagation();
      // The lane is drawn anew while the edge moves, so the page follows the pointer and the scale is that of the start.
      const from = event.clientX, scale = total() / $("blocks").clientWidth;
      let moved = false;
      const move = (now) => { set(seconds + (now.clientX - from) * scale, moved); moved = true; };
      addEventListener("pointermove", move);
      for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => removeEventListener("pointermove", move), { once: true });
    });
    edge.addEventListener("click", (event) => event.stopPropagation());
    edge.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -0.1, ArrowRight: 0.1 }[event.key];
      if (!way) return;
      event.preventDefault();
      event.stopPropagation();
      set(seconds + way);
      $("blocks").children[k].querySelector(".edge").focus();
    });
    made.append(edge);
    return made;
  }

  function planLane(motion, k) {
    const lane = element("div", { class: "lane" });
    for (const done of motion.plan) {
      const words = [
        done.verb.replaceAll("_", " "), done.count && `×${done.count}`, done.side, done.direction,
        done.path !== "straight" && done.path, done.degrees && `${Math.round(done.degrees)}°`, done.speed !== "normal" && done.speed,
      ];
      const text = words.filter(Boolean).join(" "), when = `${done.begin.toFixed(1)} to ${done.end.toFixed(1)} s`;
      lane.append(element("div", { class: "action", style: at(done.begin, done.end), title: `${text}: ${when}` }, text));
      for (const mark of done.marks) lane.append(element("div", { class: "mark", style: `left:${(100 * mark) / total()}%` }));
    }
    const name = element("div", {
      class: "name", title: "What the model set out to do; a mark where a repetition begins or ends",
      style: motions.length > 1 ? `color:${COLOURS[k % 4]}` : "",
    }, motions.length > 1 ? `plan ${k + 1}` : "plan");
    return [name, lane];
  }

  function drawCurve() {
    const whole = total(), x = (seconds) => ((100 * seconds) / whole).toFixed(2), y = (cosine) => (60 * (1 - clamp(cosine, 0, 1))).toFixed(2);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 100 60");
    svg.setAttribute("preserveAspectRatio", "none");
    const line = (d, attributes) => {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      for (const [name, value] of Object.entries({ d, ...attributes })) path.setAttribute(name, value);
      svg.append(path);
    };
    line("M0 30H100", { class: "grid" });
    for (const [k, motion] of motions.entries()) {
      if (!motion.curve) continue;
      const { seconds, cosines, clip } = motion.curve, last = seconds.length - 1;
      // The first clip's value stands from its begin on, the last one's to its end.
      const points = [[seconds[0] - clip / 2, cosines[0]], ...seconds.map((s, i) => [s, cosines[i]]), [seconds[last] + clip / 2, cosines[last]]];
      line("M" + points.map(([s, c]) => `${x(s)} ${y(c)}`).join("L"), { style: `stroke:${COLOURS[k % 4]}` });
    }
    const mark = (cosine) => element("span", { style: `top:${clamp(100 * (1 - cosine), 9, 91)}%` }, String(cosine));
    $("curve").replaceChildren(svg, mark(1), mark(0.5), mark(0));
  }

  /* The curves' values at a time, each in its colour. */
  function matchAt(time) {
    return motions.flatMap(({ curve }, k) => {
      if (!curve) return [];
      const gap = (i) => Math.abs(curve.seconds[i] - time);
      const nearest = curve.seconds.reduce((best, _, i) => (gap(i) < gap(best) ? i : best), 0);
      return element("span", { style: `color:${COLOURS[k % 4]}` }, curve.cosines[nearest].toFixed(2));
    });
  }

  let drawn = -1;
  function follow() {
    if (view && view.state.time !== drawn) {
      drawn = view.state.time;
      const lane = $("ruler");
      $("playhead").hidden = false;
      $("playhead").style.left = `${lane.offsetLeft + (lane.clientWidth * drawn) / total()}px`;
      $("match").replaceChildren(...matchAt(drawn));
    }
    requestAnimationFrame(follow);
  }
  for (const lane of [$("ruler"), $("curve"), $("plans")]) {
    const seek = (event) => {
      const box = $("ruler").getBoundingClientRect();
      if (!view || event.clientX < box.left) return;
      view.pause();
      view.seek((total() * (event.clientX - box.left)) / box.width);
    };
    lane.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      seek(event);
      addEventListener("pointermove", seek);
      for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => removeEventListener("pointermove", seek), { once: true });
    });
  }

  /* ---------------------------------------------------------------- the page */

  function draw() {
    const one = part(), known = model(), several = project.parts.length > 1;
    const put = (id, value) => { if (document.activeElement !== $(id) || $(id).value === "") $(id).value = value ?? ""; };
    if ($("text").value !== one.text) $("text").value = one.text;
    $("text-label").textContent = several ? `Sentence ${selected + 1} of ${project.parts.length}` : "Sentence";
    put("seconds", one.seconds);
    $("seconds").placeholder = known?.default_seconds ? String(known.default_seconds) : "as it takes";
    if (known) Object.assign($("seconds"), { min: known.shortest, max: known.longest });
    put("seed", project.seed);
    $("lock").textContent = project.locked ? "Locked" : "Lock";
    $("lock").setAttribute("aria-pressed", String(project.locked));
    $("lock").title = project.locked ? "Every Generate has this seed (l)" : "Every Generate takes another seed; press to keep this one (l)";
    $("samples").value = project.samples;
    put("guidance", project.guidance);
    $("guidance").disabled = known ? !known.guidance : false;
    put("best-of", project.best_of);
    $("best-of").disabled = several;
    $("add").disabled = !known?.sequences;
    $("add").title = known?.sequences ? "Another sentence behind these (n)" : `${known?.name ?? "this model"} did not learn to go on from a motion: one sentence at a time`;
    if (known) $("model").value = known.name;
    $("undo").disabled = !past.length;
    $("export").hidden = !motions.length;
    $("which-label").hidden = motions.length < 2;
    if ($("which").length !== motions.length) $("which").replaceChildren(...motions.map((_, k) => element("option", { value: k }, String(k + 1))));
    $("copy-command").disabled = !motions.command;
    $("copy-command").title = motions.command ? "" : "The command line makes one sentence at a time: copy as Python";
    drawTimeline();
    drawn = -1;
    store.set(KEPT[0], JSON.stringify(project));
  }

  const keep = (button, text) => navigator.clipboard.writeText(text).then(
    () => say(`Copied: ${button.textContent.toLowerCase().replace("copy as ", "")}.`),
    () => say(text),
  );
  async function exportAs(format) {
    const query = new URLSearchParams({ format });
    for (const name of styles[format] || []) if ($(name).value) query.set(name, $(name).value);
    say(`Writing ${format}.`);
    try {
      const answer = await ask(`motions/${motions[+$("which").value || 0].id}/export?${query}`, { raw: true });
      const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") || "")?.[1] || `motion.${format}`;
      download(await answer.blob(), name);
      say(`${name} is written.`);
    } catch (error) { say(error.message, true); }
  }

  function add() {
    if (!model()?.sequences) { say($("add").title, true); return; }
    change(() => {
      project.parts.push({ text: "", seconds: null });
      selected = project.parts.length - 1;
      project.best_of = 1;
    });
    $("text").focus();
    read();
  }
  const lock = () => change(() => { project.locked = !project.locked; });
  function theme() {
    const order = ["", "light", "dark"], now = document.documentElement.dataset.theme || "";
    setTheme(order[(order.indexOf(now) + 1) % 3]);
  }
  function setTheme(name) {
    if (name) document.documentElement.dataset.theme = name;
    else delete document.documentElement.dataset.theme;
    store.set(KEPT[1], name);
    $("theme").textContent = { light: "Light", dark: "Dark" }[name] || "Theme";
  }

  /* Reads a number field into the project; an empty one is null where that means something, else it stays as it was. */
  function number(id, low, high, put, nullable = false) {
    $(id).addEventListener("change", () => {
      const value = $(id).value === "" ? null : Number($(id).value);
      if (value === null ? !nullable : !Number.isFinite(value)) { draw(); return; }
      change(() => put(value === null ? null : clamp(value, low, high)));
      $(id).value = value === null ? "" : clamp(value, low, high);
    });
  }
  number("seconds", SHORTEST, 120, (value) => { part().seconds = value; }, true);
  number("seed", 0, Number.MAX_SAFE_INTEGER, (value) => { Object.assign(project, { seed: Math.floor(value), locked: true }); });
  number("guidance", 0, 50, (value) => { project.guidance = value; }, true);
  number("best-of", 1, 8, (value) => { project.best_of = Math.floor(value); });
  $("samples").addEventListener("change", () => change(() => { project.samples = +$("samples").value; }));
  $("model").addEventListener("change", () => { change(() => { project.model = $("model").value; }); read(); });
  $("text").addEventListener("input", () => { change(() => { part().text = $("text").value; }, typing); typing = true; read(); });
  $("text").addEventListener("blur", () => { typing = false; });
  const clicks = { generate, cancel, dice, lock, add, undo, save, theme, open: () => $("file").click(), help };
  for (const [id, work] of Object.entries(clicks)) $(id).addEventListener("click", () => work());
  $("copy-command").addEventListener("click", () => keep($("copy-command"), motions.command));
  $("copy-python").addEventListener("click", () => keep($("copy-python"), motions.python));
  $("file").addEventListener("change", () => { if ($("file").files[0]) open($("file").files[0]); $("file").value = ""; });

  const KEYS = [
    ["Ctrl Enter", "generate"], ["Esc", "cancel"], ["space", "play or pause"], ["← →", "one frame; with Shift ten"],
    ["↑ ↓", "faster, slower"], ["Home End", "first and last frame"], ["r", "first view again"], ["/", "write the sentence"],
    ["n", "another sentence"], ["d", "dice: another seed"], ["l", "lock the seed"], ["1 to 4", "samples"],
    ["s", "save the project"], ["o", "open one"], ["Ctrl Z", "undo"], ["t", "light or dark"], ["?", "these keys"],
  ];
  $("keys").querySelector("dl").append(...KEYS.flatMap(([key, what]) => [element("dt", {}, key), element("dd", {}, what)]));
  function help() { if (!$("keys").open) $("keys").showModal(); }

  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") { event.preventDefault(); generate(); return; }
    if (event.key === "Escape") { if (!$("keys").open) cancel(); return; }
    if (event.target.closest("input, textarea, select, dialog")) return;
    if ((event.ctrlKey || event.metaKey) && event.key === "z") { event.preventDefault(); undo(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const count = Number(event.key);
    const keys = { n: add, d: dice, l: lock, s: save, o: clicks.open, t: theme, "?": help, "/": () => $("text").focus() };
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
    else if (count >= 1 && count <= 4) change(() => { project.samples = count; });
    else if (view && !view.host.contains(event.target) && !(event.key === " " && event.target.closest("button, summary"))) {
      // The viewer's own keys, without its having the focus.
      const passed = new KeyboardEvent("keydown", { key: event.key, shiftKey: event.shiftKey, cancelable: true });
      if (!view.host.dispatchEvent(passed)) event.preventDefault();
    }
  });
  addEventListener("resize", () => { drawn = -1; });

  async function start() {
    setTheme(store.get(KEPT[1]) || "");
    try { project = checked(JSON.parse(store.get(KEPT[0]))); } catch { project = blank(); }
    draw();
    follow();
    try {
      ({ models, formats, styles } = await ask("models"));
      $("model").replaceChildren(...models.map((one) => element("option", { value: one.name }, `${one.name} (${one.kind})`)));
      if (!models.some((one) => one.name === project.model)) project.model = models[0].name;
      $("formats").replaceChildren(...formats.map((format) => element("button", { onclick: () => exportAs(format) }, format)));
      draw();
      read();
      const wanted = new URLSearchParams(location.search).get("text");
      if (wanted) { change(() => { project = { ...blank(), model: models[0].name, locked: true }; part().text = wanted; }); read(); await generate(); }
    } catch (error) { say(error.message, true); }
  }
  start();
})();
