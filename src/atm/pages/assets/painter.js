/* Paints a scene of capsule figures on a floor into a 2D canvas: with WebGL 2 where the browser has it (one context
   for the whole page, however many canvases), else, or where that is slow, flat with the canvas itself.

   scene: {floor, capsules: Float32Array of 18 per capsule (ends and radii ax ay az ra bx by bz rb, colour r g b,
   flatness 0 to 1: how little it is shaded, half width beside the radius as a vector for each end), solid: how many of
   them, counted from the start, cast a shadow, trails: [{points: [x, z, ...], colours: [[r, g, b, a], ...]}]}
   camera: {eye, target, fov, near, far};  theme: {background, ground, grid: [r, g, b], dark, reach in metres} */
const atmPainter = (() => {
  "use strict";

  const STRIDE = 18;
  const MAX_SHADOWS = 88;
  const SUN = normalise([0.42, 1, 0.34]);

  function normalise(v) {
    const n = Math.hypot(v[0], v[1], v[2]) || 1;
    return [v[0] / n, v[1] / n, v[2] / n];
  }
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

  function axes(camera) {
    const back = normalise(minus(camera.eye, camera.target));
    const right = normalise(cross([0, 1, 0], back));
    return { right, up: cross(back, right), back };
  }

  function viewProjection(camera, aspect) {
    const { right, up, back } = axes(camera);
    const f = 1 / Math.tan(camera.fov / 2);
    const a = (camera.far + camera.near) / (camera.near - camera.far);
    const b = (2 * camera.far * camera.near) / (camera.near - camera.far);
    const rows = [
      [...right.map((x) => (x * f) / aspect), (-dot(right, camera.eye) * f) / aspect],
      [...up.map((x) => x * f), -dot(up, camera.eye) * f],
      [...back.map((x) => x * a), -dot(back, camera.eye) * a + b],
      [...back.map((x) => -x), dot(back, camera.eye)],
    ];
    return new Float32Array([0, 1, 2, 3].flatMap((column) => rows.map((row) => row[column])));
  }

  const BODY_VERTEX = `#version 300 es
    layout(location = 0) in vec4 shape;   // normal in the capsule's own frame (y along the bone), end 0 or 1
    layout(location = 1) in vec4 a;
    layout(location = 2) in vec4 b;
    layout(location = 3) in vec4 colour;
    layout(location = 4) in vec3 acrossA;
    layout(location = 5) in vec3 acrossB;
    uniform mat4 viewProjection;
    out vec3 normal; out vec3 place; out vec4 paint;
    void main() {
      vec3 along = b.xyz - a.xyz;
      vec3 y = length(along) > 1e-5 ? normalize(along) : vec3(0, 1, 0);
      vec3 wide = acrossA + acrossB - y * dot(acrossA + acrossB, y);
      vec3 aside = abs(y.y) < 0.9 ? cross(y, vec3(0, 1, 0)) : cross(y, vec3(1, 0, 0));
      vec3 x = normalize(length(wide) > 1e-4 ? wide : aside);
      normal = mat3(x, y, cross(x, y)) * shape.xyz;
      place = mix(a.xyz, b.xyz, shape.w) + normal * mix(a.w, b.w, shape.w);
      // A wide capsule is cut along its middle and drawn apart; the vertices on the cut stay and span its flat front.
      place += mix(acrossA, acrossB, shape.w) * (abs(shape.x) < 1e-3 ? 0.0 : sign(shape.x));
      paint = colour;
      gl_Position = viewProjection * vec4(place, 1);
    }`;

  const BODY_FRAGMENT = `#version 300 es
    precision highp float;
    in vec3 normal; in vec3 place; in vec4 paint;
    uniform vec3 eye; uniform vec3 sun; uniform float floorHeight; uniform float dark;
    out vec4 result;
    void main() {
      vec3 n = normalize(normal), view = normalize(eye - place);
      float light = max(dot(n, sun), 0.0);
      float sky = 0.5 + 0.5 * n.y;
      float near = smoothstep(-0.02, 0.5, place.y - floorHeight);
      float rim = pow(1.0 - max(dot(n, view), 0.0), 3.0);
      float gloss = pow(max(dot(n, normalize(sun + view)), 0.0), 36.0);
      vec3 base = paint.rgb * paint.rgb;
      vec3 lit = base * (0.66 * light + mix(0.30, 0.40, dark) * mix(0.55, 1.0, sky) * mix(0.75, 1.0, near) + 0.08 + 0.22 * max(dot(n, view), 0.0));
      lit += 0.10 * gloss + rim * mix(0.06, 0.16, dark) * (0.4 + base);
      lit = mix(lit, base * 1.05, paint.a);
      result = vec4(sqrt(clamp(lit, 0.0, 1.0)), 1);
    }`;

  const FLOOR_VERTEX = `#version 300 es
    layout(location = 0) in vec2 corner;
    uniform mat4 viewProjection; uniform vec3 target; uniform float reach; uniform float floorHeight;
    out vec3 place;
    void main() {
      place = vec3(target.x + corner.x * reach, floorHeight, target.z + corner.y * reach);
      gl_Position = viewProjection * vec4(place, 1);
    }`;

  // For each capsule: how much of the sun it hides (closest approach of the sun's ray to the bone, softer with
  // distance), and how much of the sky (the share of the view that a ball of its size fills).
  const FLOOR_FRAGMENT = `#version 300 es
    precision highp float;
    in vec3 place;
    uniform vec3 target; uniform float reach; uniform vec3 sun; uniform vec3 ground; uniform vec3 grid;
    uniform float dark; uniform int count; uniform vec4 a[${MAX_SHADOWS}]; uniform vec4 b[${MAX_SHADOWS}];
    uniform vec3 low; uniform vec3 high;
    out vec4 result;
    float lines(vec2 at, float spacing, float width) {
      vec2 step = at / spacing, off = abs(fract(step - 0.5) - 0.5), soft = fwidth(step);
      vec2 line = 1.0 - smoothstep(vec2(0.0), soft * 1.2 + width / spacing, off);
      return max(line.x, line.y) * (1.0 - smoothstep(0.15, 0.5, max(soft.x, soft.y)));
    }
    void main() {
      float away = distance(place.xz, target.xz) / reach;
      float fade = 1.0 - smoothstep(0.25, 0.98, away);
      float sunlight = 1.0, sky = 1.0;
      vec2 margin = vec2(0.6), shift = sun.xz / sun.y * (high.y - place.y);
      if (all(greaterThan(place.xz, min(low.xz, low.xz - shift) - margin)) &&
          all(lessThan(place.xz, max(high.xz, high.xz - shift) + margin))) {
        for (int i = 0; i < count; i++) {
          vec3 bone = b[i].xyz - a[i].xyz, from = place - a[i].xyz;
          float bb = dot(bone, bone) + 1e-6, bs = dot(bone, sun), bf = dot(bone, from), sf = dot(sun, from);
          float u = clamp((bf - bs * sf) / max(bb - bs * bs, 1e-4), 0.0, 1.0);
          float t = max(u * bs - sf, 0.0), radius = mix(a[i].w, b[i].w, u);
          float gap = length(from + sun * t - bone * u) - radius, soft = 0.015 + 0.13 * t;
          sunlight = min(sunlight, smoothstep(-soft, soft, gap + 0.25 * soft));
          float v = clamp(bf / bb, 0.0, 1.0);
          vec3 to = from - bone * v;
          float ball = mix(a[i].w, b[i].w, v);
          sky *= 1.0 - 0.55 * clamp(ball * ball / dot(to, to) - 0.03, 0.0, 1.0); // 0 at the margin: no edge
        }
      }
      float shade = mix(0.60, 0.45, dark) * (1.0 - sunlight) + 0.55 * (1.0 - sky);
      vec3 colour = mix(ground, grid, 0.55 * lines(place.xz, 0.5, 0.003) * (1.0 - dark * 0.3));
      colour = mix(colour, grid, lines(place.xz, 1.0, 0.006));
      colour *= 1.0 - min(shade, 0.85);
      result = vec4(colour, max(fade, 0.0));
    }`;

  const TRAIL_VERTEX = `#version 300 es
    layout(location = 0) in vec3 position; layout(location = 1) in vec4 colour;
    uniform mat4 viewProjection; out vec4 paint;
    void main() { paint = colour; gl_Position = viewProjection * vec4(position, 1); }`;
  const TRAIL_FRAGMENT = `#version 300 es
    precision mediump float; in vec4 paint; out vec4 result; void main() { result = paint; }`;

  function capsuleMesh(around = 20, rings = 6) {
    const vertices = [], indices = [];
    for (let ring = 0; ring < 2 * rings; ring++) {
      const end = ring < rings ? 0 : 1;
      const angle = (Math.PI / 2) * (end ? (ring - rings) / (rings - 1) : ring / (rings - 1) - 1);
      for (let k = 0; k < around; k++) {
        const turn = (2 * Math.PI * k) / around;
        vertices.push(Math.cos(angle) * Math.cos(turn), Math.sin(angle), Math.cos(angle) * Math.sin(turn), end);
      }
    }
    for (let ring = 0; ring + 1 < 2 * rings; ring++) {
      for (let k = 0; k < around; k++) {
        const next = (k + 1) % around, lower = ring * around, upper = lower + around;
        indices.push(lower + k, upper + k, lower + next, lower + next, upper + k, upper + next);
      }
    }
    return { vertices: new Float32Array(vertices), indices: new Uint16Array(indices) };
  }

  function program(gl, vertex, fragment) {
    const made = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(made, shader);
    }
    gl.linkProgram(made);
    if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made) || "link failed");
    const at = {};
    for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
      const name = gl.getActiveUniform(made, i).name;
      at[name.replace("[0]", "")] = gl.getUniformLocation(made, name);
    }
    return { made, at };
  }

  function webgl() {
    const canvas = document.createElement("canvas");
    const gl = canvas.getContext("webgl2", { antialias: true, alpha: false });
    if (!gl) return null;
    const body = program(gl, BODY_VERTEX, BODY_FRAGMENT);
    const ground = program(gl, FLOOR_VERTEX, FLOOR_FRAGMENT);
    const trail = program(gl, TRAIL_VERTEX, TRAIL_FRAGMENT);
    const buffer = (target, data) => {
      const made = gl.createBuffer();
      gl.bindBuffer(target, made);
      if (data) gl.bufferData(target, data, gl.STATIC_DRAW);
      return made;
    };
    const attribute = (index, size, stride, offset, divisor = 0) => {
      gl.enableVertexAttribArray(index);
      gl.vertexAttribPointer(index, size, gl.FLOAT, false, stride, offset);
      gl.vertexAttribDivisor(index, divisor);
    };

    const mesh = capsuleMesh();
    const bodyArray = gl.createVertexArray();
    gl.bindVertexArray(bodyArray);
    buffer(gl.ARRAY_BUFFER, mesh.vertices);
    attribute(0, 4, 16, 0);
    buffer(gl.ELEMENT_ARRAY_BUFFER, mesh.indices);
    const instances = buffer(gl.ARRAY_BUFFER);
    for (const [index, size, offset] of [[1, 4, 0], [2, 4, 16], [3, 4, 32], [4, 3, 48], [5, 3, 60]]) {
      attribute(index, size, STRIDE * 4, offset, 1);
    }

    const floorArray = gl.createVertexArray();
    gl.bindVertexArray(floorArray);
    buffer(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]));
    attribute(0, 2, 8, 0);

    const trailArray = gl.createVertexArray();
    gl.bindVertexArray(trailArray);
    const ribbon = buffer(gl.ARRAY_BUFFER);
    attribute(0, 3, 28, 0);
    attribute(1, 4, 28, 12);
    gl.bindVertexArray(null);

    function paint(target, scene, camera, theme) {
      const width = target.width, height = target.height;
      if (canvas.width < width) canvas.width = width;
      if (canvas.height < height) canvas.height = height;
      const matrix = viewProjection(camera, width / height);
      const reach = theme.reach;
      gl.viewport(0, 0, width, height);
      gl.clearColor(...theme.background, 1);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.enable(gl.DEPTH_TEST);

      gl.useProgram(ground.made);
      gl.bindVertexArray(floorArray);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
      const casting = round(scene.capsules.subarray(0, scene.solid * STRIDE)).slice(0, MAX_SHADOWS);
      const ends = [new Float32Array(4 * MAX_SHADOWS), new Float32Array(4 * MAX_SHADOWS)];
      const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
      casting.forEach(({ a, b, ra, rb }, i) => {
        ends[0].set([...a, ra], 4 * i);
        ends[1].set([...b, rb], 4 * i);
        for (let k = 0; k < 3; k++) {
          low[k] = Math.min(low[k], a[k], b[k]);
          high[k] = Math.max(high[k], a[k], b[k]);
        }
      });
      gl.uniformMatrix4fv(ground.at.viewProjection, false, matrix);
      gl.uniform3fv(ground.at.target, camera.target);
      gl.uniform1f(ground.at.reach, reach);
      gl.uniform1f(ground.at.floorHeight, scene.floor);
      gl.uniform3fv(ground.at.sun, SUN);
      gl.uniform3fv(ground.at.ground, theme.ground);
      gl.uniform3fv(ground.at.grid, theme.grid);
      gl.uniform1f(ground.at.dark, theme.dark ? 1 : 0);
      gl.uniform1i(ground.at.count, casting.length);
      gl.uniform4fv(ground.at.a, ends[0]);
      gl.uniform4fv(ground.at.b, ends[1]);
      gl.uniform3fv(ground.at.low, low);
      gl.uniform3fv(ground.at.high, high);
      gl.depthMask(false);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);

      gl.useProgram(trail.made);
      gl.uniformMatrix4fv(trail.at.viewProjection, false, matrix);
      gl.bindVertexArray(trailArray);
      gl.bindBuffer(gl.ARRAY_BUFFER, ribbon);
      for (const line of scene.trails) {
        const strip = ribbonOf(line, scene.floor + 0.002);
        gl.bufferData(gl.ARRAY_BUFFER, strip, gl.DYNAMIC_DRAW);
        gl.drawArrays(gl.TRIANGLE_STRIP, 0, strip.length / 7);
      }
      gl.depthMask(true);
      gl.disable(gl.BLEND);

      gl.useProgram(body.made);
      gl.bindVertexArray(bodyArray);
      gl.bindBuffer(gl.ARRAY_BUFFER, instances);
      gl.bufferData(gl.ARRAY_BUFFER, scene.capsules, gl.DYNAMIC_DRAW);
      gl.uniformMatrix4fv(body.at.viewProjection, false, matrix);
      gl.uniform3fv(body.at.eye, camera.eye);
      gl.uniform3fv(body.at.sun, SUN);
      gl.uniform1f(body.at.floorHeight, scene.floor);
      gl.uniform1f(body.at.dark, theme.dark ? 1 : 0);
      gl.drawElementsInstanced(gl.TRIANGLES, mesh.indices.length, gl.UNSIGNED_SHORT, 0, scene.capsules.length / STRIDE);
      gl.bindVertexArray(null);

      target.getContext("2d").drawImage(canvas, 0, canvas.height - height, width, height, 0, 0, width, height);
    }
    return { name: "webgl", paint, lost: () => gl.isContextLost() };
  }

  /* Round capsules only: a wide one as two, at its sides, and one between. */
  function round(capsules) {
    const made = [];
    for (let i = 0; i < capsules.length; i += STRIDE) {
      const c = capsules.subarray(i, i + STRIDE);
      const offsets = c.subarray(12).some((x) => x !== 0) ? [-1, 0, 1] : [0];
      for (const offset of offsets) {
        const a = [0, 1, 2].map((k) => c[k] + offset * c[12 + k]), b = [0, 1, 2].map((k) => c[4 + k] + offset * c[15 + k]);
        made.push({ a, b, ra: c[3], rb: c[7], rgb: [c[8], c[9], c[10]] });
      }
    }
    return made;
  }

  /* A ribbon on the floor along the line, 2.4 cm wide: 7 numbers per vertex. */
  function ribbonOf(line, height) {
    const count = line.points.length / 2, strip = new Float32Array(count * 14);
    for (let i = 0; i < count; i++) {
      const before = Math.max(i - 1, 0) * 2, after = Math.min(i + 1, count - 1) * 2;
      const dx = line.points[after] - line.points[before], dz = line.points[after + 1] - line.points[before + 1];
      const scale = 0.012 / (Math.hypot(dx, dz) || 1);
      for (let side = 0; side < 2; side++) {
        const sign = side ? -scale : scale;
        const vertex = [line.points[2 * i] - dz * sign, height, line.points[2 * i + 1] + dx * sign];
        strip.set([...vertex, ...line.colours[i]], i * 14 + side * 7);
      }
    }
    return strip;
  }

  /* Without WebGL: capsules sorted by depth, each a rounded shape with light across it. */
  function flat() {
    const css = (rgb, alpha = 1) => `rgba(${rgb.map((c) => Math.round(Math.min(Math.max(c, 0), 1) * 255)).join(",")},${alpha})`;

    function paint(target, scene, camera, theme) {
      const context = target.getContext("2d");
      const { right, up, back } = axes(camera);
      const scale = target.height / 2 / Math.tan(camera.fov / 2);
      const project = (p) => {
        const from = minus(p, camera.eye), depth = Math.max(-dot(from, back), camera.near);
        const k = scale / depth;
        return [target.width / 2 + dot(from, right) * k, target.height / 2 - dot(from, up) * k, k, depth];
      };
      const inFront = (p) => -dot(minus(p, camera.eye), back) > camera.near;
      context.fillStyle = css(theme.background);
      context.fillRect(0, 0, target.width, target.height);

      const [x, y, k] = project([camera.target[0], scene.floor, camera.target[2]]);
      const tilt = Math.max(Math.abs(back[1]), 0.12), size = theme.reach * 0.8 * k;
      const glow = context.createRadialGradient(0, 0, 0, 0, 0, size);
      glow.addColorStop(0.15, css(theme.ground));
      glow.addColorStop(1, css(theme.ground, 0));
      context.save();
      context.translate(x, y);
      context.scale(1, tilt);
      context.fillStyle = glow;
      context.fillRect(-size, -size, 2 * size, 2 * size);
      context.restore();

      const reach = Math.ceil(Math.min(theme.reach * 0.5, 4)), [cx, , cz] = camera.target.map(Math.round);
      context.lineWidth = Math.max(1, target.width / 600);
      for (let i = -reach; i <= reach; i++) {
        context.strokeStyle = css(theme.grid, 1 - Math.abs(i) / (reach + 1));
        for (const [from, to] of [
          [[cx + i, scene.floor, cz - reach], [cx + i, scene.floor, cz + reach]],
          [[cx - reach, scene.floor, cz + i], [cx + reach, scene.floor, cz + i]],
        ]) {
          if (!inFront(from) || !inFront(to)) continue;
          context.beginPath();
          context.moveTo(...project(from).slice(0, 2));
          context.lineTo(...project(to).slice(0, 2));
          context.stroke();
        }
      }
      for (const line of scene.trails) {
        for (let i = 2; i < line.points.length; i += 2) {
          const from = [line.points[i - 2], scene.floor, line.points[i - 1]];
          const to = [line.points[i], scene.floor, line.points[i + 1]];
          if (!inFront(from) || !inFront(to)) continue;
          const colour = line.colours[i / 2];
          context.strokeStyle = css(colour.slice(0, 3), colour[3]);
          context.lineWidth = 0.024 * project(to)[2];
          context.beginPath();
          context.moveTo(...project(from).slice(0, 2));
          context.lineTo(...project(to).slice(0, 2));
          context.stroke();
        }
      }
      const onFloor = (p) => [p[0] - (SUN[0] / SUN[1]) * (p[1] - scene.floor), scene.floor, p[2] - (SUN[2] / SUN[1]) * (p[1] - scene.floor)];
      const outline = (from, to, ra, rb) => {
        const angle = Math.atan2(to[1] - from[1], to[0] - from[0]), path = new Path2D();
        path.arc(from[0], from[1], ra, angle + Math.PI / 2, angle - Math.PI / 2);
        path.arc(to[0], to[1], rb, angle - Math.PI / 2, angle + Math.PI / 2);
        return path;
      };
      // All shadows in one path: filled once, they do not darken one another.
      const shadow = new Path2D();
      for (const { a, b, ra, rb } of round(scene.capsules.subarray(0, scene.solid * STRIDE))) {
        const from = project(onFloor(a)), to = project(onFloor(b));
        shadow.addPath(outline(from, to, ra * from[2], rb * to[2]));
      }
      context.fillStyle = theme.dark ? "rgba(0,0,0,0.4)" : "rgba(40,36,30,0.2)";
      context.fill(shadow);
      const capsules = round(scene.capsules).map(({ a, b, ra, rb, rgb }) => {
        const from = project(a), to = project(b);
        return { from, to, ra: ra * from[2], rb: rb * to[2], rgb, depth: from[3] + to[3] };
      });
      capsules.sort((one, other) => other.depth - one.depth);
      for (const { from, to, ra, rb, rgb } of capsules) {
        const angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
        const side = [-Math.sin(angle), Math.cos(angle)], radius = Math.max(ra, rb);
        const lightFrom = side[0] + 2 * side[1] < 0 ? 1 : -1;
        const middle = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
        const shade = context.createLinearGradient(
          middle[0] + side[0] * radius * lightFrom, middle[1] + side[1] * radius * lightFrom,
          middle[0] - side[0] * radius * lightFrom, middle[1] - side[1] * radius * lightFrom,
        );
        shade.addColorStop(0, css(rgb.map((c) => c * 1.08 + 0.04)));
        shade.addColorStop(0.45, css(rgb.map((c) => c * 0.94)));
        shade.addColorStop(1, css(rgb.map((c) => c * 0.66)));
        context.fillStyle = shade;
        context.fill(outline(from, to, ra, rb));
      }
    }
    return { name: "flat", paint, lost: () => false };
  }

  const SLOW = 40; // milliseconds for one picture
  let fine = null, cost = 0, pictures = 0;
  const simple = flat();
  return {
    STRIDE,
    axes,
    /* Where WebGL runs on the processor, a picture in motion is drawn flat: it would stutter. A still one is not. */
    slow: () => cost > SLOW,
    paint(target, scene, camera, theme, moving) {
      if (!fine || fine.lost()) {
        try { fine = webgl(); } catch (error) { console.warn("3D view without WebGL:", error); fine = null; }
        fine = fine || simple;
      }
      const painter = moving && this.slow() ? simple : fine;
      const begin = performance.now();
      painter.paint(target, scene, camera, theme);
      // The first picture pays for the shaders.
      if (painter === fine && pictures++) cost = cost ? 0.8 * cost + 0.2 * (performance.now() - begin) : performance.now() - begin;
      return painter.name;
    },
  };
})();
