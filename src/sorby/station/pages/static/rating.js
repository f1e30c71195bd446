// A rating: first a class, then a code from the range of the class that was chosen, then how it was judged. One hand on
// a phone is enough; on a keyboard, Tab, arrows and Enter.
export default {
  props: { scheme: Object, answer: Object, region: String, place: Number, total: Number, busy: Boolean, drawing: Boolean },
  emits: ["save", "back", "draw"],
  template: `
    <form class="stack" @submit.prevent="save">
      <fieldset v-if="!cannot">
        <legend>1. {{ scheme.question }}</legend>
        <div class="choices">
          <label v-for="each in scheme.classes" :key="each.name" class="choice">
            <input type="radio" name="class" :value="each.name" v-model="form.class_name" @change="pick(each)">
            <span class="face">{{ words(each) }}<small v-if="each.hint">{{ each.hint }}</small></span>
          </label>
        </div>
      </fieldset>
      <fieldset v-if="!cannot && codes.length > 1">
        <legend>2. Which one of {{ words(chosen) }}?</legend>
        <div class="choices">
          <label v-for="code in codes" :key="code" class="choice">
            <input type="radio" name="code" :value="code" v-model="form.code">
            <span class="face">{{ code }}</span>
          </label>
        </div>
      </fieldset>
      <fieldset v-if="!cannot && form.code && scheme.criteria.length">
        <legend>3. Judged by{{ scheme.criterion_required ? "" : " (if you like)" }}</legend>
        <div class="choices">
          <label v-for="each in scheme.criteria" :key="each.name" class="choice">
            <input type="radio" name="criterion" :value="each.name" v-model="form.criterion">
            <span class="face">{{ words(each) }}<small v-if="each.hint">{{ each.hint }}</small></span>
          </label>
        </div>
      </fieldset>
      <fieldset v-if="!cannot && form.code && (scheme.regions.length || scheme.draw_region)">
        <legend>Which part decided? (if you like)</legend>
        <div class="choices">
          <label v-for="each in scheme.regions" :key="each.name" class="choice">
            <input type="radio" name="region" :value="each.name" v-model="form.region">
            <span class="face">{{ words(each) }}</span>
          </label>
          <button v-if="scheme.draw_region" class="button" type="button" @click="$emit('draw')">
            {{ drawing ? "Draw a rectangle on the image\u2026" : form.region.startsWith("box:") ? "Rectangle drawn; draw again" : "Draw a rectangle" }}
          </button>
        </div>
      </fieldset>
      <fieldset v-if="scheme.flags.length">
        <legend>Remarks</legend>
        <div class="choices">
          <label v-for="each in scheme.flags" :key="each.name" class="choice">
            <input type="checkbox" :value="each.name" v-model="form.flags">
            <span class="face">{{ words(each) }}</span>
          </label>
        </div>
      </fieldset>
      <div class="field" v-if="scheme.comment_chars">
        <label for="comment">Comment</label>
        <textarea id="comment" rows="2" v-model="form.comment" :maxlength="scheme.comment_chars"></textarea>
      </div>
      <div v-if="fault" class="note bad" role="alert">{{ fault }}</div>
      <div class="row">
        <button class="button first" type="submit" :disabled="busy || !whole">Save and go on</button>
        <button v-if="place > 1" class="button" type="button" @click="$emit('back')">Back</button>
      </div>
    </form>`,
  data() { return { form: this.fresh(), began: Date.now(), fault: "" }; },
  computed: {
    cannot() { return this.form.flags.includes("cannot_rate"); },
    chosen() { return this.scheme.classes.find((each) => each.name === this.form.class_name); },
    codes() { return this.chosen ? (this.chosen.codes.length ? this.chosen.codes : [this.chosen.name]) : []; },
    whole() {
      if (this.cannot) return true;
      return this.form.code && (!this.scheme.criterion_required || this.form.criterion);
    },
  },
  watch: {
    place() { this.form = this.fresh(); this.began = Date.now(); this.fault = ""; },
    region(now) { if (now) this.form.region = now; },
  },
  methods: {
    fresh() {
      const { class_name = "", code = "", criterion = "", region = "", flags = [], comment = "" } = this.answer || {};
      return { class_name, code, criterion, region, flags: [...flags], comment };
    },
    words(each) { return each ? each.title || each.name.replaceAll("_", " ") : ""; },
    pick(each) {
      const own = each.codes.length ? each.codes : [each.name];
      this.form.code = own.length === 1 ? own[0] : "";
    },
    save() {
      if (!this.whole) return;
      const kept = this.cannot ? { class_name: "", code: "", criterion: "", region: "" } : {};
      this.$emit("save", { ...this.form, ...kept, seconds: (Date.now() - this.began) / 1000 });
    },
  },
};
