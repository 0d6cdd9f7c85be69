export default class {
  add({ a, b }) {
    return { sum: a + b };
  }
}
