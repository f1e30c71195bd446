// One labelled field of a form: text, number, password, several lines, a choice or a tick. Native elements, so that
// keyboards, screen readers and phones know them.
let number = 0;

export default {
  props: { modelValue: null, label: String, type: { default: "text" }, hint: String, options: Array, rows: Number, max: Number,
           complete: String, required: Boolean, step: String },
  emits: ["update:modelValue", "enter"],
  template: `
    <div class="field" :class="{inline: type === 'tick'}">
      <template v-if="type === 'tick'">
        <input type="checkbox" :id="id" :checked="modelValue" @change="$emit('update:modelValue', $event.target.checked)">
        <label :for="id">{{ label }}</label>
      </template>
      <template v-else>
        <label :for="id">{{ label }}</label>
        <select v-if="type === 'choice'" :id="id" :value="modelValue" @change="$emit('update:modelValue', $event.target.value)"
                :aria-describedby="hint ? id + 'h' : null">
          <option v-for="each in options" :key="each[0]" :value="each[0]" :selected="each[0] === modelValue">{{ each[1] }}</option>
        </select>
        <textarea v-else-if="type === 'prose'" :id="id" :value="modelValue" :rows="rows || 3" :maxlength="max || 4000"
                  @input="$emit('update:modelValue', $event.target.value)" :aria-describedby="hint ? id + 'h' : null"></textarea>
        <input v-else :id="id" :type="type" :value="modelValue" :maxlength="max || 400" :autocomplete="complete || 'off'"
               :required="required" :step="step" @input="$emit('update:modelValue', $event.target.value)"
               @keydown.enter="$emit('enter')" :aria-describedby="hint ? id + 'h' : null">
        <span v-if="hint" class="hint" :id="id + 'h'">{{ hint }}</span>
      </template>
    </div>`,
  data() { number += 1; return { id: "field" + number }; },
};
