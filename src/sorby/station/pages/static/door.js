// Signing in and changing the password: plain forms that password managers know. They speak to the REST interface,
// for only its answers can set the session's cookie, which no script can read.
export default {
  props: { kind: String, next: String, csrf: String, must: Boolean },
  template: `
    <form class="stack" @submit.prevent="send">
      <div v-if="fault" class="note bad" role="alert">{{ fault }}</div>
      <template v-if="kind === 'sign-in'">
        <div class="field"><label for="name">Name</label>
          <input id="name" v-model="name" autocomplete="username" autocapitalize="none" required autofocus></div>
        <div class="field"><label for="password">Password</label>
          <input id="password" v-model="old" type="password" autocomplete="current-password" required></div>
        <button class="button first" type="submit" :disabled="busy">Sign in</button>
      </template>
      <template v-else>
        <div class="field"><label for="old">Present password</label>
          <input id="old" v-model="old" type="password" autocomplete="current-password" required></div>
        <div class="field"><label for="fresh">New password</label>
          <input id="fresh" v-model="fresh" type="password" autocomplete="new-password" required minlength="12" aria-describedby="rule">
          <span class="hint" id="rule">At least 12 characters; a few words are good.</span></div>
        <div class="field"><label for="again">New password again</label>
          <input id="again" v-model="again" type="password" autocomplete="new-password" required></div>
        <button class="button first" type="submit" :disabled="busy">Change password</button>
      </template>
    </form>`,
  data() { return { name: "", old: "", fresh: "", again: "", fault: "", busy: false }; },
  methods: {
    async send() {
      if (this.kind !== "sign-in" && this.fresh !== this.again) {
        this.fault = "The new password was typed differently the second time.";
        return;
      }
      this.busy = true;
      this.fault = "";
      const headers = { "Content-Type": "application/json" };
      if (this.csrf) headers["X-CSRF-Token"] = this.csrf;
      const signingIn = this.kind === "sign-in";
      try {
        const answer = await fetch(signingIn ? "/api/v1/auth/sign-in" : "/api/v1/me/password", {
          method: "POST", headers,
          body: JSON.stringify(signingIn ? { name: this.name, password: this.old } : { old: this.old, new: this.fresh }),
        });
        if (answer.ok) {
          const me = signingIn ? await answer.json() : null;
          location.href = me && me.account.must_change ? "/password" : this.next || "/";
          return;
        }
        const problem = await answer.json().catch(() => ({ detail: "the station did not answer as expected" }));
        this.fault = problem.detail + (problem.hint ? " \u2014 " + problem.hint : "");
      } catch {
        this.fault = "The station cannot be reached.";
      } finally {
        this.busy = false;
      }
    },
  },
};
