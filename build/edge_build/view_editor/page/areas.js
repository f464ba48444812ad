// Shapes over a picture in an SVG, in the picture's own pixels: drawn from data, dragged by their handles.

const SVG = "http://www.w3.org/2000/svg";
const HANDLE = 0.011; // of the picture's longer side

export function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Where a pointer is, in the SVG's own coordinates and never outside of its picture.
export function pointAt(svg, event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const { width, height } = svg.viewBox.baseVal;
  return [Math.min(Math.max(at.x, 0), width), Math.min(Math.max(at.y, 0), height)];
}

export function showPicture(svg, width, height, source) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const image = element("image", { width, height, preserveAspectRatio: "none" });
  if (source) image.setAttribute("href", source);
  svg.replaceChildren(image);
}

// Calls move(point) while the pointer is dragged from here, and done() when it is let go.
export function drag(svg, event, move, done = () => {}) {
  event.preventDefault();
  event.stopPropagation();
  const follow = (moved) => move(pointAt(svg, moved));
  const end = () => {
    window.removeEventListener("pointermove", follow);
    window.removeEventListener("pointerup", end);
    window.removeEventListener("pointercancel", end);
    done();
  };
  window.addEventListener("pointermove", follow);
  window.addEventListener("pointerup", end);
  window.addEventListener("pointercancel", end);
}

// A polygon with a handle at each corner. points: [[x, y], ...]; changed(points) is called while one drags.
export function addPolygon(svg, points, className, changed, done) {
  const radius = HANDLE * Math.max(svg.viewBox.baseVal.width, svg.viewBox.baseVal.height);
  const shape = element("polygon", { class: className, points: points.map((p) => p.join(",")).join(" ") });
  shape.addEventListener("pointerdown", (event) => {
    const from = pointAt(svg, event);
    drag(svg, event, (to) => changed(moved(svg, points, to[0] - from[0], to[1] - from[1])), done);
  });
  svg.append(shape);
  points.forEach(([cx, cy], corner) => {
    const handle = element("circle", { class: "handle", cx, cy, r: radius, "data-corner": corner });
    handle.addEventListener("pointerdown", (event) => drag(svg, event, (to) => changed(points, corner, to), done));
    svg.append(handle);
  });
}

// All points by one step, which stops at the picture's edges.
function moved(svg, points, dx, dy) {
  const { width, height } = svg.viewBox.baseVal;
  const [xs, ys] = [points.map((p) => p[0]), points.map((p) => p[1])];
  const x = Math.min(Math.max(dx, -Math.min(...xs)), width - Math.max(...xs));
  const y = Math.min(Math.max(dy, -Math.min(...ys)), height - Math.max(...ys));
  return points.map((p) => [p[0] + x, p[1] + y]);
}

export function corners([x, y, width, height]) {
  return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]];
}
