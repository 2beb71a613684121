const ID = name => document.getElementById(name), HALF = 2, REACH = 3;      // of the stage, and of the pad
const me = crypto.getRandomValues(new Uint32Array(2)).join("-");
let now = null, loss = "", drawn = [], tool = "", opened = "", picked = "none";
const color = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
let sent = Promise.resolve();                        // one after the other: quick clicks keep their order
const post = message => sent = sent
  .then(() => fetch("do", {method: "POST", body: JSON.stringify({page: me, ...message})}))
  .then(answer => answer.json()).then(answer => { ID("message").textContent = answer.error || ""; })
  .catch(() => { ID("message").textContent = "The program does not answer: start tinygan play again."; });

const IN_THOUSANDTHS = "real samples warp arrows p q best z lines field way at".split(" ");
const STAGES = {plane, line, phase, images}, SIZE = ID("stage").width;
const x = v => (v + HALF) / (2 * HALF) * SIZE, y = v => SIZE - x(v);
const bytesOf = text => Uint8Array.from(atob(text), ch => ch.charCodeAt(0));

function arrow(c, from, to, head = 8) {
  const angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
  c.moveTo(...from); c.lineTo(...to);
  if (Math.hypot(to[0] - from[0], to[1] - from[1]) > head) for (const turn of [2.6, -2.6]) {
    c.moveTo(...to); c.lineTo(to[0] + head * Math.cos(angle + turn), to[1] + head * Math.sin(angle + turn));
  }
}
function path(c, points, stroke, width, dash = []) {
  c.strokeStyle = color(stroke); c.lineWidth = width; c.setLineDash(dash); c.beginPath();
  points.forEach((at, k) => at && c[k && points[k - 1] ? "lineTo" : "moveTo"](...at));
  c.stroke(); c.setLineDash([]);
}
function dot(c, a, b, radius) { c.beginPath(); c.arc(a, b, radius, 0, 7); c.fill(); }

function plane(state, c) {
  const size = SIZE, bytes = bytesOf(state.surface), n = Math.sqrt(bytes.length);
  const rgb = name => color(name).match(/\w\w/g).map(pair => parseInt(pair, 16));
  const [low, high, page] = [rgb("orange"), rgb("blue"), color("page").length > 4 ? rgb("page") : [255, 255, 255]];
  const small = new OffscreenCanvas(n, n), s = small.getContext("2d"), image = s.createImageData(n, n);
  bytes.forEach((byte, k) => {
    const at = 4 * ((n - 1 - Math.floor(k / n)) * n + k % n), part = (byte - state.half) / 255, end = part > 0 ? high : low;
    for (let i = 0; i < 3; i++) image.data[at + i] = page[i] + (end[i] - page[i]) * Math.min(1, Math.abs(part) * 1.1);
    image.data[at + 3] = 255;
  });
  s.putImageData(image, 0, 0);
  const cell = size / (n - 1);                       // the lattice points lie on the stage's edges
  c.drawImage(small, -cell / 2, -cell / 2, n * cell, n * cell);
  halfLine(c, bytes, n, state.half, size);
  c.strokeStyle = color("soft"); c.globalAlpha = .45; c.lineWidth = 1;
  const m = Math.sqrt(state.warp.length);
  c.beginPath();
  for (let i = 0; i < m; i++) for (let j = 0; j < m; j++) {
    const at = k => [x(state.warp[k][0]), y(state.warp[k][1])];
    for (const next of [j + 1 < m && i * m + j + 1, i + 1 < m && (i + 1) * m + j])
      if (next) { c.moveTo(...at(i * m + j)); c.lineTo(...at(next)); }
  }
  c.stroke(); c.globalAlpha = 1;
  const dots = (points, fill, radius) => {
    c.fillStyle = fill;
    for (const [a, b] of points) dot(c, x(a), y(b), radius);
  };
  c.globalAlpha = .5; dots(state.real, color("ink"), 3.2); c.globalAlpha = 1;
  dots(state.samples, color("orange"), 4.2);
  const longest = Math.max(1e-9, ...state.arrows.map(a => Math.hypot(...a))), long = Math.min(1, longest) / longest * 70;
  c.strokeStyle = color("orange"); c.lineWidth = 2; c.beginPath();
  state.arrows.forEach(([a, b], k) => {
    const [p, q] = state.samples[k];
    arrow(c, [x(p), y(q)], [x(p) + a * long, y(q) - b * long]);
  });
  c.stroke();
  dots(drawn, color("good"), 3);
  return `${state.real.length} real points, ${state.samples.length} of G's, D's belief as shading, ` +
    "arrows where G's loss pulls its points";
}

function line(state, c) {                            // as figure 1 of Goodfellow et al. (2014)
  const base = 600, noise = 830, high = 540, n = state.p.length, at = k => x((k + .5) / n * 2 * HALF - HALF);
  const most = 1.7 * Math.max(...state.p), bytes = bytesOf(state.surface);
  const area = (values, name) => {
    const points = values.map((v, k) => [at(k), base - Math.min(1, v / most) * high]);
    c.fillStyle = color(name); c.globalAlpha = .22; c.beginPath(); c.moveTo(at(0), base);
    for (const point of points) c.lineTo(...point);
    c.lineTo(at(n - 1), base); c.fill(); c.globalAlpha = 1;
    path(c, points, name, 2.5);
  };
  area(state.p, "ink"); area(state.q, "orange");
  if (state.belief) {
    path(c, [[0, base - high / 2], [SIZE, base - high / 2]], "rule", 1.5);
    path(c, state.best.map((v, k) => v >= 0 && [at(k), base - v * high]), "good", 3, [9, 7]);
  }
  path(c, [...bytes].map((v, k) => [at(k), base - v / 255 * high]), "blue", 3.5);
  for (const height of state.z.length ? [base, noise] : [base]) path(c, [[0, height], [SIZE, height]], "soft", 1.5);
  c.strokeStyle = color("soft"); c.globalAlpha = .7; c.beginPath();
  state.z.forEach((z, k) => arrow(c, [x(z), noise], [x(state.lines[k]), base + 22]));
  c.stroke(); c.globalAlpha = 1;
  const longest = Math.max(1e-9, ...state.arrows.map(Math.abs)), long = Math.min(1, longest) / longest * 70;
  c.strokeStyle = c.fillStyle = color("orange"); c.lineWidth = 2.5; c.beginPath();
  state.lines.forEach((v, k) => arrow(c, [x(v), base + 12], [x(v) + state.arrows[k] * long, base + 12]));
  c.stroke();
  for (const v of state.lines) dot(c, x(v), base + 12, 4.5);
  c.fillStyle = color("soft"); c.font = "22px system-ui";
  c.fillText("x", 8, base + 30); if (state.z.length) c.fillText("z", 8, noise + 28);
  if (state.belief) for (const [v, text] of [[0, "0"], [.5, "½"], [1, "1"]]) c.fillText(text, 6, base - 6 - v * high);
  return "the densities of the data and of G's samples as areas, D over them, and lines from z to G(z)";
}

function phase(state, c) {
  for (const ends of [[[0, y(0)], [SIZE, y(0)]], [[x(0), 0], [x(0), SIZE]]]) path(c, ends, "rule", 1.5);
  const longest = Math.max(1e-9, ...state.field.map(v => Math.hypot(v[2], v[3])));
  c.strokeStyle = color("soft"); c.lineWidth = 1.8; c.beginPath();
  for (const [a, b, right, up] of state.field) {     // as long as the root of the slope, so that small ones are seen
    const part = 55 / Math.sqrt(longest * Math.max(1e-9, Math.hypot(right, up)));
    arrow(c, [x(a), y(b)], [x(a) + part * right, y(b) - part * up], 6);
  }
  c.stroke();
  path(c, [...state.way, state.at].map(([a, b]) => [x(a), y(b)]), "orange", 2.5);
  c.fillStyle = color("good"); dot(c, x(0), y(0), 7);
  c.fillStyle = color("ink"); dot(c, x(state.at[0]), y(state.at[1]), 9);
  c.fillStyle = color("soft"); c.font = "26px system-ui"; c.fillText("θ", SIZE - 26, y(0) - 10); c.fillText("ψ", x(0) + 10, 26);
  return `theta is ${state.at[0]} and psi is ${state.at[1]}; arrows where a turn of each would lead`;
}

function images(state) {
  ID("images").classList.toggle("ink", state.ink);
  for (const name of ["sheet", "examples", "one"]) ID(name).src = "data:image/png;base64," + state[name];
  const canvas = ID("pad"), c = canvas.getContext("2d"), n = canvas.width, at = v => (v + REACH) / (2 * REACH) * n;
  c.clearRect(0, 0, n, n);
  for (const ends of [[[0, n / 2], [n, n / 2]], [[n / 2, 0], [n / 2, n]]]) path(c, ends, "rule", 1.5);
  const [a, b] = [...state.hand, 0];
  c.fillStyle = color("orange"); dot(c, at(a), n - at(b), 8);
  c.fillStyle = color("soft"); c.font = "18px system-ui"; c.fillText("z₁", n - 24, n / 2 - 8); c.fillText("z₂", n / 2 + 8, 18);
  canvas.setAttribute("aria-label", `z₁ is ${a.toFixed(2)}, z₂ is ${b.toFixed(2)}`);
}

function stage(state) {
  const canvas = ID("stage"), c = canvas.getContext("2d");
  c.clearRect(0, 0, SIZE, SIZE);
  const seen = STAGES[state.kind](state, c);
  if (seen) canvas.setAttribute("aria-label", `Round ${state.step}: ${seen}`);
}

function halfLine(c, bytes, n, half, size) {         // where the surface crosses ½, cell by cell
  const cell = size / (n - 1);
  c.strokeStyle = color("good"); c.lineWidth = 2.5; c.beginPath();
  for (let i = 0; i + 1 < n; i++) for (let j = 0; j + 1 < n; j++) {
    const corners = [[i, j], [i, j + 1], [i + 1, j + 1], [i + 1, j]], cut = [];
    corners.forEach(([p, q], k) => {
      const [r, s] = corners[(k + 1) % 4], one = bytes[p * n + q] - half, other = bytes[r * n + s] - half;
      if (one < 0 !== other < 0) {
        const t = one / (one - other);
        cut.push([(q + t * (s - q)) * cell, size - (p + t * (r - p)) * cell]);
      }
    });
    for (let k = 0; k + 1 < cut.length; k += 2) { c.moveTo(...cut[k]); c.lineTo(...cut[k + 1]); }
  }
  c.stroke();
}

function curve(name, rows, columns, mark, low, high, log) {
  const canvas = ID(name), c = canvas.getContext("2d"), w = canvas.width, h = canvas.height, left = 56;
  const scale = log ? v => Math.log10(Math.max(v, 1e-6)) : v => v, values = rows.flatMap(r => columns.map(k => scale(r[k])));
  low = Math.min(low, ...values); high = Math.max(high, ...values);
  const first = rows.length ? rows[0][0] : 0, last = rows.length ? rows.at(-1)[0] : 1;
  const x = t => left + (t - first) / Math.max(1, last - first) * (w - left - 8);
  const y = v => h - 12 - (v - low) / (high - low) * (h - 24);
  c.clearRect(0, 0, w, h); c.font = "18px system-ui"; c.fillStyle = color("soft"); c.textAlign = "right";
  for (const v of [low, high]) c.fillText(log ? "10" + sup(v) : v.toFixed(1), left - 6, y(v) + 7);
  if (mark) {
    c.strokeStyle = color("good"); c.setLineDash([6, 5]); c.lineWidth = 1.5;
    c.beginPath(); c.moveTo(left, y(mark[0])); c.lineTo(w, y(mark[0])); c.stroke(); c.setLineDash([]);
    c.fillStyle = color("good"); c.fillText(mark[1], left - 6, y(mark[0]) + 7);
  }
  columns.forEach((k, which) => path(c, rows.map(r => [x(r[0]), y(scale(r[k]))]), which ? "orange" : "blue", 2));
  canvas.setAttribute("aria-label", rows.length ? columns.map(k => rows.at(-1)[k]).join(" and ") + " now" : "nothing yet");
}
const sup = v => String(Math.round(v)).replace(/./g, ch => ch === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[ch]);

function show(state) {
  now = state;
  stage(state);
  curve("losses", state.rows, [1, 2], state.belief ? [Math.log(4), "log 4"] : null, 0, 2);
  curve("beliefs", state.rows, [3, 4], state.belief ? [.5, "½"] : null, 0, 1);
  curve("norms", state.rows, [5, 6], null, -1, 1, true);
  curve("divergences", state.js, [1], [Math.log(2), "log 2"], 0, 1);
  const js = state.js.at(-1)?.[1] ?? 0;
  ID("js").textContent = js.toFixed(3); ID("bound").textContent = (Math.log(4) - 2 * js).toFixed(3);
  for (const part of document.querySelectorAll("[data-for]")) part.hidden = !part.dataset.for.split(" ").includes(state.kind);
  for (const field of ID("settings").elements) field.parentNode.hidden = !(field.name in state.settings);
  ID("scene-bar").hidden = ID("hour").hidden = !state.scene; ID("tools").hidden ||= !state.scene;
  const last = state.rows.at(-1), drives = !state.driver || state.driver === me;
  ID("status").textContent = `round ${state.step}` + (last ? ` · L_D ${last[1].toFixed(3)} · L_G ${last[2].toFixed(3)}` : "");
  if (state.message) ID("message").textContent = state.message;
  document.body.classList.toggle("scores", !state.belief);
  ID("half").textContent = state.belief ? "D = ½" : "between real and fake";
  document.querySelector("[data-do=play]").textContent = state.playing ? "❚❚ pause" : "▶ play";
  ID("drive").hidden = drives;
  ID("pace").value = state.slow ? "slow" : state.pace; ID("scene").value = state.scene;
  const scene = ABOUT.scenes[state.scene] || {};
  ID("about").textContent = scene.about; ID("cure").textContent = "cure: " + scene.cured; ID("cure").hidden = !scene.cured;
  for (const field of ID("settings").elements) if (field !== document.activeElement)
    field.type === "checkbox" ? field.checked = state.settings[field.name] : field.value = state.settings[field.name] ?? "";
  const wanted = state.settings.loss + state.settings.optimiser;
  if (wanted !== loss) { loss = wanted; source(); }
  let part = null;
  for (const li of document.querySelectorAll("#lines li")) {
    const here = +li.dataset.line === state.line;
    if (here) part = li.dataset.of;
    if (here && !li.classList.contains("now")) goTo(li);
    li.classList.toggle("now", here);
  }
  for (const node of document.querySelectorAll("[data-part]")) node.classList.toggle("now", node.dataset.part === part);
  for (const text of document.querySelectorAll("[data-row]")) text.textContent = last ? last[text.dataset.row].toFixed(2) : "";
  ID("numbers").replaceChildren(...Object.entries(state.numbers).map(([name, value]) => {
    const row = document.createElement("tr");
    row.append(...[name, value].map(text => Object.assign(document.createElement("td"), {textContent: text})));
    return row;
  }));
}

function goTo(li) {
  ID("lines").scrollTop = li.offsetTop - ID("lines").clientHeight / 2;
  li.querySelector("button")?.click();
}
for (const node of document.querySelectorAll("[data-part]")) {
  node.setAttribute("tabindex", 0); node.setAttribute("role", "button"); node.setAttribute("aria-label", node.dataset.part);
  node.onclick = () => {
    picked = node.dataset.part;
    const lines = [...document.querySelectorAll("#lines li")], of = lines.filter(li => li.dataset.of === picked);
    for (const li of lines) li.classList.toggle("chosen", of.includes(li));
    goTo(of[0]); (of.find(li => li.textContent.includes("_loss_of(")) || of[0]).querySelector("button")?.click();
  };
  node.onkeydown = event => { if (event.key === "Enter") node.onclick(); };
}

async function source() {
  const {first, lines, explained} = await (await fetch("source")).json();
  ID("lines").replaceChildren(...lines.map(([text, name, part], k) => {
    const li = document.createElement("li"), indent = text.match(/^ */)[0];
    li.dataset.line = first + k; li.dataset.of = part || "";
    li.classList.toggle("chosen", part === picked);
    if (name) {
      const button = Object.assign(document.createElement("button"), {textContent: text.trim()});
      button.onclick = () => explain(name, explained[name]);
      li.append(indent, button);
    } else li.textContent = text || " ";
    return li;
  }));
  const shown = explained[opened] ? opened : lines.find(([text]) => text.includes("d_loss_of("))[1];
  explain(shown, explained[shown]);
  show(now);                                         // marks the line in the new list
}

function explain(name, html) {
  opened = name;
  ID("explained").innerHTML = html;                // the program's own docstring, escaped there
  if (name.startsWith("_")) return;
  const button = Object.assign(document.createElement("button"), {textContent: "prove it"});
  const pre = document.createElement("pre");
  button.onclick = async () => {
    pre.textContent = "…";
    const answer = await (await fetch("proof?" + name)).json();
    pre.textContent = answer.proof || answer.error;
  };
  ID("explained").append(button, pre);
}

function form() {
  for (const [name, value] of Object.entries(ABOUT.defaults)) {
    const label = document.createElement("label"), choices = ABOUT.choices[name];
    const field = document.createElement(choices ? "select" : "input");
    label.textContent = name.replaceAll("_", " "); label.title = ABOUT.meanings[name] || "";
    field.name = name;
    if (choices) field.append(...choices.map(choice => new Option(choice)));
    else if (typeof value === "boolean") field.type = "checkbox";
    else Object.assign(field, {type: "number", step: "any"});
    field.onchange = () => post({do: "change", settings: {[name]: choices ? field.value
      : field.type === "checkbox" ? field.checked : field.value === "" ? value : +field.value}}).then(() => field.blur());
    label.append(field); ID("settings").append(label);
  }
  ID("rules").open = innerWidth > 700;               // on a phone the curves come first
  ID("settings").onsubmit = event => event.preventDefault();
}

function move(what) {
  post({do: what === "play" && now?.playing ? "pause" : what});
}
for (const button of document.querySelectorAll("[data-do]")) button.onclick = () => move(button.dataset.do);
document.onkeydown = event => {
  const what = {" ": "play", l: "line", d: "d", g: "g", b: "back", r: "reset"}[event.key];
  const busy = event.target.closest("input, select, button, summary, [role=button], [role=application]");
  if (what && !event.ctrlKey && !event.metaKey && !event.altKey && !busy) {
    event.preventDefault(); move(what);
  }
};
ID("some").onclick = () => post({do: "play", rounds: +ID("rounds").value});
ID("pace").onchange = () => post(ID("pace").value === "slow" ? {do: "pace", rounds: 2, slow: true}
  : {do: "pace", rounds: +ID("pace").value});
ID("scene").append(...Object.entries(ABOUT.scenes).map(([name, {title}]) => new Option(title, name)));
ID("scene").onchange = () => post({do: "scene", scene: ID("scene").value});
for (const link of document.querySelectorAll("[data-scene]")) link.onclick = () => post({do: "scene", scene: link.dataset.scene});
ID("cure").onclick = () => post({do: "cure"});

for (const name of ["pen", "spray"]) ID(name).onclick = () => {
  tool = tool === name ? "" : name;
  for (const other of ["pen", "spray"]) ID(other).setAttribute("aria-pressed", tool === other);
  ID("stage").classList.toggle("drawing", tool !== "");
};
ID("stage").onpointermove = ID("stage").onpointerdown = event => {
  if (!tool || !event.buttons) return;
  const box = ID("stage").getBoundingClientRect(), wide = tool === "pen" ? .02 : .3;
  for (let k = 0; k < 8 && drawn.length < 4000; k++) {
    const at = v => Math.max(-HALF, Math.min(HALF, v + wide * (Math.random() + Math.random() - 1)));
    drawn.push([at((event.clientX - box.left) / box.width * 2 * HALF - HALF),
                at(HALF - (event.clientY - box.top) / box.height * 2 * HALF)]);
  }
  ID("use").hidden = false; if (now) stage(now);
};
ID("use").onclick = () => {
  const points = drawn;
  drawn = []; ID("use").hidden = true; ID(tool)?.click();
  post({do: "draw", points});
};
let looking = false, wanted = null;                  // one message is under way; what has been asked for meanwhile
async function look(z) {
  wanted = z;
  if (looking) return;
  for (looking = true; wanted; ) { const asked = wanted; wanted = null; await post({do: "look", z: asked}); }
  looking = false;
}
ID("pad").onpointermove = ID("pad").onpointerdown = event => {
  if (!event.buttons) return;
  const box = ID("pad").getBoundingClientRect(), at = v => Math.max(-REACH, Math.min(REACH, v * 2 * REACH - REACH));
  look([at((event.clientX - box.left) / box.width), at(1 - (event.clientY - box.top) / box.height)]);
};
ID("pad").onkeydown = event => {
  const way = {ArrowLeft: [-.2, 0], ArrowRight: [.2, 0], ArrowDown: [0, -.2], ArrowUp: [0, .2]}[event.key];
  if (way) { event.preventDefault(); look(now.hand.map((v, k) => Math.max(-REACH, Math.min(REACH, v + way[k])))); }
};
ID("sheet").onclick = event => {
  const box = ID("sheet").getBoundingClientRect(), at = (v, whole) => Math.min(7, Math.max(0, Math.floor(v / whole * 8)));
  post({do: "look", sample: 8 * at(event.clientY - box.top, box.height) + at(event.clientX - box.left, box.width)});
};
form();
const events = new EventSource("events");
events.onmessage = event => {
  const state = JSON.parse(event.data);
  const whole = v => Array.isArray(v) ? v.map(whole) : v / 1000;
  for (const name of IN_THOUSANDTHS) if (name in state) state[name] = whole(state[name]);
  show(state);
};
events.addEventListener("end", () => {
  events.close(); ID("message").textContent = "The game has ended; this page may be closed.";
});
matchMedia("(prefers-color-scheme: dark)").onchange = () => now && show(now);
