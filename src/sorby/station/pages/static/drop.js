// A place to drop files on, or to choose them; three at a time go to the REST interface, each with its progress.
const AT_ONCE = 3;

export default {
  props: { to: String, words: String, accept: String, csrf: String, fields: Object },
  emits: ["arrived"],
  template: `
    <div class="stack">
      <div class="drop" :class="{over}" @dragover.prevent="over = true" @dragleave="over = false" @drop.prevent="dropped">
        <p>{{ words }}</p>
        <p class="soft small" style="margin: 6px auto 12px">or</p>
        <input type="file" :id="id" multiple :accept="accept" @change="chosen">
        <label class="button" :for="id">Choose files</label>
      </div>
      <div role="status" class="small soft">{{ summary }}</div>
      <ul class="files" v-if="files.length" aria-label="Files">
        <li v-for="file in shown" :key="file.key">
          <span>{{ file.name }}</span>
          <progress v-if="file.state === 'going'" :value="file.share" max="1" style="width: 90px" :aria-label="file.name"></progress>
          <span v-else class="what mark" :class="tones[file.state]">{{ file.said }}</span>
        </li>
      </ul>
    </div>`,
  data() {
    return { over: false, files: [], going: 0, id: "files" + Math.random().toString(36).slice(2),
             tones: { here: "good", refused: "bad", waiting: "plain" } };
  },
  computed: {
    shown() { return this.files.slice(-40).reverse(); },
    summary() {
      if (!this.files.length) return "";
      const count = (state) => this.files.filter((file) => file.state === state).length;
      const refused = count("refused");
      return `${count("here")} of ${this.files.length} files are here` + (refused ? `, ${refused} were refused` : "");
    },
  },
  methods: {
    empty() { this.files = this.files.filter((file) => file.state !== "here"); },
    dropped(event) { this.over = false; this.add(event.dataTransfer.files); },
    chosen(event) { this.add(event.target.files); event.target.value = ""; },
    add(list) {
      for (const file of list) {
        this.files.push({ key: Math.random(), name: file.name, file, state: "waiting", said: "waits", share: 0 });
      }
      this.next();
    },
    next() {
      while (this.going < AT_ONCE) {
        const entry = this.files.find((file) => file.state === "waiting");
        if (!entry) return;
        this.going += 1;
        entry.state = "going";
        this.send(entry).finally(() => { this.going -= 1; entry.file = null; this.next(); });
      }
    },
    send(entry) {
      return new Promise((done) => {
        const words = new URLSearchParams({ ...this.fields, name: entry.name });
        const request = new XMLHttpRequest();
        request.open("POST", `${this.to}?${words}`);
        request.setRequestHeader("Content-Type", "application/octet-stream");
        request.setRequestHeader("X-CSRF-Token", this.csrf);
        request.upload.onprogress = (event) => { entry.share = event.total ? event.loaded / event.total : 0; };
        request.onload = () => {
          let said = {};
          try { said = JSON.parse(request.responseText); } catch { said = { detail: "the station did not answer as expected" }; }
          if (request.status < 300) {
            entry.state = "here";
            entry.said = said.new === false ? "was here before" : "is here";
            this.$emit("arrived", { sha256: said.sha256, name: entry.name });
          } else {
            entry.state = "refused";
            entry.said = said.detail || "refused";
          }
          done();
        };
        request.onerror = () => { entry.state = "refused"; entry.said = "the station cannot be reached"; done(); };
        request.send(entry.file);
      });
    },
  },
};
