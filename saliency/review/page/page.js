// The review page. It talks to one of two backends: the review of a folder (`saliency review`), or
// the service (`saliency serve`), to which photos are dropped. No library, no build step.

const $ = (id) => document.getElementById(id);
const RATIOS = ["16:9", "1:1", "4:5"]; // of dropped photos

/** Read an answer as JSON; an error is the line that the server gives. */
async function answer(response) {
  const body = await response.json();
  if (!response.ok) throw new Error(body.error ?? response.statusText);
  return body;
}

/** The folder of `saliency review`: decisions are kept by the server. */
class Folder {
  async load() {
    return answer(await fetch("review/photos"));
  }
  images(photo) {
    const at = `review/photos/${photo.id}`;
    return { image: `${at}/preview`, density: `${at}/density` };
  }
  async decide(photo, aspect, window) {
    const body = JSON.stringify({ aspect, window });
    const headers = { "Content-Type": "application/json" };
    const at = `review/photos/${photo.id}/decision`;
    return answer(await fetch(at, { method: "PUT", headers, body }));
  }
}

/** Photos dropped on the page of `saliency serve`: decisions are kept here, to be saved as a file. */
class Dropped {
  constructor() {
    this.photos = [];
    this.digests = new Map();
  }
  async load() {
    return { aspects: RATIOS, photos: this.photos };
  }
  images(photo) {
    return photo.images;
  }
  async add(file) {
    const query = RATIOS.map((ratio) => `aspect=${ratio}`).join("&");
    const photo = { id: this.photos.length, name: file.name, is_ready: false, windows: [], faces: [] };
    this.photos.push(photo);
    try {
      const body = await file.arrayBuffer();
      const sent = await fetch(`v1/crops?density=true&${query}`, { method: "POST", body });
      const report = await answer(sent);
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
      this.digests.set(photo.id, Array.from(hash, (one) => one.toString(16).padStart(2, "0")).join(""));
      Object.assign(photo, this.read(report, file));
    } catch (error) {
      photo.error = error.message;
    }
  }
  read(report, file) {
    const box = ({ x, y, width, height }) => ({ x, y, width, height });
    const windows = report.windows.map((one) => ({
      aspect: one.aspect,
      person: null,
      model: {
        ...box(one), confidence: one.confidence, reason: one.reason, share: one.share,
        centre: middle(one, report), alternatives: one.alternatives.map(box),
      },
    }));
    const density = report.density ? `data:image/png;base64,${report.density.png}` : null;
    return {
      is_ready: true, width: report.width, height: report.height, faces: report.faces, windows,
      images: { image: URL.createObjectURL(file), density, area: report.content },
    };
  }
  async decide(photo, aspect, window) {
    const one = photo.windows.find((each) => each.aspect === aspect);
    const time = new Date().toISOString().replace(/\.\d+/, "");
    one.person = window === "model" ? null : { ...(window ?? {}), time };
    return photo;
  }
  file() {
    const photos = {};
    for (const photo of this.photos.filter((one) => this.digests.has(one.id))) {
      const by = (who) => Object.fromEntries(
        photo.windows.filter((one) => one[who]).map((one) => [one.aspect, one[who]]));
      photos[this.digests.get(photo.id)] = {
        photo: photo.name, width: photo.width, height: photo.height, faces: photo.faces,
        model: by("model"), person: by("person"),
      };
    }
    return JSON.stringify({ format: "saliency decisions", version: 1, photos }, null, 1);
  }
}

/** The window of the same size in the middle of a photo. */
function middle(window, photo) {
  const { width, height } = window;
  const x = Math.floor((photo.width - width) / 2), y = Math.floor((photo.height - height) / 2);
  return { x, y, width, height };
}

const state = { backend: null, photos: [], aspects: [], order: [], at: -1, aspect: null, window: null };

const photo = () => state.photos[state.order[state.at]];
const entry = () => photo()?.windows.find((one) => one.aspect === state.aspect);
const isDecided = (one) => one.windows.length > 0 && one.windows.every((each) => each.person);
const confidence = (one) => Math.min(...one.windows.map((each) => each.model?.confidence ?? 1));

/** Least confident first; photos that are not ready, and those that failed, come last. */
function sort() {
  const shown = photo();
  const wanted = $("filter").value;
  const rank = (one) => (one.error ? 3 : one.is_ready ? confidence(one) : 2);
  state.order = state.photos
    .filter((one) => one === shown || wanted === "all" || isDecided(one) === (wanted === "decided"))
    .sort((one, other) => rank(one) - rank(other) || one.id - other.id)
    .map((one) => state.photos.indexOf(one));
  state.at = shown ? state.order.indexOf(state.photos.indexOf(shown)) : state.at;
}

function describe(one) {
  if (one.error) return one.error;
  if (!one.is_ready) return "not looked at yet";
  if (one.has_changed) return "changed since it was decided: decide again";
  const count = one.windows.filter((each) => each.person).length;
  if (count) return `decided: ${count} of ${one.windows.length}`;
  const sure = confidence(one);
  return sure < 1 ? `confidence ${Math.round(100 * sure)} %` : "the middle is best";
}

function drawList() {
  const list = $("list");
  const items = state.order.map((index, at) => {
    const one = state.photos[index];
    const item = list.children[at] ?? list.appendChild(document.createElement("li"));
    const button = item.firstChild ?? item.appendChild(document.createElement("button"));
    button.type = "button";
    button.dataset.at = at;
    button.setAttribute("aria-current", String(at === state.at));
    button.replaceChildren(one.name, Object.assign(document.createElement("small"), {
      textContent: describe(one), className: isDecided(one) ? "done" : "",
    }));
    return item;
  });
  while (list.children.length > items.length) list.lastChild.remove();
  const ready = state.photos.filter((one) => one.is_ready || one.error).length;
  const done = state.photos.filter(isDecided).length;
  const rest = ready < state.photos.length ? `, ${ready} looked at` : "";
  $("progress").textContent = `${done} of ${state.photos.length} photos decided${rest}`;
}

/** Show the photo at a place of the list. */
function show(at) {
  if (!state.order.length) return;
  state.at = Math.max(0, Math.min(at, state.order.length - 1));
  const one = photo();
  $("name").textContent = one.name;
  if (!state.aspects.includes(state.aspect)) state.aspect = state.aspects[0];
  $("frame").hidden = !one.is_ready;
  $("drop-hint").hidden = true;
  if (one.is_ready) {
    const images = state.backend.images(one);
    if (!$("image").src.endsWith(images.image)) {
      $("image").src = images.image;
      $("density").removeAttribute("src");
    }
    if ($("show-density").checked && images.density) $("density").src = images.density;
    $("density").classList.toggle("grey", Boolean(images.area));
    place($("density"), images.area ?? { x: 0, y: 0, width: one.width, height: one.height });
    $("image").alt = `Photo ${one.name}`;
    drawFaces(one);
    fit();
  }
  drawRatios();
  drawWindow();
  drawList();
  $("list").children[state.at]?.scrollIntoView({ block: "nearest" });
}

/** Make the frame as large as fits, in the photo's proportions. */
function fit() {
  const one = photo();
  if (!one?.is_ready) return;
  const room = $("stage").getBoundingClientRect();
  const scale = Math.min((room.width - 8) / one.width, (room.height - 8) / one.height);
  $("frame").style.width = `${Math.round(one.width * scale)}px`;
  $("frame").style.height = `${Math.round(one.height * scale)}px`;
}

/** Place an element over a box of the photo. */
function place(element, box) {
  const { width, height } = photo();
  element.style.left = `${(100 * box.x) / width}%`;
  element.style.top = `${(100 * box.y) / height}%`;
  element.style.width = `${(100 * box.width) / width}%`;
  element.style.height = `${(100 * box.height) / height}%`;
}

function drawFaces(one) {
  $("faces").replaceChildren(...one.faces.map((box) => {
    const element = document.createElement("div");
    place(element, box);
    return element;
  }));
}

function drawRatios() {
  $("ratios").replaceChildren(...state.aspects.map((aspect) => {
    const button = document.createElement("button");
    const one = photo()?.windows.find((each) => each.aspect === aspect);
    button.type = "button";
    button.textContent = one?.person ? `${aspect} ✓` : aspect;
    button.setAttribute("aria-pressed", String(aspect === state.aspect));
    button.addEventListener("click", () => { state.aspect = aspect; show(state.at); });
    return button;
  }));
}

/** Show what is decided for this ratio, or else what the model proposes. */
function drawWindow() {
  const one = entry();
  const chosen = one?.person ?? one?.model;
  for (const id of ["accept", "centre", "none", "model"]) $(id).disabled = !one?.model;
  $("alternatives").replaceChildren();
  if (!one?.model) {
    $("about").textContent = photo()?.error ?? "";
    return;
  }
  const isOff = chosen.x === undefined;
  const base = isOff ? one.model.centre : chosen;
  state.window = { x: base.x, y: base.y, width: base.width, height: base.height };
  $("window").classList.toggle("off", isOff);
  place($("window"), state.window);
  $("alternatives").replaceChildren(...one.model.alternatives.slice(0, 9).map((box, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Alternative ${index + 1}`;
    button.addEventListener("click", () => decide(box));
    return button;
  }));
  tell(one, isOff);
}

function tell(one, isOff) {
  const { x, y, width, height } = state.window;
  const sure = one.model.confidence;
  const isSaid = sure === null || one.model.reason.includes("confidence");
  const why = one.model.reason + (isSaid ? "" : `, confidence ${Math.round(100 * sure)} %`);
  const who = one.person ? (isOff ? "You want no crop. " : "You decided this window. ") : "";
  $("about").textContent = `${who}${width} × ${height} at ${x}, ${y}. Model: ${why}.`;
  $("window").setAttribute("aria-label", `Crop window ${state.aspect}, ${width} by ${height} at ${x}, ${y}`);
}

/** Keep a decision: a window, null for no crop, or "model". */
async function decide(window) {
  const one = photo();
  if (!entry()?.model) return;
  try {
    Object.assign(one, await state.backend.decide(one, state.aspect, window));
  } catch (error) {
    $("about").textContent = `Not saved: ${error.message}`;
    return;
  }
  if (one === photo()) { drawRatios(); drawWindow(); }
  drawList();
}

/** Accept the window shown, then go to the next ratio, or the next photo. */
async function accept() {
  if (!entry()?.model) return;
  await decide($("window").classList.contains("off") ? null : state.window);
  const next = photo().windows.find((one) => !one.person);
  if (next) state.aspect = next.aspect;
  else state.aspect = state.aspects[0];
  show(next ? state.at : state.at + 1);
}

/** Bring a window inside the photo, in whole pixels. */
function inside(window) {
  const { width, height } = photo();
  const size = { width: Math.min(window.width, width), height: Math.min(window.height, height) };
  const limit = (value, most) => Math.round(Math.max(0, Math.min(value, most)));
  return { x: limit(window.x, width - size.width), y: limit(window.y, height - size.height), ...size };
}

function move(across, down) {
  const { x, y, width, height } = state.window;
  state.window = inside({ x: x + across, y: y + down, width, height });
  redraw();
}

/** Resize the window about its middle (or its corner), with its proportions. */
function resize(factor, fromCorner = null) {
  const model = entry().model;
  const one = fromCorner ?? state.window;
  const ratio = model.width / model.height;
  const most = Math.min(photo().width, photo().height * ratio);
  const width = Math.max(8, Math.min(one.width * factor, most));
  const size = { width: Math.round(width), height: Math.max(1, Math.round(width / ratio)) };
  const shift = fromCorner ? 0 : 0.5;
  state.window = inside({
    x: one.x + (one.width - size.width) * shift, y: one.y + (one.height - size.height) * shift, ...size,
  });
  redraw();
}

function redraw() {
  $("window").classList.remove("off");
  place($("window"), state.window);
  tell(entry(), false);
}

/** Let the pointer (mouse, pen, finger) drag the window, or resize it by its corner. */
function enableDragging() {
  let start = null;
  $("window").addEventListener("pointerdown", (event) => {
    if (!entry()?.model) return;
    const isCorner = event.target === $("corner");
    start = { x: event.clientX, y: event.clientY, window: { ...state.window }, isCorner, moved: false };
    $("window").setPointerCapture(event.pointerId);
  });
  $("window").addEventListener("pointermove", (event) => {
    if (!start) return;
    const scale = photo().width / $("frame").clientWidth;
    const across = (event.clientX - start.x) * scale, down = (event.clientY - start.y) * scale;
    start.moved ||= Math.abs(across) + Math.abs(down) > 2 * scale;
    if (start.isCorner) resize((start.window.width + across) / start.window.width, start.window);
    else { state.window = { ...start.window }; move(across, down); }
  });
  const end = () => {
    if (start?.moved) decide(state.window);
    start = null;
  };
  $("window").addEventListener("pointerup", end);
  $("window").addEventListener("pointercancel", () => { start = null; drawWindow(); });
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let pending = 0;

/** Decide on the window a moment after the last key that moved it. */
function decideSoon() {
  clearTimeout(pending);
  const at = state.at;
  pending = setTimeout(() => { if (at === state.at) decide(state.window); }, 400);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input[type=file]")) return;
  const isWindow = event.target === $("window") && entry()?.model;
  if (isWindow && ARROWS[event.key]) {
    const step = Math.max(1, Math.round(photo().width / (event.shiftKey ? 20 : 200)));
    move(...ARROWS[event.key].map((one) => one * step));
    decideSoon();
  } else if (isWindow && "+-".includes(event.key)) {
    resize(event.key === "+" ? 1.05 : 1 / 1.05);
    decideSoon();
  } else if (event.key === "Enter" && !event.target.matches("button, label, summary")) accept();
  else if (event.key === "ArrowRight") show(state.at + 1);
  else if (event.key === "ArrowLeft") show(state.at - 1);
  else if (!shortcut(event.key.toLowerCase())) return;
  event.preventDefault();
}

function shortcut(key) {
  const model = entry()?.model;
  if (key === "r") { state.aspect = state.aspects[(state.aspects.indexOf(state.aspect) + 1) % state.aspects.length]; show(state.at); }
  else if (key === "c" && model) decide(model.centre);
  else if (key === "n") decide(null);
  else if (key === "m") decide("model");
  else if (key === "d") $("show-density").click();
  else if (key === "f") $("show-faces").click();
  else if (/^[1-9]$/.test(key) && model?.alternatives[key - 1]) decide(model.alternatives[key - 1]);
  else return false;
  return true;
}

async function addFiles(files) {
  const start = state.photos.length;
  await Promise.all([...files].map(async (file, index) => {
    const added = state.backend.add(file);
    state.photos = state.backend.photos;
    sort(); drawList();
    await added;
    sort(); drawList();
    if (index === 0 && start === 0) show(state.order.indexOf(state.photos.findIndex((one) => one.is_ready)));
  }));
  if (state.at < 0) show(0);
}

function enableDropping() {
  $("open-tools").hidden = false;
  $("drop-hint").hidden = false;
  $("open").addEventListener("change", (event) => addFiles(event.target.files));
  const stage = document.body;
  stage.addEventListener("dragover", (event) => { event.preventDefault(); $("stage").classList.add("over"); });
  stage.addEventListener("dragleave", () => $("stage").classList.remove("over"));
  stage.addEventListener("drop", (event) => {
    event.preventDefault();
    $("stage").classList.remove("over");
    addFiles(event.dataTransfer.files);
  });
  $("download").addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([state.backend.file()], { type: "application/json" }));
    Object.assign(document.createElement("a"), { href: url, download: "decisions.json" }).click();
    URL.revokeObjectURL(url);
  });
}

/** Load the list again while the server still looks at photos. */
async function refresh() {
  const { photos } = await state.backend.load();
  photos.forEach((fresh, index) => {
    if (!state.photos[index].is_ready || fresh.error) Object.assign(state.photos[index], fresh);
  });
  const isFirst = !photo()?.is_ready;
  if (isFirst) { state.at = -1; sort(); show(0); } else { sort(); drawList(); }
  if (photos.some((one) => !one.is_ready && !one.error)) setTimeout(refresh, 700);
}

async function start() {
  const probe = await fetch("review/photos").catch(() => null);
  state.backend = probe?.ok ? new Folder() : new Dropped();
  const { aspects, photos } = probe?.ok ? await probe.json() : await state.backend.load();
  Object.assign(state, { aspects, photos, aspect: aspects[0] });
  enableDragging();
  document.addEventListener("keydown", onKey);
  window.addEventListener("resize", fit);
  $("image").addEventListener("error", () => { $("about").textContent = "This photo cannot be shown."; });
  $("accept").addEventListener("click", accept);
  $("centre").addEventListener("click", () => decide(entry().model.centre));
  $("none").addEventListener("click", () => decide(null));
  $("model").addEventListener("click", () => decide("model"));
  $("filter").addEventListener("change", () => { sort(); drawList(); });
  $("list").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) show(Number(button.dataset.at));
  });
  $("show-density").addEventListener("change", (event) => {
    $("density").hidden = !event.target.checked;
    show(state.at);
  });
  $("show-faces").addEventListener("change", (event) => { $("faces").hidden = !event.target.checked; });
  $("help-button").addEventListener("click", () => {
    $("help").hidden = !$("help").hidden;
    $("help-button").setAttribute("aria-expanded", String(!$("help").hidden));
    fit();
  });
  if (state.backend instanceof Dropped) enableDropping();
  sort();
  if (photos.length) show(0); else drawList();
  if (photos.some((one) => !one.is_ready && !one.error)) setTimeout(refresh, 500);
}

start();
