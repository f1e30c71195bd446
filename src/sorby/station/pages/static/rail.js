// The rail: where one may go, who one is, the way out. On a phone it folds behind a button.
const strokes = {
  home: "M3 11l9-8 9 8v10h-6v-6H9v6H3z",
  inspect: "M10.5 3a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15zM16 16l5.5 5.5",
  queue: "M4 5h16M4 12h16M4 19h9M16 18l2 2 4-4",
  specimens: "M12 3l9 5-9 5-9-5zM3 12.5l9 5 9-5M3 17l9 5 9-5",
  studies: "M8.5 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2 20c0-4 3-6 6.5-6s6.5 2 6.5 6M16 4.500a3.5 3.5 0 0 1 0 6.500M17.5 14.500c2.5.7 4.5 2.5 4.5 5.5",
  jobs: "M12 3v4M12 17v4M3 12h4M17 12h4M5.6 5.600l2.9 2.900M15.5 15.500l2.9 2.900M5.6 18.400l2.9-2.900M15.5 8.500l2.9-2.9",
  models: "M12 2l9 5v10l-9 5-9-5V7zM12 12l9-5M12 12v10M12 12L3 7",
  drift: "M3 20V4M3 20h18M6 15l4-5 4 3 6-8",
  record: "M6 2h9l4 4v16H6zM9 11h7M9 15h7M9 7h3",
  certificates: "M12 14a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM9 13l-2 9 5-3 5 3-2-9",
  accounts: "M12 12a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM3.5 21c0-5 4-7 8.5-7s8.5 2 8.5 7",
};

export default {
  props: { places: Array, name: String, role: String, csrf: String },
  template: `
    <nav class="rail" :class="{open}" aria-label="Station">
      <div class="top">
        <a class="brand" href="/">
          <svg width="26" height="26" viewBox="0 0 26 26" aria-hidden="true"><circle cx="13" cy="13" r="12" fill="none" stroke="#f3d9a0" stroke-width="2"/><path d="M4 17l6-5 5 3 7-8M8 22l5-7M15 15l3 7M10 12L8 4M15 15l7-1" fill="none" stroke="#f3d9a0" stroke-width="1.5"/></svg>
          sorby</a>
        <button class="menu" type="button" :aria-expanded="open" aria-controls="places" @click="open = !open">Menu</button>
      </div>
      <div class="folds" id="places">
        <ul>
          <li v-for="place in places" :key="place.path">
            <a class="place" :href="place.path" :aria-current="place.here ? 'page' : null">
              <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path :d="strokes[place.icon]"/></svg>
              {{ place.title }}
              <span v-if="place.count" class="count">{{ place.count }}<span class="hidden-words"> waiting</span></span>
            </a>
          </li>
        </ul>
        <div class="person">
          <strong>{{ name }}</strong>{{ role }}
          <a href="/password">Change password</a>
          <button type="button" @click="leave">Sign out</button>
        </div>
      </div>
    </nav>`,
  data() { return { open: false, strokes }; },
  methods: {
    async leave() {
      await fetch("/api/v1/auth/sign-out", { method: "POST", headers: { "X-CSRF-Token": this.csrf } });
      location.href = "/sign-in";
    },
  },
};
