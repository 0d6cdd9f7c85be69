export default class {
  wait() {
    return new Promise(() => {});
  }
}
