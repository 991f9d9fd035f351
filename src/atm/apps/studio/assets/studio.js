/* The studio's page: a project (sentences, lengths, seed, ...), what the server made of it, and the two drawn.
   Routes: atm/apps/studio/server.py. The figures are those of the motion viewer (atmMotionView). */
(() => {
  "use strict";

  const VERSION = 1;
  const SHORTEST = 0.5, NEXT_SECONDS = 3, UNKNOWN_SECONDS = 6; // seconds of a block: at least, of a new one, of one that is not known yet
  const COLOURS = ["var(--one)", "var(--two)", "var(--three)", "var(--four)", "var(--five)", "var(--six)", "var(--seven)", "var(--eight)"];
  const MOST_SAMPLES = COLOURS.length, MOST_STEPS = 1000;
  const HOLD = 0.2; // seconds before and behind a held pose that are held with it, so that it is no single frame
  const MOST_KEPT = 64, DEEPEST = 8; // held poses, points of a path; motions that were made of one another
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

  const blank = () => ({ version: VERSION, model: null, parts: [{ text: "", seconds: null }], seed: 0, locked: false, samples: 1, guidance: null, steps: null, best_of: 1, hold: [], path: [], base: null });
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
    layPath();
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
    if (!number(found.samples, 1, MOST_SAMPLES) || !number(found.best_of, 1, 8)) wrong(`1 to ${MOST_SAMPLES} samples, the best of 1 to 8`);
    const { hold = [], path = [], base = null, steps = null } = found; // files of before have none
    const few = (list, good) => Array.isArray(list) && list.length <= MOST_KEPT && list.every(good);
    if (!few(hold, (time) => number(time, 0, 120))) wrong("held poses are times in seconds");
    if (!few(path, (point) => Array.isArray(point) && point.length === 2 && point.every((x) => number(x, -100, 100)))) wrong("a path is a list of [x, z] in metres");
    let depth = 0;
    for (let one = base; one !== null; one = one.base ?? null) {
      const good = one && ["generate", "sequence", "edit"].includes(one.route) && one.body && typeof one.body === "object" && Number.isInteger(one.sample) && number(one.seconds, 0, 120);
      if (!good || ++depth > DEEPEST) wrong("what its kept poses come from cannot be read");
    }
    if ((hold.length || path.length) && !base) wrong("its kept poses come from nowhere");
    if (!(found.guidance === null || number(found.guidance, 0, 50))) wrong("guidance is 0 to 50, or null");
    if (!(steps === null || (Number.isInteger(steps) && number(steps, 1, MOST_STEPS)))) wrong(`steps are a whole number from 1 to ${MOST_STEPS}, or null`);
    const { version, seed, samples, guidance, best_of } = found;
    const parts = found.parts.map(({ text, seconds }) => ({ text, seconds }));
    return { version, model: found.model ?? null, parts, seed, locked: Boolean(found.locked), samples, guidance, steps, best_of, hold, path, base };
  }

  async function open(file) {
    try {
      let found;
      try { found = JSON.parse(await file.text()); } catch { found = null; }
      found = checked(found);
      change(() => { project = found; selected = 0; });
      layPath();
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

  const keeping = () => project.hold.length + project.path.length > 0;
  const known = new Map(); // ids of motions that this page made, by what they were made from

  /* Returns the id of the motion that poses are kept of; makes it again where it is not there any more. */
  async function idOf(base) {
    const key = JSON.stringify(base), before = known.get(key);
    if (before && await ask(`motions/${before}`).then(() => true, () => false)) return before;
    const body = base.base ? { ...base.body, motion: await idOf(base.base) } : base.body;
    const made = await finishedJob(await ask(base.route, { method: "POST", body }), "Making again what is kept.");
    if (made.state !== "done") throw new Error(made.error || "Cancelled.");
    known.set(key, made.motions[base.sample]);
    return known.get(key);
  }

  /* Parts that stand, as the server takes them. */
  function spans() {
    const { hold, base } = project;
    if (!hold.length) return [];
    if (model()?.keeps === "beginning") return [[0, Math.min(Math.max(...hold), base.seconds)]];
    const parts = [];
    for (const time of [...hold].sort((a, b) => a - b)) {
      const [begin, end] = [Math.max(0, time - HOLD), Math.min(base.seconds, time + HOLD)], last = parts.at(-1);
      if (last && begin <= last[1]) last[1] = end;
      else parts.push([begin, end]);
    }
    return parts;
  }

  /* Says in one sentence why the model cannot keep what is kept; null: it can. */
  function cannotKeep(what) {
    const one = model();
    if (!one) return "no model yet";
    if (project.parts.length > 1) return "A pose and a path are kept in one sentence: leave the others out.";
    if (what === "path" && !one.paths) return `${one.name} cannot be held on a path: take a model that can, such as an MDM.`;
    if (what === "hold" && !one.keeps) return `${one.name} keeps no part of a motion: take one that completes motions (mdm, momask, bamm) or goes on from them (causal_flow).`;
    return null;
  }

  function request() {
    const { seed, guidance, steps, samples, best_of, parts } = project;
    const common = { model: model().name, seed, guidance, steps: model().steps ? steps : null, samples };
    if (keeping()) {
      const wrong = (project.path.length && cannotKeep("path")) || (project.hold.length && cannotKeep("hold"));
      if (wrong) throw new Error(wrong);
      const path = project.path.length ? project.path : null;
      return ["edit", { ...common, text: parts[0].text, seconds: parts[0].seconds ?? project.base.seconds, keep: spans(), path }];
    }
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
    note = "";
    busy(true);
    try {
      await Promise.all(project.parts.map((one) => understand(one.text)));
      const [route, body] = request();
      const base = route === "edit" ? project.base : null;
      const sent = base ? { ...body, motion: await idOf(base) } : body;
      const now = await finishedJob(await ask(route, { method: "POST", body: sent }), "Making it.");
      if (now.state === "failed") throw new Error(now.error);
      if (now.state === "done") {
        motions = await Promise.all(now.motions.map((name) => ask(`motions/${name}`)));
        Object.assign(motions, { command: now.command, python: now.python, recipe: { route, body, base } });
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
  async function finishedJob(now, words) {
    job = now;
    while (now.state === "queued" || now.state === "running") {
      $("progress").value = now.progress;
      say(now.state === "queued" ? `Waiting behind ${now.ahead}.` : words);
      await new Promise((done) => setTimeout(done, 250));
      now = await ask(`jobs/${now.id}`);
    }
    return now;
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
    const figure = element("figure", { class: motions.length > 4 ? "motion-view many" : "motion-view", role: "group", "aria-label": motions[0].text });
    figure.append(element("script", { type: "application/json" }, JSON.stringify(data)));
    $("stage").replaceChildren(figure);
    atmMotionView.mount($("stage"));
    view = [...atmMotionView.views].at(-1);
    $("negative").hidden = $("real").hidden = true;
    drawing(false);
    layPath();
  }

  /* ---------------------------------------------------------------- poses that are held, and the path */

  const chosen = () => Math.min(+$("which").value || 0, motions.length - 1);
  let note = ""; // what cannot be kept, said where it was asked for

  /* Keeps something of the motion that is shown, from which it comes from then on. */
  function keepOf(edit) {
    const { recipe } = motions, sample = chosen();
    change(() => {
      if (!keeping()) {
        project.base = { ...recipe, sample, seconds: motions[sample].seconds };
        known.set(JSON.stringify(project.base), motions[sample].id);
      }
      edit();
    });
  }
  function refuse(sentence) { note = sentence; drawKept(); }

  function hold() {
    const wrong = motions.length ? cannotKeep("hold") : "Generate a motion first: its pose is then held.";
    if (wrong) { refuse(wrong); return; }
    const time = Math.round(view.state.time * 20) / 20;
    note = "";
    if (model().keeps === "beginning" && time < 0.05) { refuse(`${model().name} holds a beginning: go to a later frame, up to which the motion stands.`); return; }
    keepOf(() => { project.hold = model().keeps === "beginning" ? [time] : [...new Set([...project.hold, time])].slice(-MOST_KEPT); });
  }
  function free() { note = ""; drawing(false); change(() => Object.assign(project, { hold: [], path: [], base: null })); layPath(); }

  function drawing(on) {
    $("path").setAttribute("aria-pressed", String(on));
    $("path").textContent = on ? "End the path" : "Draw a path";
    if (view) {
      view.onfloor = on ? addPoint : null;
      view.host.classList.toggle("mv-drawing", on);
    }
    if (!on) return;
    view.pause();
    view.seek(0);
    note = "Click points on the floor.";
    drawKept();
  }
  function path() {
    if ($("path").getAttribute("aria-pressed") === "true") { note = ""; drawing(false); drawKept(); return; }
    const wrong = motions.length ? cannotKeep("path") : "Generate a motion first: the path begins where it stands.";
    if (wrong) { refuse(wrong); return; }
    drawing(true);
  }
  function addPoint(x, z) {
    if (project.path.length >= MOST_KEPT) { refuse(`A path has ${MOST_KEPT} points at most.`); return; }
    keepOf(() => { project.path.push([x, z].map((value) => Math.round(value * 100) / 100)); });
    layPath();
  }
  /* Draws the path on the floor: from the start through every point, with a small square around each. */
  function layPath() {
    if (!view) return;
    const accent = [0.18, 0.49, 0.33, 0.95], at = [[0, 0], ...project.path];
    const line = (points) => ({ points: points.flat(), colours: points.map(() => accent) });
    const square = ([x, z], r = 0.06) => line([[x - r, z - r], [x + r, z - r], [x + r, z + r], [x - r, z + r], [x - r, z - r]]);
    view.lines = project.path.length ? [line(at), ...project.path.map((point) => square(point))] : [];
    view.touch();
  }

  function drawKept() {
    const { hold: held, path: points } = project;
    $("holds").replaceChildren(
      ...spans().map(([begin, end]) => element("div", { class: "held", style: at(begin, end) })),
      ...held.map((time) => {
        const what = `Let go of the pose at ${time} s`;
        return element("button", { class: "hold", style: `left:${(100 * time) / total()}%`, title: what, "aria-label": what, onclick: () => { change(() => letGo(time)); } });
      }),
    );
    $("free").hidden = !keeping();
    const kept = [
      held.length && (model()?.keeps === "beginning" ? `the motion stands up to ${held[0]} s` : `${held.length} pose${held.length > 1 ? "s" : ""} held`),
      points.length && `a path of ${points.length} point${points.length > 1 ? "s" : ""}`,
    ].filter(Boolean).join(", ");
    const wrong = keeping() && ((points.length && cannotKeep("path")) || (held.length && cannotKeep("hold")));
    const goesOn = held.length && model()?.keeps === "beginning";
    const then = goesOn ? "write what comes then, and Generate." : "Generate makes the rest anew.";
    const drawn = note.startsWith("Click") && points.length ? `${points.length} so far.` : "";
    $("keep-note").textContent = wrong || [note, drawn].filter(Boolean).join(" ") || (kept ? `${kept}: ${then}` : "");
    $("keep-note").className = wrong || (note && !note.startsWith("Click")) ? "bad" : "";
  }
  function letGo(time) {
    project.hold = project.hold.filter((one) => one !== time);
    if (!keeping()) project.base = null;
  }

  /* ---------------------------------------------------------------- what a motion resembles */

  async function resembles(time) {
    const k = chosen();
    if (!motions[k]?.curve) return;
    const box = $("negative");
    box.hidden = false;
    box.replaceChildren("Looking for the sentence that it resembles most.");
    try {
      const found = await ask(`motions/${motions[k].id}/negative?at=${Math.min(time, motions[k].seconds).toFixed(3)}`);
      if (k !== chosen()) return;
      const [most, ...rest] = found.others;
      const when = `${motions.length > 1 ? `Sample ${k + 1}, ` : ""}${found.begin.toFixed(1)} to ${found.end.toFixed(1)} s`;
      if (!most) { box.replaceChildren(`${when}: no sentence that means something else is listed.`); return; }
      const closer = most.distance < found.own.distance;
      const named = (one) => `“${one.text}” (${one.distance.toFixed(2)})`;
      box.replaceChildren(
        `${when}: of sentences that mean something else it resembles most `, element("b", { class: closer ? "bad" : "" }, named(most)),
        `, its own lies at ${found.own.distance.toFixed(2)}${closer ? ": farther away" : ""}.`,
        element("small", {}, `then ${rest.map(named).join(", ")} · distance in the space, as the losses measure it: 0 is the same, of ${found.candidates} sentences`),
      );
    } catch (error) { box.replaceChildren(element("span", { class: "bad" }, error.message)); }
  }

  async function nearest() {
    const box = $("real"), [heading, place] = box.children;
    box.hidden = false;
    place.replaceChildren();
    heading.textContent = "Looking for real motions.";
    try {
      const { data, motions: found } = await ask(`motions/${motions[chosen()].id}/nearest?top=4`);
      const panes = found.map((one, k) => ({ ...one.pane, body: k, label: one.cosine.toFixed(2), caption: `“${one.text}” · ${one.id} · ${one.seconds.toFixed(1)} s` }));
      const figure = element("figure", { class: "motion-view", role: "group", "aria-label": "nearest real motions" });
      figure.append(element("script", { type: "application/json" }, JSON.stringify({ title: "", overlaid: false, columns: 4, autoplay: true, start: 0, darkens: false, bodies: found.flatMap((one) => one.bodies), panes })));
      heading.textContent = `Nearest in ${data}, with the cosine in the space`;
      place.replaceChildren(figure);
      atmMotionView.mount(place);
    } catch (error) { heading.textContent = error.message; }
    box.scrollIntoView({ block: "nearest" });
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
    drawKept();
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
      style: motions.length > 1 ? `color:${COLOURS[k % MOST_SAMPLES]}` : "",
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
      line("M" + points.map(([s, c]) => `${x(s)} ${y(c)}`).join("L"), { style: `stroke:${COLOURS[k % MOST_SAMPLES]}` });
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
      return element("span", { style: `color:${COLOURS[k % MOST_SAMPLES]}` }, curve.cosines[nearest].toFixed(2));
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
    if (lane === $("curve")) lane.addEventListener("click", () => { if (view) resembles(view.state.time); });
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
    put("steps", project.steps);
    $("steps").disabled = known ? !known.steps : false;
    if (known?.steps) $("steps").max = known.steps;
    $("steps").title = known?.steps === null ? `${known.name} has no sampling steps to choose` : `Sampling steps, 1 to ${known?.steps ?? MOST_STEPS}; fewer are faster`;
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
      const given = $(id).value === "" ? null : Number($(id).value);
      if (given === null ? !nullable : !Number.isFinite(given)) { draw(); return; }
      const value = given !== null && $(id).step === "1" ? Math.round(given) : given;
      change(() => put(value === null ? null : clamp(value, low, high)));
      $(id).value = value === null ? "" : clamp(value, low, high);
    });
  }
  number("seconds", SHORTEST, 120, (value) => { part().seconds = value; }, true);
  number("seed", 0, Number.MAX_SAFE_INTEGER, (value) => { Object.assign(project, { seed: value, locked: true }); });
  number("guidance", 0, 50, (value) => { project.guidance = value; }, true);
  number("steps", 1, MOST_STEPS, (value) => { project.steps = value; }, true);
  number("best-of", 1, 8, (value) => { project.best_of = value; });
  $("samples").addEventListener("change", () => change(() => { project.samples = +$("samples").value; }));
  $("model").addEventListener("change", () => { change(() => { project.model = $("model").value; }); read(); });
  $("text").addEventListener("input", () => { change(() => { part().text = $("text").value; }, typing); typing = true; read(); });
  $("text").addEventListener("blur", () => { typing = false; });
  const clicks = { generate, cancel, dice, lock, add, undo, save, theme, hold, path, free, nearest, open: () => $("file").click(), help };
  for (const [id, work] of Object.entries(clicks)) $(id).addEventListener("click", () => work());
  $("copy-command").addEventListener("click", () => keep($("copy-command"), motions.command));
  $("copy-python").addEventListener("click", () => keep($("copy-python"), motions.python));
  $("file").addEventListener("change", () => { if ($("file").files[0]) open($("file").files[0]); $("file").value = ""; });

  const KEYS = [
    ["Ctrl Enter", "generate"], ["Esc", "cancel"], ["space", "play or pause"], ["← →", "one frame; with Shift ten"],
    ["↑ ↓", "faster, slower"], ["Home End", "first and last frame"], ["r", "first view again"], ["/", "write the sentence"],
    ["n", "another sentence"], ["d", "dice: another seed"], ["l", "lock the seed"], ["1 to 8", "samples"], ["h", "hold the pose at this frame"], ["p", "draw the root's path; again: end it"], ["f", "full screen"],
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
    const keys = { n: add, d: dice, l: lock, s: save, o: clicks.open, t: theme, h: hold, p: path, "?": help, "/": () => $("text").focus() };
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
    else if (count >= 1 && count <= MOST_SAMPLES) change(() => { project.samples = count; });
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
