/* Paints a scene of capsule figures on a floor into a 2D canvas: with three.js where the browser has WebGL 2 (one context
   for the whole page, however many canvases), else, or where that is slow, flat with the canvas itself. Needs atmThree,
   the library as text in base64, packed by gzip.

   scene: {floor, capsules: Float32Array of 18 per capsule (ends and radii ax ay az ra bx by bz rb, colour r g b,
   flatness 0 to 1: how little it is shaded, half width beside the radius as a vector for each end), solid: how many of
   them, counted from the start, cast a shadow, trails: [{points: [x, z, ...], colours: [[r, g, b, a], ...]}]}
   camera: {eye, target, fov, near, far};  theme: {background, ground, grid: [r, g, b], dark, reach in metres} */
const atmPainter = (() => {
  "use strict";

  const STRIDE = 18;
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

  /* ---------------------------------------------------------------- with three.js */

  // A capsule is a unit ball, cut in two and drawn out along the bone; a wide one has an ellipse across it.
  const CAPSULE = `
    attribute float end; attribute vec4 a; attribute vec4 b; attribute vec3 acrossA; attribute vec3 acrossB;
    attribute vec4 leanA; attribute vec4 leanB;
    // At an end where one goes on in the next, both have the same ring: they meet without a seam.
    mat3 capsuleFrame() {
      vec3 along = b.xyz - a.xyz, y = length(along) > 1e-5 ? normalize(along) : vec3(0, 1, 0);
      vec3 wide = mix(acrossA, acrossB, end), aside = abs(y.y) < 0.9 ? cross(y, vec3(0, 1, 0)) : cross(y, vec3(1, 0, 0));
      vec3 up = normalize(mix(leanA, leanB, end).xyz), x = length(wide) > 1e-4 ? wide : aside;
      x = normalize(x - up * dot(x, up));
      return mat3(x, up, cross(x, up));
    }
    vec3 capsulePlace() {
      vec3 wide = mix(acrossA, acrossB, end);
      vec3 ball = vec3(position.x, position.y * (length(wide) > 0.0 ? 0.25 : 1.0), position.z);  // wide ends are flatter
      return mix(a.xyz, b.xyz, end) + capsuleFrame() * ball * mix(a.w, b.w, end) + wide * position.x;
    }
    vec3 capsuleNormal() {
      float radius = mix(a.w, b.w, end), narrow = radius / (radius + length(mix(acrossA, acrossB, end)));
      float slope = mix(leanA.w, leanB.w, end);
      return capsuleFrame() * normalize(vec3(position.x * narrow, position.y + slope, position.z));
    }`;

  /* For both ends of each capsule the way along it and its slope. Where one goes on in the next, the mean of the two, so
     that the light sees one smooth shape. */
  function leansOf(capsules) {
    const count = capsules.length / STRIDE, leans = new Float32Array(8 * count);
    const part = (i, from, size = 3) => capsules.subarray(i * STRIDE + from, i * STRIDE + from + size);
    for (let i = 0; i < count; i++) {
      const along = minus(part(i, 4), part(i, 0)), length = Math.hypot(...along);
      const way = length > 1e-5 ? normalise(along) : [0, 1, 0];
      const slope = (part(i, 3, 1)[0] - part(i, 7, 1)[0]) / Math.max(length, 0.02);
      leans.set([...way, slope, ...way, slope], 8 * i);
      if (!i || Math.hypot(...minus(part(i, 0), part(i - 1, 4))) > 1e-3) continue;
      const before = leans.slice(8 * i - 4, 8 * i);
      if (dot(before, way) < 0.75) continue;
      const mean = [0, 1, 2].map((k) => before[k] + way[k]).concat(0.5 * (before[3] + slope));
      mean.splice(0, 3, ...normalise(mean));
      leans.set(mean, 8 * i - 4);
      leans.set(mean, 8 * i);
    }
    return leans;
  }

  function asCapsules(material) {
    material.onBeforeCompile = (shader) => {
      shader.vertexShader = shader.vertexShader
        .replace("#include <common>", `#include <common>\n${CAPSULE}\nattribute float flatness; varying float vFlat;`)
        .replace("#include <beginnormal_vertex>", "vec3 objectNormal = capsuleNormal();")
        .replace("#include <begin_vertex>", "vec3 transformed = capsulePlace(); vFlat = flatness;");
      shader.fragmentShader = shader.fragmentShader
        .replace("#include <common>", "#include <common>\nvarying float vFlat;")
        .replace("#include <opaque_fragment>", "outgoingLight = mix(outgoingLight, diffuseColor.rgb, vFlat);\n#include <opaque_fragment>");
    };
    return material;
  }

  const FLOOR_VERTEX = `
    varying vec3 place;
    void main() { vec4 world = modelMatrix * vec4(position, 1.0); place = world.xyz; gl_Position = projectionMatrix * viewMatrix * world; }`;
  const FLOOR_FRAGMENT = `
    varying vec3 place;
    uniform vec3 target; uniform float reach; uniform vec3 ground; uniform vec3 grid; uniform float dark;
    float lines(vec2 at, float spacing, float width) {
      vec2 step = at / spacing, off = abs(fract(step - 0.5) - 0.5), soft = fwidth(step);
      vec2 line = 1.0 - smoothstep(vec2(0.0), soft * 1.2 + width / spacing, off);
      return max(line.x, line.y) * (1.0 - smoothstep(0.15, 0.5, max(soft.x, soft.y)));
    }
    void main() {
      float fade = 1.0 - smoothstep(0.25, 0.98, distance(place.xz, target.xz) / reach);
      vec3 colour = mix(ground, grid, 0.35 * lines(place.xz, 0.5, 0.002) * (1.0 - dark * 0.3));
      gl_FragColor = vec4(mix(colour, grid, 0.8 * lines(place.xz, 1.0, 0.004)), max(fade, 0.0));
    }`;

  function capsuleMesh(around = 24, rings = 8) {
    const vertices = [], ends = [], indices = [];
    for (let ring = 0; ring < 2 * rings; ring++) {
      const end = ring < rings ? 0 : 1;
      const angle = (Math.PI / 2) * (end ? (ring - rings) / (rings - 1) : ring / (rings - 1) - 1);
      for (let k = 0; k < around; k++) {
        const turn = (2 * Math.PI * k) / around;
        vertices.push(Math.cos(angle) * Math.cos(turn), Math.sin(angle), Math.cos(angle) * Math.sin(turn));
        ends.push(end);
      }
    }
    for (let ring = 0; ring + 1 < 2 * rings; ring++) {
      for (let k = 0; k < around; k++) {
        const next = (k + 1) % around, lower = ring * around, upper = lower + around;
        indices.push(lower + k, upper + k, lower + next, lower + next, upper + k, upper + next);
      }
    }
    return { vertices: new Float32Array(vertices), ends: new Float32Array(ends), indices };
  }

  const linear = (c) => Math.max(c, 0) ** 2.2;

  function solid(THREE) {
    const canvas = document.createElement("canvas"), context = canvas.getContext("webgl2", { antialias: true });
    if (!context) throw new Error("this browser has no WebGL 2"); // three would write errors of its own beside
    const renderer = new THREE.WebGLRenderer({ canvas, context });
    const world = new THREE.Scene(), eye = new THREE.PerspectiveCamera();
    renderer.shadowMap.enabled = true;
    renderer.setScissorTest(true);
    const attribute = (values, size) => new THREE.BufferAttribute(values, size);

    const sky = new THREE.HemisphereLight();
    const light = (intensity, hides, radius) => {
      const made = new THREE.DirectionalLight("#ffffff", intensity);
      made.castShadow = hides > 0;
      Object.assign(made.shadow, { intensity: hides, radius, bias: -0.0012, normalBias: 0.03 });
      made.shadow.mapSize.set(1024, 1024);
      world.add(made, made.target);
      return made;
    };
    // The sun; the sky above, for the dark under the feet; a light that comes with the camera.
    const sun = light(1.9, 1, 5), above = light(0.35, 0.55, 12), lamp = light(0.55, 0, 0);
    world.add(sky);

    const mesh = capsuleMesh();
    function capsules(casts) {
      const made = new THREE.Mesh(new THREE.InstancedBufferGeometry(), asCapsules(
        new THREE.MeshStandardMaterial({ vertexColors: true, roughness: 0.62, metalness: 0 }),
      ));
      Object.assign(made, { castShadow: casts, receiveShadow: casts, frustumCulled: false });
      made.customDepthMaterial = asCapsules(new THREE.MeshDepthMaterial());
      let room = null, leans = null;
      world.add(made);
      return (numbers) => {
        if (!room || room.array.length < numbers.length) {
          made.geometry.dispose();
          const geometry = made.geometry = new THREE.InstancedBufferGeometry();
          room = new THREE.InstancedInterleavedBuffer(new Float32Array(STRIDE * Math.max((2 * numbers.length) / STRIDE, 64)), STRIDE);
          geometry.setIndex(mesh.indices);
          geometry.setAttribute("position", attribute(mesh.vertices, 3));
          geometry.setAttribute("normal", attribute(mesh.vertices, 3));
          geometry.setAttribute("end", attribute(mesh.ends, 1));
          leans = new THREE.InstancedInterleavedBuffer(new Float32Array((room.array.length / STRIDE) * 8), 8);
          geometry.setAttribute("leanA", new THREE.InterleavedBufferAttribute(leans, 4, 0));
          geometry.setAttribute("leanB", new THREE.InterleavedBufferAttribute(leans, 4, 4));
          for (const [name, size, offset] of [["a", 4, 0], ["b", 4, 4], ["color", 3, 8], ["flatness", 1, 11], ["acrossA", 3, 12], ["acrossB", 3, 15]]) {
            geometry.setAttribute(name, new THREE.InterleavedBufferAttribute(room, size, offset));
          }
        }
        room.array.set(numbers);
        for (let at = 0; at < numbers.length; at += STRIDE) {
          for (let k = 8; k < 11; k++) room.array[at + k] = linear(numbers[at + k]);
        }
        leans.array.set(leansOf(numbers));
        room.needsUpdate = leans.needsUpdate = true;
        made.geometry.instanceCount = numbers.length / STRIDE;
        made.visible = numbers.length > 0;
      };
    }
    const figures = capsules(true), echoes = capsules(false);

    const plane = new THREE.PlaneGeometry(2, 2).rotateX(-Math.PI / 2);
    const vector = () => ({ value: [0, 0, 0] });
    const uniforms = { target: vector(), ground: vector(), grid: vector(), reach: { value: 1 }, dark: { value: 0 } };
    const clear = { transparent: true, depthWrite: false };
    const ground = new THREE.Mesh(plane, new THREE.ShaderMaterial({ uniforms, vertexShader: FLOOR_VERTEX, fragmentShader: FLOOR_FRAGMENT, ...clear }));
    const shade = new THREE.Mesh(plane, new THREE.ShadowMaterial({ ...clear }));
    const trail = new THREE.Mesh(new THREE.BufferGeometry(), new THREE.MeshBasicMaterial({ vertexColors: true, side: 2, ...clear }));
    trail.frustumCulled = false;
    shade.receiveShadow = true;
    [ground, trail, shade].forEach((one, order) => { one.renderOrder = order; });
    world.add(ground, trail, shade);

    function lay(trails, height) {
      const numbers = trails.map((line) => ribbonOf(line, height));
      const count = numbers.reduce((sum, strip) => sum + strip.length / 7, 0), indices = [];
      const places = new Float32Array(count * 3), colours = new Float32Array(count * 4);
      let at = 0;
      for (const strip of numbers) {
        for (let i = 0; i < strip.length; i += 7, at++) {
          places.set(strip.subarray(i, i + 3), 3 * at);
          colours.set([linear(strip[i + 3]), linear(strip[i + 4]), linear(strip[i + 5]), strip[i + 6]], 4 * at);
          if (i >= 14) indices.push(at - 2, at - 1, at);
        }
      }
      trail.geometry.dispose();
      trail.geometry = new THREE.BufferGeometry();
      trail.geometry.setAttribute("position", attribute(places, 3));
      trail.geometry.setAttribute("color", attribute(colours, 4));
      trail.geometry.setIndex(indices);
    }

    /* Lights stand around the figures; their shadows' field holds them all. */
    function lightUp(scene, camera, dark) {
      const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
      for (let at = 0; at < scene.solid * STRIDE; at += STRIDE) {
        for (const end of [0, 4]) for (let k = 0; k < 3; k++) {
          low[k] = Math.min(low[k], scene.capsules[at + end + k]);
          high[k] = Math.max(high[k], scene.capsules[at + end + k]);
        }
      }
      const centre = low.map((x, k) => (x + high[k]) / 2), field = Math.ceil(2 * Math.hypot(...minus(high, low)) * 0.5 + 0.6) / 2 + 0.4;
      for (const [one, direction] of [[sun, SUN], [above, [0.02, 1, 0.01]], [lamp, axes(camera).back]]) {
        one.position.set(...centre.map((x, k) => x + 3 * field * direction[k]));
        one.target.position.set(...centre);
        if (!one.castShadow) continue;
        Object.assign(one.shadow.camera, { left: -field, right: field, top: field, bottom: -field, near: 0.5 * field, far: 6 * field });
        one.shadow.camera.updateProjectionMatrix();
      }
      sky.intensity = dark ? 1.25 : 1.45;
      sky.color.set(dark ? "#cfdcff" : "#ffffff");
      sky.groundColor.set(dark ? "#4a4c58" : "#b9ac98");
      shade.material.opacity = dark ? 0.5 : 0.3;
      shade.material.color.set(dark ? "#000000" : "#2b2118");
    }

    function paint(target, scene, camera, theme) {
      const { width, height } = target;
      if (canvas.width < width || canvas.height < height) renderer.setSize(Math.max(canvas.width, width), Math.max(canvas.height, height), false);
      renderer.setViewport(0, 0, width, height);
      renderer.setScissor(0, 0, width, height);
      renderer.setClearColor(new THREE.Color().setRGB(...theme.background, THREE.SRGBColorSpace));
      Object.assign(eye, { fov: (camera.fov * 180) / Math.PI, aspect: width / height, near: camera.near, far: camera.far });
      eye.position.set(...camera.eye);
      eye.lookAt(...camera.target);
      eye.updateProjectionMatrix();
      Object.assign(uniforms.target, { value: camera.target });
      for (const name of ["ground", "grid", "reach"]) uniforms[name].value = theme[name];
      uniforms.dark.value = theme.dark ? 1 : 0;
      for (const one of [ground, shade]) {
        one.position.set(camera.target[0], scene.floor + (one === shade ? 0.003 : 0), camera.target[2]);
        one.scale.set(theme.reach, 1, theme.reach);
      }
      figures(scene.capsules.subarray(0, scene.solid * STRIDE));
      echoes(scene.capsules.subarray(scene.solid * STRIDE));
      lay(scene.trails, scene.floor + 0.002);
      lightUp(scene, camera, theme.dark);
      renderer.render(world, eye);
      target.getContext("2d").drawImage(canvas, 0, canvas.height - height, width, height, 0, 0, width, height);
    }
    return { name: "three", paint, lost: () => renderer.getContext().isContextLost() };
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
      // Echoes a little farther away, so that those in the same place are behind the figure.
      const sorted = (part, farther) => round(part).map(({ a, b, ra, rb, rgb }) => {
        const from = project(a), to = project(b);
        return { from, to, ra: ra * from[2], rb: rb * to[2], rgb, depth: from[3] + to[3] + farther };
      });
      const end = scene.solid * STRIDE;
      const capsules = [...sorted(scene.capsules.subarray(0, end), 0), ...sorted(scene.capsules.subarray(end), 0.4)];
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

  /* The library comes packed in the page; until it is there, and where it cannot be, pictures are drawn flat. */
  const library = (async () => {
    const packed = Uint8Array.from(atob(atmThree), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Function(`${await new Response(stream).text()}; return THREE;`)();
  })();

  const SLOW = 40; // milliseconds for one picture
  const simple = flat();
  let fine = simple, THREE = null, cost = 0, pictures = 0;
  function prepare() {
    try { fine = solid(THREE); } catch (error) { console.warn("3D view without WebGL:", error); fine = simple; }
  }
  return {
    STRIDE,
    axes,
    /* Settles when pictures are as good as they get here. */
    ready: library.then(
      (loaded) => { THREE = loaded; prepare(); },
      (error) => console.warn("3D view without three.js:", error),
    ),
    /* Where WebGL runs on the processor, a picture in motion is drawn flat: it would stutter. A still one is not. */
    slow: () => cost > SLOW,
    paint(target, scene, camera, theme, moving) {
      if (fine.lost()) prepare();
      const painter = moving && this.slow() ? simple : fine;
      const begin = performance.now();
      painter.paint(target, scene, camera, theme);
      // The first picture pays for the shaders.
      if (painter !== simple && pictures++) cost = cost ? 0.8 * cost + 0.2 * (performance.now() - begin) : performance.now() - begin;
      return painter.name;
    },
  };
})();
