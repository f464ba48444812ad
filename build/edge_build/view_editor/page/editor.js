// The page of `edge-build view --edit`. All that it knows of views, the program tells it.

import { addPolygon, corners, drag, element, pointAt, showPicture } from "./areas.js";

const LEAST_REGION = 8; // pixels
const byId = (id) => document.getElementById(id);
const sides = ["x", "y", "width", "height"].map(byId);

let state = null; // recipe, name, view, pictures: as the program sent them
let region = null; // [x, y, width, height] in pixels of the first picture; null: everything
let regionTouched = false; // otherwise it is saved as it was written, in shares perhaps
let areas = []; // ignored polygons [[[x, y], ...], ...] in shares of the view
let ignoreFile = null; // a picture in their place
let proposal = null; // what the program makes of the view
let drawing = null; // "rectangle", or the points of a polygon so far
let shown = 0; // which picture

// ---- asking the program

async function ask(path, content) {
  const answer = await fetch(path, content === undefined ? {} : { method: "POST", body: JSON.stringify(content) });
  const found = await answer.json();
  if (!answer.ok) throw found.problems;
  return found;
}

async function attempt(what, work) {
  problems([]);
  say(what);
  for (const button of document.querySelectorAll(".buttons button")) button.disabled = true;
  let text = "";
  try {
    text = await work();
  } catch (found) {
    problems(Array.isArray(found) ? found : ["The program does not answer any more: it has ended"]);
  }
  for (const button of document.querySelectorAll(".buttons button")) button.disabled = false;
  say(text);
}

const say = (text) => { byId("status").textContent = text; };

function problems(texts) {
  byId("problems").replaceChildren(...texts.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
}

function settings() {
  return {
    region: regionTouched ? region : state.view.region,
    pose: byId("pose").value,
    margin: byId("margin").value === "" ? null : Number(byId("margin").value),
    ignore: ignoreFile ?? (areas.length ? areas.map((area) => area.map(([x, y]) => [share(x), share(y)])) : null),
  };
}

const share = (value) => Math.round(value * 10000) / 10000;

async function propose() {
  proposal = await ask("propose", settings());
  byId("why").textContent = proposal.why;
  byId("advice").textContent = proposal.advice;
  byId("view-size").textContent = `(${proposal.width} x ${proposal.height})`;
  draw();
  return "Shown as the detector will see it";
}

// ---- showing

function draw() {
  const first = state.pictures[0], own = state.pictures[shown];
  showPicture(byId("frame"), first.width, first.height, `frame/${shown}`);
  drawOverFrame(first, own);
  byId("found").textContent = proposal ? proposal.pictures[shown].text : "";
  if (proposal) {
    showPicture(byId("view"), proposal.width, proposal.height, `seen/${proposal.number}/${shown}`);
    drawOverView();
  }
}

function clear(svg) {
  svg.replaceChildren(svg.firstChild); // the picture stays
}

function drawOverFrame(first, own) {
  const svg = byId("frame");
  clear(svg);
  addPolygon(svg, corners(region ?? [0, 0, first.width, first.height]), "region", regionDragged);
  if (proposal) {
    const [x, y] = [first.width / own.width, first.height / own.height];
    const points = proposal.pictures[shown].outline.map((p) => [(p[0] + 0.5) * x, (p[1] + 0.5) * y].join(",")).join(" ");
    svg.append(element("polygon", { class: "outline", points }));
  }
  sides.forEach((input, side) => { input.value = region ? region[side] : ""; });
}

// points: all corners where they would be; with a corner: that one goes to a place.
function regionDragged(points, corner, place) {
  let [[left, top], , [right, bottom]] = points;
  if (corner !== undefined) {
    if (corner === 0 || corner === 3) left = place[0]; else right = place[0];
    if (corner < 2) top = place[1]; else bottom = place[1];
    [left, right] = inOrder(left, right, corner === 0 || corner === 3, state.pictures[0].width);
    [top, bottom] = inOrder(top, bottom, corner < 2, state.pictures[0].height);
  }
  [left, top, right, bottom] = [left, top, right, bottom].map(Math.round);
  setRegion([left, top, right - left, bottom - top]);
}

// The end that is dragged stays on its side of the other.
function inOrder(low, high, lowMoves, most) {
  if (lowMoves) return [Math.max(0, Math.min(low, high - LEAST_REGION)), high];
  return [low, Math.min(most, Math.max(high, low + LEAST_REGION))];
}

function setRegion(value) {
  region = value;
  regionTouched = true;
  say("Changed: show this view to see it");
  drawOverFrame(state.pictures[0], state.pictures[shown]);
}

function drawOverView() {
  const svg = byId("view"), { width, height } = proposal;
  clear(svg);
  areas.forEach((area, row) => {
    const points = area.map(([x, y]) => [x * width, y * height]);
    addPolygon(svg, points, "area", (moved, corner, place) => {
      const now = corner === undefined ? moved : moved.map((point, n) => (n === corner ? place : point));
      areas[row] = now.map(([x, y]) => [x / width, y / height]);
      drawOverView();
    });
  });
  if (Array.isArray(drawing)) {
    svg.append(element("polyline", { class: "area", points: drawing.map((p) => p.join(",")).join(" ") }));
    for (const [cx, cy] of drawing) svg.append(element("circle", { class: "handle", cx, cy, r: width / 100 }));
  }
  svg.classList.toggle("drawing", drawing !== null);
  listAreas();
}

function listAreas() {
  byId("areas").replaceChildren(...areas.map((area, row) => {
    const item = Object.assign(document.createElement("li"), { textContent: `area ${row + 1}, ${area.length} corners` });
    const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "Remove" });
    remove.setAttribute("aria-label", `Remove area ${row + 1}`);
    remove.addEventListener("click", () => { areas.splice(row, 1); drawOverView(); });
    item.append(remove);
    return item;
  }));
  const file = byId("ignore-file");
  file.hidden = ignoreFile === null;
  file.textContent = `The recipe names a picture: ${ignoreFile}. Drawn areas take its place.`;
}

// ---- drawing ignored areas

function begin(what) {
  drawing = drawing === null ? what : null;
  byId("add-rectangle").setAttribute("aria-pressed", drawing === "rectangle");
  byId("add-polygon").setAttribute("aria-pressed", Array.isArray(drawing));
  byId("drawing").textContent = drawing === "rectangle" ? "Drag it in the view."
    : drawing ? "Click its corners in the view; Enter or a double click ends it, Escape forgets it." : "";
  if (proposal) drawOverView();
}

function addArea(points) {
  const { width, height } = proposal;
  const [xs, ys] = [points.map((p) => p[0]), points.map((p) => p[1])];
  drawing = "done";
  if (Math.max(...xs) - Math.min(...xs) >= 1 && Math.max(...ys) - Math.min(...ys) >= 1) {
    ignoreFile = null;
    areas.push(points.map(([x, y]) => [x / width, y / height]));
  }
  begin(null);
}

function drawInView(event) {
  if (drawing === null || !proposal) return;
  const svg = byId("view"), from = pointAt(svg, event);
  event.preventDefault();
  event.stopPropagation();
  if (drawing !== "rectangle") {
    drawing.push(from);
    drawOverView();
    return;
  }
  let to = from;
  const preview = element("polygon", { class: "area" });
  svg.append(preview);
  const box = () => corners([Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])]);
  drag(svg, event, (point) => {
    to = point;
    preview.setAttribute("points", box().map((p) => p.join(",")).join(" "));
  }, () => addArea(box()));
}

function endPolygon() {
  if (!Array.isArray(drawing)) return;
  const points = drawing.filter((point, n) => n === 0 || Math.hypot(point[0] - drawing[n - 1][0], point[1] - drawing[n - 1][1]) > 1);
  if (points.length >= 3) addArea(points);
}

// ---- beginning

function connect() {
  sides.forEach((input) => input.addEventListener("change", () => {
    const values = sides.map((side) => Number(side.value));
    if (sides.every((side) => side.value !== "")) setRegion(values);
  }));
  byId("everything").addEventListener("click", () => setRegion(null));
  byId("add-rectangle").addEventListener("click", () => begin("rectangle"));
  byId("add-polygon").addEventListener("click", () => begin([]));
  byId("view").addEventListener("pointerdown", drawInView, true);
  byId("view").addEventListener("dblclick", endPolygon);
  byId("settings").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && Array.isArray(drawing)) {
      event.preventDefault(); // it would press the button that has the focus
      endPolygon();
    }
    if (event.key === "Escape" && drawing !== null) begin(null);
  });
  byId("propose").addEventListener("click", () => attempt("Looking at the good pictures...", propose));
  byId("save").addEventListener("click", () => attempt("Looking at the good pictures...", async () => {
    const { changed } = await ask("save", settings());
    return end(changed.length ? `Saved: ${changed.map((key) => `view.${key}`).join(", ")}` : "Nothing had changed");
  }));
  byId("close").addEventListener("click", () => attempt("", async () => {
    await ask("close", {});
    return end("Ended without saving");
  }));
  const turn = (step) => show((shown + step + state.pictures.length) % state.pictures.length);
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  byId("picture").addEventListener("change", () => show(Number(byId("picture").value)));
}

function show(row) {
  shown = row;
  byId("picture").value = String(row);
  draw();
}

function end(text) {
  document.querySelector("main").inert = true;
  return `${text}. This page can be closed.`;
}

async function start() {
  state = await ask("state");
  const { view, pictures } = state;
  byId("name").textContent = state.name;
  byId("recipe").textContent = state.recipe;
  byId("pose").value = view.pose;
  byId("margin").value = view.margin;
  const { width, height } = pictures[0], scale = [width, height, width, height];
  region = view.region && (view.region.every((value) => value <= 1) ? view.region.map((v, n) => Math.round(v * scale[n])) : view.region);
  if (typeof view.ignore === "string") ignoreFile = view.ignore;
  else areas = view.ignore ?? [];
  byId("picture").replaceChildren(...pictures.map((one, row) => new Option(one.name, row)));
  connect();
  listAreas();
  draw();
  await attempt("Looking at the good pictures...", propose);
}

start().catch((found) => problems(Array.isArray(found) ? found : ["The page cannot be shown: the program does not answer"]));
