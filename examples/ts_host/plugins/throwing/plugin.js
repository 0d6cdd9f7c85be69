export default class {
  now() {
    throw new TypeError("this plugin throws");
  }

  later() {
    setTimeout(() => {
      throw new Error("this plugin throws in a timer");
    }, 10);
    return { ok: "so far" };
  }
}
