const ID = name => document.getElementById(name), HALF = 2, me = crypto.getRandomValues(new Uint32Array(2)).join("-");
let now = null, loss = "", drawn = [], tool = "", opened = "";
const color = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const post = message => fetch("do", {method: "POST", body: JSON.stringify({page: me, ...message})})
  .then(answer => answer.json()).then(answer => { ID("message").textContent = answer.error || ""; })
  .catch(() => { ID("message").textContent = "The program does not answer: start tinygan play again."; });

function stage(state) {
  const canvas = ID("stage"), c = canvas.getContext("2d"), size = canvas.width;
  const x = v => (v + HALF) / (2 * HALF) * size, y = v => size - x(v);
  const bytes = Uint8Array.from(atob(state.surface), ch => ch.charCodeAt(0)), n = Math.sqrt(bytes.length);
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
    for (const [a, b] of points) { c.beginPath(); c.arc(x(a), y(b), radius, 0, 7); c.fill(); }
  };
  c.globalAlpha = .5; dots(state.real, color("ink"), 3.2); c.globalAlpha = 1;
  dots(state.samples, color("orange"), 4.2);
  const longest = Math.max(1e-9, ...state.arrows.map(a => Math.hypot(...a)));
  c.strokeStyle = color("orange"); c.lineWidth = 2; c.beginPath();
  state.arrows.forEach(([a, b], k) => {
    const length = Math.min(1, longest) / longest * 70, [p, q] = state.samples[k], tip = [x(p) + a * length, y(q) - b * length];
    const angle = Math.atan2(-b, a);
    c.moveTo(x(p), y(q)); c.lineTo(...tip);
    if (Math.hypot(a, b) * length > 8) for (const turn of [2.6, -2.6]) {
      c.moveTo(...tip); c.lineTo(tip[0] + 8 * Math.cos(angle + turn), tip[1] + 8 * Math.sin(angle + turn));
    }
  });
  c.stroke();
  dots(drawn, color("good"), 3);
  canvas.setAttribute("aria-label", `Round ${state.step}: ${state.real.length} real points, ${state.samples.length} of G's, ` +
    "D's belief as shading, arrows where G's loss pulls its points");
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
  const x = t => left + (t - first) / Math.max(1, last - first) * (w - left - 8), y = v => h - 12 - (v - low) / (high - low) * (h - 24);
  c.clearRect(0, 0, w, h); c.font = "18px system-ui"; c.fillStyle = color("soft"); c.textAlign = "right";
  for (const v of [low, high]) c.fillText(log ? "10" + sup(v) : v.toFixed(1), left - 6, y(v) + 7);
  if (mark) {
    c.strokeStyle = color("good"); c.setLineDash([6, 5]); c.lineWidth = 1.5;
    c.beginPath(); c.moveTo(left, y(mark[0])); c.lineTo(w, y(mark[0])); c.stroke(); c.setLineDash([]);
    c.fillStyle = color("good"); c.fillText(mark[1], left - 6, y(mark[0]) + 7);
  }
  columns.forEach((k, which) => {
    c.strokeStyle = color(which ? "orange" : "blue"); c.lineWidth = 2; c.beginPath();
    rows.forEach((r, i) => c[i ? "lineTo" : "moveTo"](x(r[0]), y(scale(r[k]))));
    c.stroke();
  });
  canvas.setAttribute("aria-label", rows.length ? columns.map(k => rows.at(-1)[k]).join(" and ") + " now" : "nothing yet");
}
const sup = v => String(Math.round(v)).replace(/./g, ch => ch === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[ch]);

function show(state) {
  now = state;
  stage(state);
  curve("losses", state.rows, [1, 2], state.belief ? [Math.log(4), "log 4"] : null, 0, 2);
  curve("beliefs", state.rows, [3, 4], state.belief ? [.5, "½"] : null, 0, 1);
  curve("norms", state.rows, [5, 6], null, -1, 1, true);
  const last = state.rows.at(-1), drives = !state.driver || state.driver === me;
  ID("status").textContent = `round ${state.step}` + (last ? ` · L_D ${last[1].toFixed(3)} · L_G ${last[2].toFixed(3)}` : "");
  if (state.message) ID("message").textContent = state.message;
  document.body.classList.toggle("scores", !state.belief);
  ID("half").textContent = state.belief ? "D = ½" : "between real and fake";
  document.querySelector("[data-do=play]").textContent = state.playing ? "❚❚ pause" : "▶ play";
  ID("drive").hidden = drives;
  ID("pace").value = state.pace; ID("scene").value = state.scene;
  const scene = ABOUT.scenes[state.scene];
  ID("about").textContent = scene.about; ID("cure").textContent = "cure: " + scene.cured; ID("cure").hidden = !scene.cured;
  for (const field of ID("settings").elements) if (field !== document.activeElement)
    field.type === "checkbox" ? field.checked = state.settings[field.name] : field.value = state.settings[field.name] ?? "";
  const wanted = state.settings.loss + state.settings.optimiser;
  if (wanted !== loss) { loss = wanted; source(); }
  for (const li of document.querySelectorAll("#lines li")) {
    const here = +li.dataset.line === state.line;
    if (here && !li.classList.contains("now")) {
      ID("lines").scrollTop = li.offsetTop - ID("lines").clientHeight / 2;
      li.querySelector("button")?.click();
    }
    li.classList.toggle("now", here);
  }
  ID("numbers").replaceChildren(...Object.entries(state.numbers).map(([name, value]) => {
    const row = document.createElement("tr");
    row.append(...[name, value].map(text => Object.assign(document.createElement("td"), {textContent: text})));
    return row;
  }));
}

async function source() {
  const {first, lines, explained} = await (await fetch("source")).json();
  ID("lines").replaceChildren(...lines.map(([text, name], k) => {
    const li = document.createElement("li"), indent = text.match(/^ */)[0];
    li.dataset.line = first + k;
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
  const button = Object.assign(document.createElement("button"), {textContent: "prove it"}), pre = document.createElement("pre");
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
  ID("settings").onsubmit = event => event.preventDefault();
}

function move(what) {
  post({do: what === "play" && now?.playing ? "pause" : what});
}
for (const button of document.querySelectorAll("[data-do]")) button.onclick = () => move(button.dataset.do);
document.onkeydown = event => {
  const what = {" ": "play", l: "line", d: "d", g: "g", b: "back", r: "reset"}[event.key];
  if (what && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest("input, select, button, summary")) {
    event.preventDefault(); move(what);
  }
};
ID("some").onclick = () => post({do: "play", rounds: +ID("rounds").value});
ID("pace").onchange = () => post({do: "pace", rounds: +ID("pace").value});
ID("scene").append(...Object.entries(ABOUT.scenes).map(([name, {title}]) => new Option(title, name)));
ID("scene").onchange = () => post({do: "scene", scene: ID("scene").value});
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
    drawn.push([at((event.clientX - box.left) / box.width * 2 * HALF - HALF), at(HALF - (event.clientY - box.top) / box.height * 2 * HALF)]);
  }
  ID("use").hidden = false; if (now) stage(now);
};
ID("use").onclick = () => {
  const points = drawn;
  drawn = []; ID("use").hidden = true; ID(tool)?.click();
  post({do: "draw", points});
};
form();
const events = new EventSource("events");
events.onmessage = event => {
  const state = JSON.parse(event.data);
  for (const name of ["real", "samples", "warp", "arrows"]) state[name] = state[name].map(([a, b]) => [a / 1000, b / 1000]);
  show(state);
};
events.addEventListener("end", () => { events.close(); ID("message").textContent = "The game has ended; this page may be closed."; });
matchMedia("(prefers-color-scheme: dark)").onchange = () => now && show(now);
