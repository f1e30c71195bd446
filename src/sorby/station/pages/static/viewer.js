// Deep zoom: an image of any size drawn on a canvas from tiles, with layers over it that fade, findings, measures and
// what people marked. The scale bar follows the zoom. Pointer, wheel, two fingers and keys all work.
const KEPT_TILES = 300;
const STEPS = [1, 2, 5];

export default {
  props: {
    source: Object, // {tiles, levels: [{width, height, columns, rows}], tile, width, height}
    title: String,
    pixel: Number, // micrometres a pixel; absent where unknown
    layers: { type: Array, default: () => [] }, // {name, title, url, strength}
    shapes: { type: Array, default: () => [] }, // {kind: box|polygon|line, points, label, tone, layer}
    tool: { type: String, default: "look" }, // look, box, polygon or brush
    brush: { type: Number, default: 24 },
    plain: Boolean, // nothing but the image and the bar: for people who must not be led
    low: Boolean,
    group: String, // viewers of one group move together
    keep: Object, // {to, csrf, words}: where a mask goes, for it is too large for the page's own connection
  },
  emits: ["drawn", "kept"],
  template: `
    <div class="viewer" :class="{low}">
      <div class="glass">
        <canvas ref="canvas" tabindex="0" role="img" :aria-label="words" :class="{drawing: tool !== 'look'}"
          @pointerdown="down" @pointermove="move" @pointerup="up" @pointercancel="up" @wheel.prevent="wheel"
          @keydown="key" @dblclick="double"></canvas>
        <div class="zoom">
          <button type="button" @click="zoom(1.6)" aria-label="Zoom in">+</button>
          <button type="button" @click="zoom(1 / 1.6)" aria-label="Zoom out">\u2212</button>
          <button type="button" @click="fit" aria-label="Whole image"><svg width="18" height="18" viewBox="0 0 18 18" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true"><path d="M2 6V2h4M12 2h4v4M16 12v4h-4M6 16H2v-4"/></svg></button>
        </div>
      </div>
      <div v-if="!plain && (layers.length || groups.length || tool !== 'look')" class="layers">
        <label v-for="(layer, k) in layers" :key="layer.name">
          <input type="checkbox" v-model="seen[layer.name]" @change="paint">{{ layer.title }}
          <input type="range" min="0" max="100" v-model.number="strength[layer.name]" @input="fade(layer.name)"
                 :aria-label="layer.title + ', strength'">
        </label>
        <label v-for="name in groups" :key="name">
          <input type="checkbox" v-model="seen[name]" @change="paint">{{ name }}
        </label>
        <template v-if="tool === 'polygon'">
          <button class="button small" type="button" @click="finish" :disabled="draft.length < 3">Close polygon</button>
        </template>
        <template v-if="tool === 'brush'">
          <button class="button small" type="button" @click="finish" :disabled="!strokes.length">Keep mask</button>
        </template>
        <button v-if="draft.length || strokes.length" class="button small" type="button" @click="drop">Start again</button>
      </div>
    </div>`,
  data() {
    return { seen: {}, strength: {}, draft: [], strokes: [], scale: 1, size: { width: 1, height: 1 } };
  },
  computed: {
    groups() { return [...new Set(this.shapes.map((each) => each.layer || "Findings"))]; },
    words() {
      const size = this.pixel
        ? `${(this.size.width * this.pixel).toPrecision(4)} by ${(this.size.height * this.pixel).toPrecision(4)} micrometres`
        : "scale unknown";
      return `${this.title}: ${this.size.width} by ${this.size.height} pixels, ${size}. Keys: plus, minus, arrows, 0 for the whole image.`;
    },
  },
  watch: {
    source: { handler(now, before) { if (!before || now.tiles !== before.tiles) this.begin(); }, deep: true },
    layers: { handler() { this.prepare(); this.paint(); }, deep: true },
    shapes: { handler() { this.prepare(); this.paint(); }, deep: true },
    tool() { this.drop(); },
  },
  created() { this.prepare(); },
  mounted() {
    this.fingers = new Map();
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.$refs.canvas);
    if (this.group) {
      this.hear = (event) => {
        if (event.detail.group !== this.group || event.detail.from === this) return;
        const width = this.size.width;
        this.view = { x: event.detail.x * width, y: event.detail.y * width, scale: event.detail.scale / width };
        this.moved = true;
        this.paint();
      };
      window.addEventListener("sorby-view", this.hear);
    }
    this.begin();
  },
  unmounted() {
    this.sizes.disconnect();
    if (this.hear) window.removeEventListener("sorby-view", this.hear);
    cancelAnimationFrame(this.frame);
  },
  methods: {
    prepare() {
      for (const layer of this.layers) {
        if (!(layer.name in this.seen)) { this.seen[layer.name] = layer.seen !== false; this.strength[layer.name] = layer.strength ?? 55; }
      }
      for (const name of this.groups) if (!(name in this.seen)) this.seen[name] = true;
    },
    begin() {
      this.tiles = new Map();
      this.pictures = new Map();
      this.size = { width: this.source.width, height: this.source.height };
      this.view = { x: this.size.width / 2, y: this.size.height / 2, scale: 1 };
      this.moved = false;
      this.drop();
      this.resize();
    },
    resize() {
      const canvas = this.$refs.canvas;
      if (!canvas) return;
      this.dense = window.devicePixelRatio || 1;
      this.wide = canvas.clientWidth;
      this.high = canvas.clientHeight;
      canvas.width = Math.max(1, Math.round(this.wide * this.dense));
      canvas.height = Math.max(1, Math.round(this.high * this.dense));
      if (!this.moved) this.fit(); else this.paint();
    },
    fit() {
      this.view = { x: this.size.width / 2, y: this.size.height / 2, scale: this.least() };
      this.moved = false;
      this.tellOthers();
      this.paint();
    },
    least() { return Math.min(this.wide / this.size.width, this.high / this.size.height) || 1; },
    clamp() {
      const least = Math.min(this.least(), 1);
      this.view.scale = Math.max(least * 0.8, Math.min(this.view.scale, 40));
      this.view.x = Math.max(0, Math.min(this.size.width, this.view.x));
      this.view.y = Math.max(0, Math.min(this.size.height, this.view.y));
    },
    zoom(factor, at) {
      const place = at || { x: this.wide / 2, y: this.high / 2 };
      const before = this.toImage(place);
      this.view.scale *= factor;
      this.clamp();
      const after = this.toImage(place);
      this.view.x += before.x - after.x;
      this.view.y += before.y - after.y;
      this.changed();
    },
    changed() { this.moved = true; this.clamp(); this.tellOthers(); this.paint(); },
    tellOthers() {
      if (!this.group) return;
      const width = this.size.width;
      window.dispatchEvent(new CustomEvent("sorby-view", {
        detail: { group: this.group, from: this, x: this.view.x / width, y: this.view.y / width, scale: this.view.scale * width },
      }));
    },
    toImage(place) {
      return { x: this.view.x + (place.x - this.wide / 2) / this.view.scale, y: this.view.y + (place.y - this.high / 2) / this.view.scale };
    },
    toScreen(x, y) {
      return [(x - this.view.x) * this.view.scale + this.wide / 2, (y - this.view.y) * this.view.scale + this.high / 2];
    },
    place(event) {
      const frame = this.$refs.canvas.getBoundingClientRect();
      return { x: event.clientX - frame.left, y: event.clientY - frame.top };
    },

    // -- pointer and keys ----------------------------------------------------------------------------------
    down(event) {
      this.$refs.canvas.setPointerCapture(event.pointerId);
      const at = this.place(event);
      this.fingers.set(event.pointerId, at);
      if (this.tool === "look" || this.fingers.size > 1 || event.button === 1) return;
      const spot = this.inside(this.toImage(at));
      if (this.tool === "polygon") this.draft.push([spot.x, spot.y]);
      if (this.tool === "box") this.draft = [[spot.x, spot.y], [spot.x, spot.y]];
      if (this.tool === "brush") this.strokes.push([[spot.x, spot.y]]);
      this.paint();
    },
    move(event) {
      const before = this.fingers.get(event.pointerId);
      if (!before) return;
      const at = this.place(event);
      if (this.fingers.size === 2) {
        const other = [...this.fingers].find(([id]) => id !== event.pointerId)[1];
        const far = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
        const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
        this.fingers.set(event.pointerId, at);
        this.zoom(far(at, other) / far(before, other), middle);
        return;
      }
      this.fingers.set(event.pointerId, at);
      const spot = this.inside(this.toImage(at));
      if (this.tool === "box" && this.draft.length === 2) { this.draft[1] = [spot.x, spot.y]; this.paint(); return; }
      if (this.tool === "brush" && this.strokes.length) { this.strokes.at(-1).push([spot.x, spot.y]); this.paint(); return; }
      this.view.x -= (at.x - before.x) / this.view.scale;
      this.view.y -= (at.y - before.y) / this.view.scale;
      this.changed();
    },
    up(event) {
      this.fingers.delete(event.pointerId);
      if (this.tool === "box" && this.draft.length === 2) {
        const [[x0, y0], [x1, y1]] = this.draft;
        const kept = [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
        if (kept[2] - kept[0] >= 1 && kept[3] - kept[1] >= 1) this.$emit("drawn", { kind: "box", box: kept, share: [kept[0] / this.size.width, kept[1] / this.size.height, kept[2] / this.size.width, kept[3] / this.size.height] });
        this.draft = [];
        this.paint();
      }
    },
    double(event) { if (this.tool === "polygon") this.finish(); else if (this.tool === "look") this.zoom(2, this.place(event)); },
    wheel(event) { this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), this.place(event)); },
    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const step = 60 / this.view.scale;
      const deeds = {
        "+": () => this.zoom(1.6), "=": () => this.zoom(1.6), "-": () => this.zoom(1 / 1.6), 0: () => this.fit(),
        1: () => this.zoom(1 / this.view.scale), ArrowLeft: () => (this.view.x -= step), ArrowRight: () => (this.view.x += step),
        ArrowUp: () => (this.view.y -= step), ArrowDown: () => (this.view.y += step),
        Enter: () => this.finish(), Escape: () => this.drop(),
      };
      if (!(event.key in deeds)) return;
      deeds[event.key]();
      event.preventDefault();
      event.stopPropagation();
      if (event.key !== "0") this.changed();
    },
    inside(spot) {
      return { x: Math.max(0, Math.min(this.size.width, spot.x)), y: Math.max(0, Math.min(this.size.height, spot.y)) };
    },
    finish() {
      if (this.tool === "polygon" && this.draft.length >= 3) {
        const points = this.draft.filter((point, k, all) => !k || Math.hypot(point[0] - all[k - 1][0], point[1] - all[k - 1][1]) > 1e-6);
        if (points.length >= 3) this.$emit("drawn", { kind: "polygon", points });
      }
      if (this.tool === "brush" && this.strokes.length) { this.send(); return; }
      this.drop();
    },
    drop() { this.draft = []; this.strokes = []; if (this.view) this.paint(); },
    mask() {
      const sheet = document.createElement("canvas");
      sheet.width = this.size.width;
      sheet.height = this.size.height;
      const pen = sheet.getContext("2d");
      pen.fillStyle = "#000";
      pen.fillRect(0, 0, sheet.width, sheet.height);
      pen.strokeStyle = "#fff";
      this.stroke(pen, 1);
      const read = pen.getImageData(0, 0, sheet.width, sheet.height); // a mask has two values: no soft rims
      for (let k = 0; k < read.data.length; k += 4) {
        const value = read.data[k] > 127 ? 255 : 0;
        read.data[k] = read.data[k + 1] = read.data[k + 2] = value;
      }
      pen.putImageData(read, 0, 0);
      return new Promise((done) => sheet.toBlob(done, "image/png"));
    },
    async send() {
      const png = await this.mask();
      const answer = await fetch(`${this.keep.to}?${new URLSearchParams(this.keep.words)}`, {
        method: "POST", body: png, headers: { "X-CSRF-Token": this.keep.csrf, "Content-Type": "image/png" },
      });
      const said = await answer.json();
      this.$emit("kept", answer.ok ? { count: said.geometry.count } : { fault: said.detail, hint: said.hint });
      if (answer.ok) this.drop();
    },
    stroke(pen, factor, map = (x, y) => [x, y]) {
      pen.lineWidth = this.brush * factor;
      pen.lineCap = pen.lineJoin = "round";
      for (const line of this.strokes) {
        pen.beginPath();
        line.forEach(([x, y], k) => { const [u, v] = map(x, y); if (k) pen.lineTo(u, v); else pen.moveTo(u, v); });
        if (line.length === 1) { const [u, v] = map(...line[0]); pen.lineTo(u + 0.01, v); }
        pen.stroke();
      }
    },

    // -- painting ------------------------------------------------------------------------------------------
    paint() { cancelAnimationFrame(this.frame); this.frame = requestAnimationFrame(() => this.draw()); },
    fade(name) { this.seen[name] = true; this.paint(); },
    draw() {
      const canvas = this.$refs.canvas;
      if (!canvas || !this.view) return;
      const pen = canvas.getContext("2d");
      pen.setTransform(this.dense, 0, 0, this.dense, 0, 0);
      pen.fillStyle = "#23282b";
      pen.fillRect(0, 0, this.wide, this.high);
      pen.imageSmoothingEnabled = this.view.scale < 3;
      this.scale = this.view.scale;
      this.drawTiles(pen);
      for (const layer of this.layers) if (this.seen[layer.name]) this.picture(pen, layer.url, this.strength[layer.name] / 100);
      for (const shape of this.shapes) if (this.seen[shape.layer || "Findings"]) this.shape(pen, shape);
      this.drafts(pen);
      this.bar(pen);
    },
    drawTiles(pen) {
      const { levels, tile } = this.source;
      const wanted = levels.findIndex((each) => each.width / this.size.width >= this.view.scale * this.dense);
      const target = wanted < 0 ? levels.length - 1 : wanted;
      for (let z = 0; z <= target; z += 1) {
        const level = levels[z];
        const shrunk = this.size.width / level.width;
        const corner = this.toImage({ x: 0, y: 0 });
        const end = this.toImage({ x: this.wide, y: this.high });
        const first = (value) => Math.max(0, Math.floor(value / shrunk / tile));
        for (let y = first(corner.y); y <= Math.min(level.rows - 1, first(end.y)); y += 1) {
          for (let x = first(corner.x); x <= Math.min(level.columns - 1, first(end.x)); x += 1) {
            const found = this.tile(`${z}/${x}/${y}`, z === target || z === 0);
            if (!found) continue;
            const [u, v] = this.toScreen(x * tile * shrunk, y * tile * shrunk);
            pen.drawImage(found, u, v, found.width * shrunk * this.view.scale + 0.5, found.height * shrunk * this.view.scale + 0.5);
          }
        }
      }
    },
    tile(name, load) {
      const found = this.tiles.get(name);
      if (found) {
        this.tiles.delete(name);
        this.tiles.set(name, found); // used last goes last
        return found.ready ? found : null;
      }
      if (!load) return null;
      const image = new Image();
      image.onload = () => { image.ready = true; this.paint(); };
      image.onerror = () => { image.failed = true; };
      image.src = `${this.source.tiles}/${name}`;
      this.tiles.set(name, image);
      if (this.tiles.size > KEPT_TILES) this.tiles.delete(this.tiles.keys().next().value);
      return null;
    },
    picture(pen, url, strength) {
      let found = this.pictures.get(url);
      if (!found) {
        found = new Image();
        found.onload = () => {
          found.ready = true;
          this.paint();
        };
        found.src = url;
        this.pictures.set(url, found);
      }
      if (!found.ready) return;
      const [u, v] = this.toScreen(0, 0);
      pen.globalAlpha = strength;
      pen.drawImage(found, u, v, this.size.width * this.view.scale, this.size.height * this.view.scale);
      pen.globalAlpha = 1;
    },
    shape(pen, shape) {
      const colours = { finding: "#ffb000", measure: "#5ad1ff", mine: "#7CFC98", other: "#e7b3ff" };
      let points = shape.points;
      if (shape.kind === "box") { const [a, b, c, d] = shape.points; points = [[a, b], [c, b], [c, d], [a, d]]; }
      pen.beginPath();
      points.forEach(([x, y], k) => { const [u, v] = this.toScreen(x, y); if (k) pen.lineTo(u, v); else pen.moveTo(u, v); });
      if (shape.kind !== "line") pen.closePath();
      pen.lineWidth = 4;
      pen.strokeStyle = "#000a";
      pen.stroke();
      pen.lineWidth = 2;
      pen.strokeStyle = colours[shape.tone] || colours.finding;
      pen.stroke();
      if (shape.label) { const [u, v] = this.toScreen(...points[0]); this.words_on(pen, shape.label, u, v - 6); }
    },
    words_on(pen, words, u, v) {
      pen.font = "500 13px Roboto, system-ui, sans-serif";
      const short = words.length > 40 ? words.slice(0, 39) + "\u2026" : words;
      pen.fillStyle = "#000b";
      pen.fillRect(u - 1, v - 14, pen.measureText(short).width + 8, 18);
      pen.fillStyle = "#fff";
      pen.fillText(short, u + 3, v);
    },
    drafts(pen) {
      pen.strokeStyle = "#7CFC98";
      pen.lineWidth = 2;
      if (this.tool === "box" && this.draft.length === 2) {
        const [u, v] = this.toScreen(...this.draft[0]);
        const [s, t] = this.toScreen(...this.draft[1]);
        pen.strokeRect(Math.min(u, s), Math.min(v, t), Math.abs(s - u), Math.abs(t - v));
      }
      if (this.tool === "polygon" && this.draft.length) {
        pen.beginPath();
        this.draft.forEach(([x, y], k) => { const [u, v] = this.toScreen(x, y); if (k) pen.lineTo(u, v); else pen.moveTo(u, v); });
        pen.stroke();
        pen.fillStyle = "#7CFC98";
        for (const [x, y] of this.draft) { const [u, v] = this.toScreen(x, y); pen.fillRect(u - 3, v - 3, 6, 6); }
      }
      if (this.tool === "brush" && this.strokes.length) {
        pen.globalAlpha = 0.55;
        this.stroke(pen, this.view.scale, (x, y) => this.toScreen(x, y));
        pen.globalAlpha = 1;
      }
    },
    bar(pen) {
      const least = 70;
      const unit = this.pixel || 1;
      const raw = (least / this.view.scale) * unit;
      const power = 10 ** Math.floor(Math.log10(raw));
      const size = [...STEPS, 10].map((step) => step * power).find((each) => each >= raw * 0.999);
      const long = (size / unit) * this.view.scale;
      const words = this.pixel ? length_in_words(size) : `${size < 1 ? size.toPrecision(1) : Math.round(size)} px, scale unknown`;
      pen.font = "500 14px Roboto, system-ui, sans-serif";
      const wide = Math.max(long, pen.measureText(words).width) + 20;
      const left = 12;
      const top = this.high - 52;
      pen.fillStyle = "#000b";
      pen.fillRect(left, top, wide, 42);
      pen.fillStyle = "#fff";
      pen.fillText(words, left + 10, top + 18);
      pen.fillRect(left + 10, top + 27, long, 5);
      this.$refs.canvas.dataset.bar = words;
      this.$refs.canvas.dataset.barPixels = long.toFixed(1);
    },
  },
};

function length_in_words(um) {
  if (um >= 1000) return `${+(um / 1000).toPrecision(3)} mm`;
  if (um >= 1) return `${+um.toPrecision(3)} \u00B5m`;
  return `${+(um * 1000).toPrecision(3)} nm`;
}
